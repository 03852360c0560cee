//! A response that ends without some of the items that were streamed loses none of them, and repeats none.

use serde_json::{Value, json};
use signalbox_translate::hub::{Answer, Block, Event, Fold};
use signalbox_translate::{Api, Decoder, EmitOptions, Emitter, write_answer};

use signalbox_grammar as grammar;

/// Returns the events of a stream with all kinds of items that ends with `output`. `level` tells how much of an item is
/// streamed: 0 for its end only, 1 for its beginning and its pieces, 2 for both.
fn events(output: &Value, level: usize) -> Vec<Event> {
    let items = [
        json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "e"}),
        json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "one"}]}),
        json!({"type": "message", "id": "msg_2", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]}),
        json!({"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"}),
    ];
    let mut stream = vec![json!({"type": "response.created", "response": {"id": "r", "model": "m"}})];
    for (index, item) in items.iter().enumerate() {
        let mut add = |kind: &str, more: Value| {
            let mut event = json!({"type": kind, "output_index": index, "item_id": item["id"], "content_index": 0});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            stream.push(event);
        };
        if level > 0 {
            let mut begun = item.clone();
            for (name, empty) in [("content", json!([])), ("summary", json!([])), ("arguments", json!(""))] {
                begun.as_object_mut().unwrap().get_mut(name).into_iter().for_each(|value| *value = empty.clone());
            }
            begun.as_object_mut().unwrap().remove("encrypted_content");
            add("response.output_item.added", json!({"item": begun}));
            match index {
                0 => add("response.reasoning_summary_text.delta", json!({"summary_index": 0, "delta": "hm"})),
                3 => add("response.function_call_arguments.delta", json!({"delta": "{\"a\":"})),
                _ => add("response.output_text.delta", json!({"delta": if index == 1 { "o" } else { "two" }})),
            }
        }
        if level != 1 {
            add("response.output_item.done", json!({"item": item}));
        }
    }
    let last = json!({"id": "r", "model": "m", "status": "completed", "output": output, "usage": {"input_tokens": 1, "output_tokens": 2}});
    stream.push(json!({"type": "response.completed", "response": last}));
    let (mut decoder, mut out) = (Decoder::new(Api::Responses, "1"), Vec::new());
    stream.iter().for_each(|event| decoder.push(None, event.to_string().as_bytes(), &mut out));
    decoder.finish(&mut out);
    out
}

fn answer(events: &[Event]) -> Answer {
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.push(event.clone()));
    fold.finish().unwrap()
}

fn shape(answer: &Answer) -> Vec<String> {
    let shape = |block: &Block| match block {
        Block::Text(text) => text.text.clone(),
        Block::Reasoning(item) => format!("reasoning {}", item.summary.concat()),
        Block::ToolCall(call) => format!("{} {}", call.name, call.input),
        other => panic!("{other:?}"),
    };
    answer.blocks.iter().map(shape).collect()
}

fn message(id: Option<&str>, text: &str) -> Value {
    let mut item = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]});
    id.into_iter().for_each(|id| item["id"] = json!(id));
    item
}

/// Returns outputs of the last event that lack some of the items.
fn outputs() -> Vec<Value> {
    let call =
        |id: &str| json!({"type": "function_call", "id": id, "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"});
    vec![
        json!([]),
        json!([message(Some("msg_1"), "one"), message(Some("msg_2"), "two")]),
        json!([message(None, "one"), message(None, "two")]),
        json!([message(Some("x"), "one"), message(Some("y"), "two")]),
        json!([message(None, "two")]),
        json!([call("fc_1")]),
        json!([call("other")]),
        json!([message(Some("msg_1"), "one"), message(Some("msg_2"), "two"), call("fc_1")]),
        json!([{"type": "reasoning", "id": "rs_1", "summary": []}, message(None, "one"), message(None, "two"), call("")]),
    ]
}

#[test]
fn streamed_items_are_kept_and_not_repeated() {
    for output in outputs() {
        for level in [0, 2] {
            let answer = answer(&events(&output, level));
            let expected = ["reasoning hm", "one", "two", "f {\"a\":1}"];
            assert_eq!(shape(&answer), expected, "{level} {output}");
            for to in [Api::Chat, Api::Messages, Api::Responses] {
                let (body, _) =
                    write_answer(to, answer.clone(), EmitOptions { id: "1".into(), ..EmitOptions::default() }).unwrap();
                let body = String::from_utf8(body).unwrap();
                assert_eq!((body.matches("one").count(), body.matches("two").count()), (1, 1), "{to:?} {body}");
            }
        }
    }
}

#[test]
fn items_that_never_ended_are_completed_by_the_last_event() {
    for output in outputs() {
        let events = events(&output, 1);
        let shape = shape(&answer(&events));
        let names = |text: &str| output.as_array().unwrap().iter().any(|item| item.to_string().contains(text));
        let first = if names("\"one\"") { "one" } else { "o" };
        let input = if names("\"c1\"") { "f {\"a\":1}" } else { "f {\"a\":" };
        assert_eq!(shape, ["reasoning hm", first, "two", input], "{output}");
        let mut emitter = Emitter::new(Api::Responses, EmitOptions { id: "1".into(), ..EmitOptions::default() });
        let mut out = Vec::new();
        events.into_iter().for_each(|event| emitter.push(event, &mut out));
        assert_eq!(grammar::responses(&grammar::frames(&out)).text, format!("{first}two"));
    }
}

#[test]
fn items_with_the_same_id_are_not_one() {
    // In one body, and one after another in a stream.
    let output = json!([message(Some("msg_0"), "one"), message(Some("msg_0"), "two"), message(Some("msg_0"), "two")]);
    let body = json!({"id": "r", "object": "response", "status": "completed", "output": output});
    let whole = signalbox_translate::read_answer(Api::Responses, body.to_string().as_bytes()).unwrap();
    assert_eq!(shape(&whole), ["one", "two", "two"]);
    let (mut decoder, mut out) = (Decoder::new(Api::Responses, "1"), Vec::new());
    for (index, item) in output.as_array().unwrap().iter().take(2).enumerate() {
        for kind in ["added", "done"] {
            let mut item = item.clone();
            if kind == "added" {
                item["content"] = json!([]);
            }
            let event = json!({"type": format!("response.output_item.{kind}"), "output_index": index, "item": item});
            decoder.push(None, event.to_string().as_bytes(), &mut out);
        }
    }
    let last = json!({"type": "response.completed", "response": body});
    decoder.push(None, last.to_string().as_bytes(), &mut out);
    assert_eq!(shape(&answer(&out)), ["one", "two", "two"]);
}

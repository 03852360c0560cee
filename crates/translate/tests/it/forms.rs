//! Texts and ends in forms that the documents of the APIs do not have.

use serde_json::{Value, json};
use signalbox_translate::hub::{Block, ErrorClass, Event, Fold};
use signalbox_translate::{
    Api, Decoder, EmitOptions, Emitter, Target, read_answer, read_request, write_answer, write_request,
};

use signalbox_grammar::{self as grammar, Said, frames};

const APIS: [Api; 3] = [Api::Chat, Api::Messages, Api::Responses];

fn options() -> EmitOptions {
    EmitOptions { id: "1".into(), ..EmitOptions::default() }
}

fn said(to: Api, out: &[u8]) -> Said {
    match to {
        Api::Chat => grammar::chat(&frames(out), false),
        Api::Messages => grammar::messages(&frames(out)),
        Api::Responses => grammar::responses(&frames(out)),
    }
}

/// Writes a whole answer of a provider as a stream.
fn streamed(from: Api, to: Api, body: &Value) -> (Said, String) {
    let answer = read_answer(from, body.to_string().as_bytes()).unwrap();
    let mut emitter = Emitter::new(to, options());
    let mut out = Vec::new();
    let losses = answer.losses.to_header();
    answer.into_events().into_iter().for_each(|event| emitter.push(event, &mut out));
    (said(to, &out), losses)
}

fn chat(message: &Value, finish: Option<&str>) -> Value {
    json!({"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]})
}

fn response(output: &Value, status: &str) -> Value {
    json!({"id": "r", "object": "response", "model": "m", "status": status, "output": output})
}

fn message(content: &Value) -> Value {
    json!({"id": "m", "type": "message", "role": "assistant", "content": content, "stop_reason": "tool_use"})
}

#[test]
fn contents_that_are_strings_are_texts() {
    let item = json!([{"type": "message", "id": "m", "role": "assistant", "content": "TEXT"}]);
    for (from, body) in [
        (Api::Messages, message(&json!("TEXT"))),
        (Api::Messages, message(&json!(["TE", {"type": "text", "text": "XT"}]))),
        (Api::Responses, response(&item, "completed")),
        (Api::Responses, response(&json!([{"type": "message", "content": ["TE", {"text": "XT"}]}]), "completed")),
        (
            Api::Chat,
            chat(&json!({"role": "assistant", "content": null, "audio": {"transcript": "TEXT"}}), Some("stop")),
        ),
    ] {
        for to in APIS {
            assert_eq!(streamed(from, to, &body).0.text, "TEXT", "{to:?} {body}");
            let answer = read_answer(from, body.to_string().as_bytes()).unwrap();
            let out = String::from_utf8(write_answer(to, answer, options()).unwrap().0).unwrap();
            assert!(out.contains("TEXT") || out.contains("\"TE\"") && out.contains("\"XT\""), "{out}");
        }
    }
    // In the events of a stream, too.
    let events = [
        json!({"type": "response.output_item.done", "output_index": 0, "item": item[0]}),
        json!({"type": "response.completed", "response": response(&item, "completed")}),
    ];
    let mut decoder = Decoder::new(Api::Responses, "1");
    let (mut out, mut fold) = (Vec::new(), Fold::default());
    events.iter().for_each(|event| decoder.push(None, event.to_string().as_bytes(), &mut out));
    out.into_iter().for_each(|event| fold.push(event));
    assert_eq!(fold.finish().unwrap().blocks.len(), 1);
}

#[test]
fn transcripts_and_details_of_reasoning_are_read_and_reported() {
    let body =
        chat(&json!({"content": null, "audio": {"id": "a", "transcript": "TEXT", "data": "AAAA"}}), Some("stop"));
    assert_eq!(streamed(Api::Chat, Api::Messages, &body).1, "audio=dropped");
    let details = json!([{"type": "reasoning.text", "text": "T"}, {"type": "reasoning.summary", "summary": "H"}, {"type": "reasoning.encrypted", "data": "x"}]);
    for (more, thinking) in
        [(json!({}), "TH"), (json!({"reasoning": "TH"}), "TH"), (json!({"reasoning_content": "own"}), "own")]
    {
        let mut own = json!({"content": "TEXT", "reasoning_details": details});
        own.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        for to in APIS {
            let (said, losses) = streamed(Api::Chat, to, &chat(&own, Some("stop")));
            assert_eq!((said.text.as_str(), said.thinking.as_str()), ("TEXT", thinking), "{to:?}");
            assert_eq!(losses, "reasoning_details=dropped");
        }
    }
}

#[test]
fn arguments_that_are_an_object_are_kept() {
    let item = json!({"type": "function_call", "id": "fc", "call_id": "a", "name": "f", "arguments": {"x": 1}});
    let events = |has_added: bool, output: Value| {
        let mut added = item.clone();
        added["arguments"] = json!("");
        let mut events = vec![json!({"type": "response.output_item.done", "output_index": 0, "item": item})];
        if has_added {
            events.insert(0, json!({"type": "response.output_item.added", "output_index": 0, "item": added}));
        }
        events.push(json!({"type": "response.completed", "response": response(&output, "completed")}));
        events
    };
    for to in APIS {
        let whole = streamed(Api::Responses, to, &response(&json!([item]), "completed")).0;
        assert_eq!(whole.calls, [("a".into(), "f".into(), "{\"x\":1}".into())]);
        for events in [events(true, json!([])), events(false, json!([item])), events(true, json!([item]))] {
            let (mut decoder, mut emitter) = (Decoder::new(Api::Responses, "1"), Emitter::new(to, options()));
            let (mut read, mut out) = (Vec::new(), Vec::new());
            events.iter().for_each(|event| decoder.push(None, event.to_string().as_bytes(), &mut read));
            read.into_iter().for_each(|event| emitter.push(event, &mut out));
            assert_eq!(said(to, &out).calls, whole.calls, "{to:?}");
        }
    }
}

#[test]
fn calls_without_ids_get_some() {
    for id in [json!(null), json!("")] {
        let call =
            |name: &str| json!({"type": "function_call", "id": id, "call_id": id, "name": name, "arguments": "{}"});
        let block = |name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
        for (from, body) in [
            (Api::Responses, response(&json!([call("f"), call("g")]), "completed")),
            (Api::Messages, message(&json!([block("f"), block("g")]))),
        ] {
            let answer = read_answer(from, body.to_string().as_bytes()).unwrap();
            let ids: Vec<&str> = answer
                .blocks
                .iter()
                .map(|block| match block {
                    Block::ToolCall(call) => call.id.as_str(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.len() > "call__0".len()), "{ids:?}");
        }
    }
}

#[test]
fn a_response_that_is_not_complete_is_no_answer() {
    let output = json!([{"type": "message", "content": "TEXT"}]);
    for status in ["queued", "in_progress", "cancelled", "failed"] {
        let body = response(&output, status);
        assert!(read_answer(Api::Responses, body.to_string().as_bytes()).is_err(), "{status}");
    }
}

/// Reads a stream of Chat Completions that breaks off after `events`. Returns its end.
fn ended(events: &[Value], to: Api) -> (bool, Option<String>, Option<ErrorClass>) {
    let (mut decoder, mut emitter) = (Decoder::new(Api::Chat, "1"), Emitter::new(to, options()));
    let (mut read, mut out) = (Vec::new(), Vec::new());
    for event in events {
        let data = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
        decoder.push(None, data.as_bytes(), &mut read);
    }
    let is_complete = decoder.is_complete();
    decoder.finish(&mut read);
    let class = read.iter().find_map(|event| match event {
        Event::Failed(failure) => Some(failure.class),
        _ => None,
    });
    read.into_iter().for_each(|event| emitter.push(event, &mut out));
    (is_complete, said(to, &out).end, class)
}

#[test]
fn a_chat_answer_is_complete_with_its_finish_reason() {
    let chunk = |delta: Value, finish: Option<&str>| json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let text = chunk(json!({"content": "TEXT"}), None);
    let usage = json!({"id": "c", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
    let stop = chunk(json!({}), Some("stop"));
    let done = json!("[DONE]");
    for to in APIS {
        for events in [vec![&text, &stop], vec![&text, &stop, &usage], vec![&text, &stop, &usage, &done]] {
            let events: Vec<Value> = events.into_iter().cloned().collect();
            let (is_complete, end, class) = ended(&events, to);
            assert!(is_complete && class.is_none() && !matches!(end.as_deref(), None | Some("error")), "{end:?}");
        }
        for events in [vec![text.clone()], vec![text.clone(), usage.clone()]] {
            let (is_complete, end, class) = ended(&events, to);
            assert_eq!((is_complete, end.as_deref(), class), (false, Some("error"), Some(ErrorClass::Incomplete)));
        }
    }
    // A reason that reports a failure is no end.
    let failing = [text, chunk(json!({}), Some("error"))];
    assert!(!ended(&failing, Api::Messages).0);
}

#[test]
fn fields_that_give_way_to_others_are_reported() {
    let chat =
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "user": "u", "safety_identifier": "s"});
    let responses = json!({"model": "m", "input": "hi", "user": "u", "safety_identifier": "s"});
    for (from, body) in [(Api::Chat, chat), (Api::Responses, responses)] {
        let request = read_request(from, body.to_string().as_bytes()).unwrap();
        for to in APIS {
            let written = write_request(to, &request, &Target::default()).unwrap();
            let out: Value = serde_json::from_slice(&written.body).unwrap();
            let names = written.losses.to_header();
            let is_kept = out["user"] == "u" && out["safety_identifier"] == "s";
            assert!(is_kept || names.contains("user=dropped"), "{from:?} {to:?} {out} {names}");
        }
    }
    let reasoning = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "short"}], "content": [{"type": "reasoning_text", "text": "long"}]});
    let body = json!({"model": "m", "input": [{"role": "user", "content": "hi"}, reasoning, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]});
    let request = read_request(Api::Responses, body.to_string().as_bytes()).unwrap();
    let target = Target { reasoning_field: Some("reasoning_content"), ..Target::default() };
    let written = write_request(Api::Chat, &request, &target).unwrap();
    assert!(String::from_utf8(written.body).unwrap().contains("long"));
    assert!(written.losses.to_header().contains("summary=dropped"), "{}", written.losses.to_header());
}

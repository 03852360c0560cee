//! Tests of folding the streams of Messages and Responses.

use super::*;

fn fold(api: Api, events: &[&str]) -> FoldedAnswer {
    let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    fold_stream(api, &stream.into())
}

const MESSAGE: [&str; 11] = [
    r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"hel"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"lo"}}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
];

#[test]
fn a_message_is_put_together() {
    let folded = fold(Api::Messages, &[&MESSAGE[..], &[r#"{"type":"message_stop"}"#]].concat());
    assert_eq!((&*folded.id, &*folded.text, folded.finish_reason.as_deref()), ("msg_1", "hello", Some("tool_use")));
    assert_eq!((folded.usage.unwrap().prompt_tokens, folded.usage.unwrap().completion_tokens), (5, 9));
    assert!(folded.done && folded.finished && folded.error.is_none());
    let json: Value = serde_json::from_str(&folded.json.unwrap()).unwrap();
    assert_eq!(
        json["content"],
        json!([{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"hello"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}])
    );
    let whole = fold_answer(Api::Messages, json.to_string().as_bytes()).unwrap();
    assert_eq!((whole.text, whole.finish_reason, whole.usage), (folded.text, folded.finish_reason, folded.usage));
}

#[test]
fn counts_of_a_message_are_those_that_follow_its_beginning() {
    let growing = r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":4}}"#;
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    let stop = r#"{"type":"message_stop"}"#;
    for (more, expected) in [
        (&[][..], None),
        (&[error], None),
        (&[growing], Some((5, 4))),
        (&[growing, error], Some((5, 4))),
        (&[stop], Some((5, 1))),
    ] {
        let folded = fold(Api::Messages, &[&MESSAGE[..7], more].concat());
        let counts = folded.usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens));
        assert_eq!(counts, expected, "{more:?}");
    }
}

#[test]
fn blocks_that_share_an_index_or_have_no_beginning_are_kept() {
    let text = |text: &str| {
        format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#)
    };
    let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let folded = fold(Api::Messages, &[MESSAGE[0], start, &text("a"), start, &text("b")]);
    assert_eq!(folded.text, "ab");
    let folded = fold(Api::Messages, &[MESSAGE[0], &text("a"), &text("b"), r#"{"type":"message_stop"}"#, &text("c")]);
    assert_eq!(folded.text, "ab");
}

#[test]
fn a_message_that_breaks_off_keeps_what_came() {
    for length in 0..MESSAGE.len() {
        let folded = fold(Api::Messages, &MESSAGE[..length]);
        assert!(!folded.done && folded.finish_reason.is_none(), "{length}");
        assert_eq!(folded.usage, None, "{length}: the counts of `message_start` are not final");
        assert_eq!(folded.json.is_some(), length > 0);
    }
    let folded = fold(Api::Messages, &MESSAGE[..9]);
    let json: Value = serde_json::from_str(&folded.json.unwrap()).unwrap();
    assert_eq!(json["content"][2]["input"], "{\"a\":");
}

#[test]
fn errors_and_unknown_events_are_kept() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    let folded = fold(Api::Messages, &[MESSAGE[0], r#"{"type":"odd","x":1}"#, "text", error]);
    assert_eq!(folded.error.unwrap().message, "busy");
    let json: Value = serde_json::from_str(&folded.json.unwrap()).unwrap();
    assert_eq!(json["unread_events"], json!([r#"{"type":"odd","x":1}"#, "text"]));
    assert_eq!(json["error"]["message"], "busy");
    let whole = fold_answer(Api::Responses, br#"{"error":{"message":"no"}}"#).unwrap();
    assert_eq!(whole.error.unwrap().message, "no");
    assert!(fold_answer(Api::Messages, b"<html>").is_none());
}

#[test]
fn a_response_is_taken_from_its_last_event_or_from_its_parts() {
    let events = [
        r#"{"type":"response.created","response":{"id":"resp_1","object":"response","status":"in_progress","output":[]}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","content":[]}}"#,
        r#"{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"hel"}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"lo"}"#,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"c","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{}"}"#,
    ];
    let partial = fold(Api::Responses, &events);
    assert_eq!((&*partial.id, &*partial.text, partial.finish_reason.as_deref()), ("resp_1", "hello", None));
    let json: Value = serde_json::from_str(&partial.json.unwrap()).unwrap();
    assert_eq!(json["output"][1]["arguments"], "{}");
    let last = r#"{"type":"response.completed","response":{"id":"resp_1","object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"hello"}]}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}"#;
    let whole = fold(Api::Responses, &[&events[..], &[last]].concat());
    assert_eq!((&*whole.text, whole.finish_reason.as_deref(), whole.done), ("hello", Some("completed"), true));
    assert_eq!(whole.usage.unwrap().total_tokens, 3);
    let failed = r#"{"type":"response.failed","response":{"id":"r","object":"response","status":"failed","error":{"code":"c","message":"no"}}}"#;
    let failed = fold(Api::Responses, &[failed]);
    assert_eq!((failed.error.unwrap().message.as_str(), failed.finish_reason), ("no", None));
}

/// Streams a reasoning item, two messages and a call, and ends with a response that has the given items.
fn ended_with(output: &Value) -> Vec<Value> {
    let message =
        |id: &str, text: &str| json!({"type":"message","id":id,"content":[{"type":"output_text","text":text}]});
    let items = [
        json!({"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"e"}),
        message("msg_1", "one"),
        message("msg_2", "two"),
        json!({"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"}),
    ];
    let done = items
        .iter()
        .enumerate()
        .map(|(index, item)| json!({"type":"response.output_item.done","output_index":index,"item":item}).to_string());
    let last = json!({"type":"response.completed","response":{"id":"resp_1","object":"response","status":"completed","output":output}});
    let events: Vec<String> = done.chain([last.to_string()]).collect();
    let folded = fold(Api::Responses, &events.iter().map(String::as_str).collect::<Vec<_>>());
    let json: Value = serde_json::from_str(&folded.json.unwrap()).unwrap();
    json["output"].as_array().unwrap().clone()
}

#[test]
fn items_that_only_were_streamed_are_kept() {
    let shape = |output: &[Value]| {
        let text = |item: &Value| item["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        output.iter().map(|item| format!("{}:{}", item["type"].as_str().unwrap(), text(item))).collect::<Vec<_>>()
    };
    let all = ["reasoning:", "message:one", "message:two", "function_call:"];
    let message = |text: &str| json!({"type":"message","content":[{"type":"output_text","text":text}]});
    let call = json!({"type":"function_call","call_id":"c","name":"f","arguments":"{}"});
    for output in [
        json!([]),
        json!([message("one"), message("two")]),
        json!([message("two")]),
        json!([call]),
        json!([message("one"), message("two"), call]),
        json!([{"type":"message","id":"msg_2","content":[{"type":"output_text","text":"two"}]}, call]),
        // Ids that the stream did not have.
        json!([{"type":"message","id":"new","content":[{"type":"output_text","text":"one"}]}]),
        json!([{"type":"message","id":"msg_1","content":[]}]),
        json!([{"type":"reasoning","id":"rs_1","summary":[]}, message("one"), message("two"), call]),
    ] {
        assert_eq!(shape(&ended_with(&output)), all, "{output}");
    }
    // Items that only the response has are added, and its form of an item counts.
    let odd =
        json!([{"type":"message","id":"msg_1","content":[{"type":"output_text","text":"ONE"}]}, message("three")]);
    let expected = ["reasoning:", "message:ONE", "message:two", "function_call:", "message:three"];
    assert_eq!(shape(&ended_with(&odd)), expected);
}

/// Streams two messages and two calls, whose ids and indices `change` gives to each event, and folds the stream.
fn renamed(change: impl Fn(usize, usize, &str, &mut Value)) -> Vec<String> {
    let message =
        |text: &str| json!({"type":"message","role":"assistant","content":[{"type":"output_text","text":text}]});
    let call = |id: &str, name: &str| json!({"type":"function_call","call_id":id,"name":name,"arguments":"{}"});
    let items = [message("TE"), message("XT"), call("c1", "f"), call("c2", "g")];
    let mut events = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let is_message = item["type"] == "message";
        let mut begun = item.clone();
        let list = if is_message { "content" } else { "arguments" };
        begun[list] = if is_message { json!([]) } else { json!("") };
        let mut push = |kind: &str, mut event: Value| {
            event["type"] = json!(format!("response.{kind}"));
            change(at, events.len(), kind, &mut event);
            events.push(event.to_string());
        };
        push("output_item.added", json!({"output_index": at, "item": begun}));
        let kind = if is_message { "output_text.delta" } else { "function_call_arguments.delta" };
        let text = if is_message { &item["content"][0]["text"] } else { &item["arguments"] };
        push(kind, json!({"output_index": at, "content_index": 0, "delta": text}));
        push("output_item.done", json!({"output_index": at, "item": item}));
    }
    let output: Vec<Value> = items
        .into_iter()
        .enumerate()
        .map(|(at, mut item)| {
            let mut event = json!({"item": item.take()});
            change(at, 99, "final", &mut event);
            event["item"].take()
        })
        .collect();
    let last = json!({"type":"response.completed","response":{"id":"r","object":"response","status":"completed","output":output}});
    events.push(last.to_string());
    let folded = fold(Api::Responses, &events.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(folded.text, "TEXT");
    let json: Value = serde_json::from_str(&folded.json.unwrap()).unwrap();
    json["output"].as_array().unwrap().iter().map(said_by).collect()
}

fn said_by(item: &Value) -> String {
    let text = item["content"][0]["text"].as_str().unwrap_or_default();
    format!("{}{}{text}", item["type"].as_str().unwrap(), item["name"].as_str().unwrap_or_default())
}

#[test]
fn items_are_folded_once_whatever_their_ids_and_indices_are() {
    let with = |id: fn(usize, usize, &str) -> Value, index: fn(usize) -> Value| {
        renamed(move |at, number, kind, event| {
            let id = id(at, number, kind);
            match event.get_mut("item") {
                Some(item) => item["id"] = id,
                None => event["item_id"] = id,
            }
            if kind != "final" {
                event["output_index"] = index(at);
            }
        })
    };
    let ids: [fn(usize, usize, &str) -> Value; 7] = [
        |at, _, _| json!(format!("id{at}")),
        |_, _, _| json!("same"),
        |_, _, _| json!(""),
        |_, _, _| Value::Null,
        |at, number, _| json!(format!("id{at}_{number}")),
        |at, _, kind| json!(format!("id{at}{}", kind.ends_with("done"))),
        |at, _, kind| json!(format!("id{at}{}", kind == "final")),
    ];
    let indices: [fn(usize) -> Value; 4] = [|at| json!(at), |at| json!(at + 1), |_| json!(0), |_| Value::Null];
    for id in ids {
        for index in indices {
            let items = with(id, index);
            assert_eq!(items, ["messageTE", "messageXT", "function_callf", "function_callg"]);
        }
    }
}

#[test]
fn items_that_no_event_announces_have_their_type_and_their_text() {
    let delta = |text: &str, index: u32| {
        format!(
            r#"{{"type":"response.output_text.delta","item_id":"m{index}","output_index":{index},"content_index":0,"delta":"{text}"}}"#
        )
    };
    let last =
        r#"{"type":"response.completed","response":{"id":"r","object":"response","status":"completed","output":[]}}"#;
    let folded = fold(Api::Responses, &[&delta("Hel", 0), &delta("wor", 1), &delta("lo ", 0), &delta("ld", 1), last]);
    assert_eq!(folded.text, "Hello world");
    let json: Value = serde_json::from_str(&folded.json.unwrap()).unwrap();
    assert_eq!(
        json["output"][1],
        json!({"type":"message","id":"m1","role":"assistant","content":[{"type":"output_text","text":"world"}]})
    );
}

#[test]
fn a_text_that_an_item_is_announced_with_is_not_doubled() {
    let added = r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"a","content":[{"type":"output_text","text":"Hello "}]}}"#;
    let part = r#"{"type":"response.content_part.added","output_index":0,"item_id":"a","content_index":0,"part":{"type":"output_text","text":""}}"#;
    let delta = |text: &str| {
        format!(
            r#"{{"type":"response.output_text.delta","output_index":0,"item_id":"a","content_index":0,"delta":"{text}"}}"#
        )
    };
    for (events, text) in [
        (vec![added.to_owned()], "Hello "),
        (vec![added.to_owned(), delta("Hel"), delta("lo ")], "Hello "),
        (vec![added.to_owned(), part.to_owned(), delta("Hel"), delta("lo world")], "Hello world"),
        (vec![added.to_owned(), delta("world")], "Hello world"),
    ] {
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        assert_eq!(fold(Api::Responses, &events).text, text, "{events:?}");
    }
}

#[test]
fn contents_that_are_strings_are_texts() {
    let response = json!({"object":"response","status":"completed","output":[{"type":"message","content":"TEXT"}]});
    assert_eq!(fold_answer(Api::Responses, response.to_string().as_bytes()).unwrap().text, "TEXT");
    let message = json!({"type":"message","content":"TEXT","stop_reason":"end_turn"});
    assert_eq!(fold_answer(Api::Messages, message.to_string().as_bytes()).unwrap().text, "TEXT");
}

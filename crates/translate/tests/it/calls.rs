//! Tool calls whose names or arguments come in pieces, are cut off, or have ids that repeat.

use serde_json::{Value, json};
use signalbox_translate::hub::Json;
use signalbox_translate::{
    Api, Decoder, EmitOptions, Emitter, Losses, Target, read_answer, read_continued_request, read_request,
    write_answer, write_request,
};

use signalbox_grammar::{self as grammar, Said, frames};

const APIS: [Api; 3] = [Api::Chat, Api::Messages, Api::Responses];

fn options() -> EmitOptions {
    EmitOptions { id: "1".into(), ..EmitOptions::default() }
}

/// Streams events of a provider to a client.
fn stream(from: Api, to: Api, events: &[Value]) -> (Vec<grammar::Frame>, Losses) {
    let (mut decoder, mut emitter) = (Decoder::new(from, "1"), Emitter::new(to, options()));
    let (mut read, mut out) = (Vec::new(), Vec::new());
    for event in events {
        let data = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
        decoder.push(event["type"].as_str(), data.as_bytes(), &mut read);
        read.drain(..).for_each(|event| emitter.push(event, &mut out));
    }
    decoder.finish(&mut read);
    read.drain(..).for_each(|event| emitter.push(event, &mut out));
    (frames(&out), emitter.losses().clone())
}

fn said(to: Api, frames: &[grammar::Frame]) -> Said {
    match to {
        Api::Chat => grammar::chat(frames, false),
        Api::Messages => grammar::messages(frames),
        Api::Responses => grammar::responses(frames),
    }
}

fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn piece(index: u32, id: Option<&str>, name: Option<&str>, arguments: Option<&str>) -> Value {
    chunk(
        &json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}),
        None,
    )
}

fn names(events: &[Value]) -> Vec<Vec<(String, String)>> {
    let ended = [events, &[chunk(&json!({}), Some("tool_calls")), json!("[DONE]")]].concat();
    let calls = |to| {
        let calls = said(to, &stream(Api::Chat, to, &ended).0).calls;
        calls.into_iter().map(|(_, name, input)| (name, input)).collect()
    };
    APIS.into_iter().map(calls).collect()
}

#[test]
fn a_name_may_come_in_pieces() {
    let whole = [("get_forecast".to_owned(), r#"{"a":1}"#.to_owned())];
    let pieces = [
        piece(0, Some("c1"), Some("get_"), None),
        piece(0, None, Some("fore"), Some("")),
        piece(0, None, Some("cast"), None),
        piece(0, None, None, Some(r#"{"a""#)),
        piece(0, None, None, Some(":1}")),
    ];
    // The last piece comes with the arguments; the whole name in every chunk; the name so far in every chunk.
    let with_input = [
        piece(0, Some("c1"), Some("get_"), None),
        piece(0, None, Some("forecast"), Some(r#"{"a""#)),
        piece(0, None, Some("ignored"), Some(":1}")),
    ];
    let repeated: Vec<Value> =
        ["", r#"{"a""#, ":1}"].iter().map(|input| piece(0, Some("c1"), Some("get_forecast"), Some(input))).collect();
    let cumulative = [
        piece(0, Some("c1"), Some("get_"), None),
        piece(0, Some("c1"), Some("get_fore"), None),
        piece(0, Some("c1"), Some("get_forecast"), None),
        piece(0, Some("c1"), Some("get_forecast"), Some(r#"{"a":1}"#)),
    ];
    for events in [&pieces[..], &with_input, &repeated, &cumulative] {
        names(events).into_iter().for_each(|calls| assert_eq!(calls, whole, "{events:?}"));
    }
}

#[test]
fn the_names_of_parallel_calls_may_come_in_pieces() {
    let expected = [("ab".to_owned(), "{}".to_owned()), ("cd".to_owned(), r#"{"x":2}"#.to_owned())];
    let interleaved = [
        piece(0, Some("c1"), Some("a"), None),
        piece(1, Some("c2"), Some("c"), None),
        piece(0, None, Some("b"), None),
        piece(1, None, Some("d"), None),
        piece(1, None, None, Some(r#"{"x":2}"#)),
    ];
    let without_index = [
        chunk(&json!({"tool_calls": [{"function": {"name": "ab", "arguments": "{}"}}]}), None),
        chunk(&json!({"tool_calls": [{"function": {"name": "cd", "arguments": "{\"x\":"}}]}), None),
        chunk(&json!({"tool_calls": [{"function": {"arguments": "2}"}}]}), None),
    ];
    for events in [&interleaved[..], &without_index] {
        names(events).into_iter().for_each(|calls| assert_eq!(calls, expected, "{events:?}"));
    }
    // Twice the same function, without indices and ids.
    let twice = [&without_index[..1], &without_index[..1]].concat();
    let same = [expected[0].clone(), expected[0].clone()];
    names(&twice).into_iter().for_each(|calls| assert_eq!(calls, same));
    // A call whose name ends the answer, and one before a text.
    let last = [piece(0, Some("c1"), Some("a"), None), piece(0, None, Some("b"), None)];
    let text = chunk(&json!({"content": "text"}), None);
    for events in [last.to_vec(), [&last[..], &[text]].concat()] {
        names(&events).into_iter().for_each(|calls| assert_eq!(calls, expected[..1], "{events:?}"));
    }
}

/// An answer whose only call is cut off after `input`.
fn cut(from: Api, input: &str) -> Vec<Value> {
    match from {
        Api::Chat => vec![
            piece(0, Some("c1"), Some("f"), Some("")),
            piece(0, None, None, Some(input)),
            chunk(&json!({}), Some("length")),
        ],
        Api::Messages => vec![
            json!({"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "c1", "name": "f", "input": {}}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": input}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 5}}),
            json!({"type": "message_stop"}),
        ],
        Api::Responses => {
            let item = json!({"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": input, "status": "incomplete"});
            vec![
                json!({"type": "response.created", "response": {"id": "r"}}),
                json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
                json!({"type": "response.incomplete", "response": {"id": "r", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": [item]}}),
            ]
        }
    }
}

#[test]
fn arguments_that_are_cut_off_are_neither_completed_nor_dropped() {
    for from in APIS {
        for input in [r#"{"path":"a","te"#, "{", ""] {
            let events = cut(from, input);
            for to in APIS {
                let (frames, losses) = stream(from, to, &events);
                let said = said(to, &frames);
                assert_eq!(said.calls, [("c1".to_owned(), "f".to_owned(), input.to_owned())], "{from:?} {to:?}");
                assert_ne!(said.end.as_deref(), Some("completed"));
                assert_eq!(losses.to_header(), "tool_calls.arguments=altered", "{from:?} {to:?} {input}");
                if to == Api::Responses {
                    assert_eq!(frames.last().unwrap().1["response"]["output"][0]["status"], "incomplete");
                }
            }
        }
    }
}

#[test]
fn long_arguments_are_passed_whole_and_not_reported() {
    let word = "x".repeat(300_000);
    let pieces = ["{\"a\":\"", &word, &word, &word, &word, "\"}"];
    for index in [Some(0), None] {
        let mut events =
            vec![chunk(&json!({"tool_calls": [{"index": index, "id": "c1", "function": {"name": "f"}}]}), None)];
        for input in pieces {
            events.push(chunk(&json!({"tool_calls": [{"index": index, "function": {"arguments": input}}]}), None));
        }
        events.push(chunk(&json!({}), Some("tool_calls")));
        for to in APIS {
            let (frames, losses) = stream(Api::Chat, to, &events);
            assert_eq!(said(to, &frames).calls, [("c1".to_owned(), "f".to_owned(), pieces.concat())]);
            assert_eq!(losses.to_header(), "", "{to:?}");
        }
    }
}

#[test]
fn whole_answers_tell_that_arguments_are_cut_off() {
    for input in [r#"{"path":"a","te"#, ""] {
        let body = json!({"choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": null,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": input}}]}}]});
        for to in APIS {
            let answer = read_answer(Api::Chat, body.to_string().as_bytes()).unwrap();
            let (out, losses) = write_answer(to, answer, options()).unwrap();
            let out: Value = serde_json::from_slice(&out).unwrap();
            match to {
                Api::Chat => assert_eq!(out["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], input),
                Api::Messages => {
                    assert_eq!(out["content"][0]["input"], json!({"_raw": input}));
                    assert_eq!(out["stop_reason"], "max_tokens");
                }
                Api::Responses => {
                    assert_eq!(
                        (&out["output"][0]["arguments"], &out["output"][0]["status"]),
                        (&json!(input), &json!("incomplete"))
                    );
                }
            }
            assert_eq!(losses.to_header(), "tool_calls.arguments=altered", "{to:?}");
        }
    }
}

#[test]
fn the_input_of_a_custom_tool_that_is_cut_off_is_the_text_so_far() {
    let request = json!({"model": "m", "input": "hi", "tools": [{"type": "custom", "name": "f"}]});
    let request = read_request(Api::Responses, request.to_string().as_bytes()).unwrap();
    let written = write_request(Api::Chat, &request, &Target { custom_tools: false, ..Target::default() }).unwrap();
    let options = EmitOptions { tools: written.tools, ..options() };
    let (mut decoder, mut emitter) = (Decoder::new(Api::Chat, "1"), Emitter::new(Api::Responses, options));
    let (mut read, mut out) = (Vec::new(), Vec::new());
    for event in cut(Api::Chat, r#"{"input":"*** Begin\n\u00e9"#) {
        decoder.push(None, event.to_string().as_bytes(), &mut read);
    }
    decoder.finish(&mut read);
    read.into_iter().for_each(|event| emitter.push(event, &mut out));
    let frames = frames(&out);
    assert_eq!(grammar::responses(&frames).calls[0].2, "*** Begin\n\u{E9}");
    assert_eq!(emitter.losses().to_header(), "tool_calls.input=altered");
}

#[test]
fn calls_without_arguments_have_an_empty_object() {
    let events = [piece(0, Some("c1"), Some("f"), Some("")), piece(1, Some("c2"), Some("g"), Some(""))];
    for calls in names(&events) {
        assert_eq!(calls, [("f".to_owned(), "{}".to_owned()), ("g".to_owned(), "{}".to_owned())]);
    }
    // Only the last call can be cut off.
    let cut = [&events[..], &[chunk(&json!({}), Some("length"))]].concat();
    for to in APIS {
        let inputs: Vec<String> =
            said(to, &stream(Api::Chat, to, &cut).0).calls.into_iter().map(|call| call.2).collect();
        assert_eq!(inputs, ["{}", ""], "{to:?}");
    }
}

#[test]
fn ids_of_calls_differ_within_an_answer() {
    let call = |id: Option<&str>| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let body = |content: &str| {
        json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"content": content, "tool_calls": [
            call(Some("c")), call(Some("c")), call(None), call(None)]}}]})
    };
    let ids = |content: &str| -> Vec<String> {
        let answer = read_answer(Api::Chat, body(content).to_string().as_bytes()).unwrap();
        let out = write_answer(Api::Messages, answer, options()).unwrap().0;
        let out: Value = serde_json::from_slice(&out).unwrap();
        out["content"].as_array().unwrap().iter().filter_map(|block| block["id"].as_str().map(str::to_owned)).collect()
    };
    let (first, second) = (ids("a"), ids("b"));
    assert_eq!((&first[..2], first.len()), (&["c".to_owned(), "c_2".to_owned()][..], 4));
    let made: std::collections::HashSet<&String> = first[2..].iter().chain(&second[2..]).collect();
    assert_eq!((made.len(), ids("a")), (4, first.clone()));
}

/// Returns the ids of the calls and of the results of a request, in order.
fn history(api: Api, body: &[u8]) -> (Vec<String>, Vec<String>) {
    let body: Value = serde_json::from_slice(body).unwrap();
    let (mut calls, mut results) = (Vec::new(), Vec::new());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for message in list(&body[if api == Api::Responses { "input" } else { "messages" }]) {
        match api {
            Api::Chat => {
                calls.extend(list(&message["tool_calls"]).iter().map(|call| text(&call["id"])));
                results.extend(message["tool_call_id"].as_str().map(str::to_owned));
            }
            Api::Messages => {
                let blocks = list(&message["content"]);
                calls.extend(blocks.iter().filter(|block| block["type"] == "tool_use").map(|block| text(&block["id"])));
                results.extend(blocks.iter().filter_map(|block| block["tool_use_id"].as_str().map(str::to_owned)));
            }
            Api::Responses if message["type"] == "function_call" => calls.push(text(&message["call_id"])),
            Api::Responses => results.extend(message["call_id"].as_str().map(str::to_owned)),
        }
    }
    (calls, results)
}

#[test]
fn ids_of_calls_differ_within_a_history() {
    let call = |id: &str| json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "f", "arguments": "{}"});
    let result = |id: &str, text: &str| json!({"type": "function_call_output", "call_id": id, "output": text});
    let turns = json!([{"role": "user", "content": "hi"},
        call("c"), result("c", "1"), call("c"), call("c"), call("d"), result("c", "2"), result("d", "d"), result("c", "3"),
        {"role": "user", "content": "again"}, call("c"), result("c", "4")]);
    let request = json!({"model": "m", "input": turns});
    let request = read_request(Api::Responses, request.to_string().as_bytes()).unwrap();
    for to in APIS {
        let written = write_request(to, &request, &Target::default()).unwrap();
        let (calls, results) = history(to, &written.body);
        assert_eq!(calls, ["c", "c_2", "c_3", "d", "c_4"], "{to:?}");
        assert_eq!(results, ["c", "c_2", "d", "c_3", "c_4"], "{to:?}");
        assert_eq!(write_request(to, &request, &Target::default()).unwrap().body, written.body);
    }
}

#[test]
fn items_that_a_client_sends_again_are_read_once() {
    let message = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "A", "annotations": []}]});
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"});
    let user = json!({"type": "message", "role": "user", "content": "hi"});
    let stored: Vec<Json> =
        [&user, &message, &call].iter().map(|item| Json::parse(&item.to_string()).unwrap()).collect();
    let result = json!({"type": "function_call_output", "call_id": "c", "output": "r"});
    let anonymous = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    for input in [json!([result]), json!([message, call, result]), json!([anonymous, result])] {
        let body = json!({"model": "m", "previous_response_id": "resp_1", "input": input});
        let request = read_continued_request(body.to_string().as_bytes(), &stored).unwrap();
        let written = write_request(Api::Chat, &request, &Target::default()).unwrap();
        let out: Value = serde_json::from_slice(&written.body).unwrap();
        let roles: Vec<&str> =
            out["messages"].as_array().unwrap().iter().map(|one| one["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", "assistant", "tool"], "{input}");
        assert_eq!(history(Api::Chat, &written.body), (vec!["c".to_owned()], vec!["c".to_owned()]));
    }
    // Another item with the id of a stored one is no repetition.
    let other = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": "B"});
    let body = json!({"model": "m", "previous_response_id": "resp_1", "input": [other]});
    let request = read_continued_request(body.to_string().as_bytes(), &stored[..2]).unwrap();
    let out = write_request(Api::Chat, &request, &Target::default()).unwrap().body;
    assert!(String::from_utf8(out).unwrap().contains("\"B\""));
}

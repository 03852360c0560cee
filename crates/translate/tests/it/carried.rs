//! Thinking that goes back to its vendor although the client cannot carry it.

use std::sync::Arc;

use serde_json::{Value, json};
use signalbox_translate::hub::{Carried, Event, Fold, Found, Request, conversation_hash, restore_reasoning};
use signalbox_translate::{Api, Decoder, Losses, Target, read_answer, read_request, write_request};

/// Returns the request of a chat client that asks, and the one that gives the results of these calls.
fn turns(calls: &[&str], text: &Value) -> [Value; 2] {
    let ask = json!({"role": "user", "content": "hi"});
    let made: Vec<Value> = calls
        .iter()
        .map(|id| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}))
        .collect();
    let mut next = vec![ask.clone(), json!({"role": "assistant", "content": text, "tool_calls": made})];
    next.extend(calls.iter().map(|id| json!({"role": "tool", "tool_call_id": id, "content": "ok"})));
    [json!({"model": "m", "messages": [ask]}), json!({"model": "m", "messages": next})]
}

fn read(api: Api, body: &Value) -> Request {
    read_request(api, body.to_string().as_bytes()).unwrap()
}

/// Restores what an answer carries to the second of two turns. Returns the body, and what was lost.
fn second_turn(
    carried: Carried,
    [first, second]: &[Value; 2],
    client: Api,
    to: Api,
    target: &Target,
) -> (Value, Losses) {
    let before = conversation_hash(&read(client, first).messages);
    let carried = Arc::new(carried);
    let mut request = read(client, second);
    let (mut losses, _) = restore_reasoning(&mut request, |id, hash| {
        assert_eq!(hash, before);
        if id == carried.calls[0].id { Found::Carried(Arc::clone(&carried)) } else { Found::Unknown }
    });
    let written = write_request(to, &request, target).unwrap();
    let mut known = Losses::default();
    written.losses.iter().filter(|loss| loss.field != "max_tokens").for_each(|loss| known.add(loss.clone()));
    losses.append(known);
    (serde_json::from_slice(&written.body).unwrap(), losses)
}

fn messages_answer(content: &Value) -> Carried {
    let answer = json!({"type": "message", "id": "msg_1", "model": "m", "role": "assistant", "content": content,
        "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}});
    read_answer(Api::Messages, answer.to_string().as_bytes()).unwrap().carried().unwrap()
}

fn thinking(text: &str) -> Value {
    json!({"type": "thinking", "thinking": text, "signature": "S"})
}

fn call(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "f", "input": {}})
}

#[test]
fn thinking_returns_to_the_vendor_that_made_it() {
    let carried = messages_answer(&json!([thinking("T"), call("t1")]));
    let mut turns = turns(&["t1"], &Value::Null);
    turns[1]["messages"][1]["reasoning_content"] = "T".into();
    let (body, losses) = second_turn(carried, &turns, Api::Chat, Api::Messages, &Target::default());
    assert_eq!(body["messages"][1]["content"], json!([thinking("T"), call("t1")]));
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn thinking_between_calls_keeps_its_place() {
    let redacted = json!({"type": "redacted_thinking", "data": "R"});
    let text = json!({"type": "text", "text": "let me see"});
    let carried = messages_answer(&json!([thinking("A"), text, call("t1"), thinking("B"), redacted, call("t2")]));
    let turns = turns(&["t1", "t2"], &json!("let me see"));
    let (body, losses) = second_turn(carried, &turns, Api::Chat, Api::Messages, &Target::default());
    let expected = json!([thinking("A"), text, call("t1"), thinking("B"), redacted, call("t2")]);
    assert_eq!(body["messages"][1]["content"], expected);
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn encrypted_reasoning_returns_before_its_call() {
    let answer = json!({"object": "response", "id": "resp_1", "status": "completed", "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"},
        {"type": "function_call", "id": "fc_1", "call_id": "t1", "name": "f", "arguments": "{}"}]});
    let carried = read_answer(Api::Responses, answer.to_string().as_bytes()).unwrap().carried().unwrap();
    for client in [Api::Chat, Api::Messages] {
        let turns = match client {
            Api::Chat => turns(&["t1"], &Value::Null),
            _ => {
                let ask = json!({"role": "user", "content": "hi"});
                let unsigned = json!({"type": "thinking", "thinking": "summary", "signature": ""});
                let result = json!({"type": "tool_result", "tool_use_id": "t1", "content": "ok"});
                let next = [
                    ask.clone(),
                    json!({"role": "assistant", "content": [unsigned, call("t1")]}),
                    json!({"role": "user", "content": [result]}),
                ];
                [
                    json!({"model": "m", "max_tokens": 9, "messages": [ask]}),
                    json!({"model": "m", "max_tokens": 9, "messages": next}),
                ]
            }
        };
        let (body, losses) = second_turn(carried.clone(), &turns, client, Api::Responses, &Target::default());
        assert_eq!(
            body["input"][1],
            json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"}),
            "{client}"
        );
        assert_eq!((&body["input"][2]["type"], &body["input"][2]["call_id"]), (&json!("function_call"), &json!("t1")));
        assert!(losses.is_empty(), "{client}: {losses:?}");
    }
}

#[test]
fn signatures_of_gemini_return_on_the_call_that_had_them() {
    let extra = json!({"google": {"thought_signature": "G"}});
    let chunks = [
        json!({"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [
            {"index": 0, "id": "t1", "type": "function", "extra_content": extra, "function": {"name": "f", "arguments": "{}"}},
            {"index": 1, "id": "t2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    ];
    let (mut decoder, mut events, mut fold) = (Decoder::new(Api::Chat, "1"), Vec::<Event>::new(), Fold::default());
    chunks.iter().for_each(|chunk| decoder.push(None, chunk.to_string().as_bytes(), &mut events));
    decoder.finish(&mut events);
    events.into_iter().for_each(|event| fold.push(event));
    let streamed = fold.finish().unwrap().carried().unwrap();
    let mut whole = json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant"}}]});
    whole["choices"][0]["message"]["tool_calls"] = chunks[0]["choices"][0]["delta"]["tool_calls"].clone();
    let whole = read_answer(Api::Chat, whole.to_string().as_bytes()).unwrap();
    assert_eq!(whole.carried().as_ref(), Some(&streamed));
    // It also survives the way through the events of the answer.
    let mut fold = Fold::default();
    whole.into_events().into_iter().for_each(|event| fold.push(event));
    assert_eq!(fold.finish().unwrap().carried().as_ref(), Some(&streamed));

    let target = Target { call_extra: Some(r#"{"google":{"thought_signature":"none"}}"#), ..Target::default() };
    let turns = turns(&["t1", "t2"], &Value::Null);
    let (body, losses) = second_turn(streamed, &turns, Api::Chat, Api::Chat, &target);
    let calls = &body["messages"][1]["tool_calls"];
    assert_eq!((&calls[0]["extra_content"], calls[1].get("extra_content")), (&extra, None), "{body}");
    assert!(losses.is_empty(), "{losses:?}");
    // A call of another model has none, and the model would refuse it.
    let written = write_request(Api::Chat, &read(Api::Chat, &turns[1]), &target).unwrap();
    let body: Value = serde_json::from_slice(&written.body).unwrap();
    let calls = &body["messages"][1]["tool_calls"];
    assert_eq!(calls[0]["extra_content"]["google"]["thought_signature"], "none");
    assert_eq!(calls[1].get("extra_content"), None);
    assert_eq!(written.losses.to_header(), "messages.*.tool_calls.*=emulated");
}

#[test]
fn what_is_not_given_back_is_reported() {
    let carried = messages_answer(&json!([thinking("T"), call("t1"), call("t2")]));
    let request = read(Api::Chat, &turns(&["t1"], &Value::Null)[1]);
    let whole = Arc::new(carried);
    let finds: [(Found, &[&str]); 3] = [
        (Found::Foreign("organization_binding"), &["messages.1.content.0 organization_binding"]),
        (Found::Carried(whole), &["messages.1.content.0 the calls of the answer have changed"]),
        (Found::Unknown, &[]),
    ];
    for (found, expected) in finds {
        let mut request = request.clone();
        let (losses, whole) = restore_reasoning(&mut request, |_, _| found.clone());
        assert_eq!(whole, conversation_hash(&request.messages));
        let told: Vec<String> = losses.iter().map(|loss| format!("{} {}", loss.field, loss.why)).collect();
        assert_eq!(told, expected);
        assert!(!request.messages.iter().flat_map(|message| &message.blocks).any(|block| block.is_thinking()));
    }
}

#[test]
fn only_what_is_said_belongs_to_the_conversation() {
    let hash = |body: &Value| conversation_hash(&read(Api::Messages, body).messages);
    let of = |answer: Value, ask: &str| {
        json!({"model": "m", "max_tokens": 9, "system": "s", "messages": [
            {"role": "user", "content": ask}, {"role": "assistant", "content": answer}]})
    };
    let base = hash(&of(json!([thinking("T"), call("t1")]), "hi"));
    assert_eq!(base, hash(&of(json!([call("t1")]), "hi")));
    let cached =
        json!([{"type": "tool_use", "id": "t1", "name": "f", "input": {}, "cache_control": {"type": "ephemeral"}}]);
    assert_eq!(base, hash(&of(cached, "hi")));
    assert_ne!(base, hash(&of(json!([call("t1")]), "ho")));
    assert_ne!(base, hash(&of(json!([call("t2")]), "hi")));
    assert_ne!(base, hash(&of(json!([call("t1"), {"type": "text", "text": "x"}]), "hi")));
    let mut other = of(json!([call("t1")]), "hi");
    other["system"] = "t".into();
    assert_ne!(base, hash(&other));
}

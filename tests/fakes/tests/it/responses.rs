//! Responses: the grammar of the answers, the store, and the requests that are refused.

use std::collections::HashMap;

use serde_json::{Value, json};
use signalbox_fakes::{FakeProvider, Turn, script::FaultKind};

use crate::client::{Answer, Client};

const PATH: &str = "/v1/responses";

async fn post(fake: &FakeProvider, body: &Value) -> Answer {
    let mut client = Client::connect(fake).await;
    client.post(PATH, &body.to_string()).await;
    client.answer().await
}

async fn ask(fake: &FakeProvider, model: &str, stream: bool) -> Answer {
    post(fake, &json!({"model": model, "stream": stream, "input": "one two three"})).await
}

/// Checks the order of the events and that each text is the sum of its deltas; returns the final response.
#[track_caller]
fn fold(events: &[Value]) -> Value {
    let id = &events[0]["response"]["id"];
    let (mut items, mut sums): (Vec<Value>, HashMap<String, String>) = (Vec::new(), HashMap::new());
    let mut open: Option<Value> = None;
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
        let kind = event["type"].as_str().unwrap().strip_prefix("response.").unwrap();
        if !event["item_id"].is_null() {
            let item = open.as_ref().unwrap();
            assert_eq!((&event["item_id"], &event["output_index"]), (&item["id"], &json!(items.len())), "{event}");
        }
        let part = kind.rsplit_once('.').map_or(kind, |(part, _)| part).to_owned();
        match kind {
            "created" | "in_progress" => assert_eq!((number < 2, &event["response"]["output"]), (true, &json!([]))),
            "output_item.added" => {
                assert!(open.is_none() && event["output_index"] == items.len());
                open = Some(event["item"].clone());
            }
            "output_item.done" => {
                let item = open.take().unwrap();
                assert_eq!((&item["id"], &item["type"]), (&event["item"]["id"], &event["item"]["type"]));
                items.push(event["item"].clone());
            }
            "completed" | "incomplete" => {
                assert_eq!(number + 1, events.len());
                let response = &event["response"];
                assert_eq!(
                    (&response["id"], response["status"].as_str(), &response["output"]),
                    (id, Some(kind), &json!(items))
                );
            }
            "content_part.added"
            | "reasoning_summary_part.added"
            | "content_part.done"
            | "reasoning_summary_part.done" => {
                assert!(event["part"]["text"].is_string());
            }
            _ if kind.ends_with(".delta") => sums.entry(part).or_default().push_str(event["delta"].as_str().unwrap()),
            _ => {
                let all = ["text", "arguments", "input"].into_iter().find_map(|field| event[field].as_str()).unwrap();
                assert_eq!(sums.remove(&part).as_deref(), Some(all), "{event}");
            }
        }
    }
    assert!(sums.is_empty());
    events.last().unwrap()["response"].clone()
}

#[tokio::test]
async fn streamed_and_whole_responses_are_equal() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script(
        "all",
        Turn::says("Some text.").thinks("Let me see.").and_calls("f", r#"{"a":1}"#).and_calls("g", "[]"),
    );
    let names = ["echo", "tool", "reasoning", "length", "refusal", "cached", "parallel-3", "think-2"];
    let names = names.iter().map(|name| format!("fake-{name}"));
    for model in names.chain(["all".to_owned()]) {
        let streamed = ask(&fake, &model, true).await;
        assert!(streamed.whole && streamed.head.contains("\r\nx-request-id: req_fake"), "{}", streamed.head);
        let mut answers = [fold(&streamed.events()), ask(&fake, &model, false).await.json()];
        // Ids differ from answer to answer.
        for answer in &mut answers {
            answer["id"] = Value::Null;
            for item in answer["output"].as_array_mut().unwrap() {
                item["id"] = Value::Null;
                item["call_id"] = Value::Null;
            }
        }
        assert_eq!(answers[0], answers[1], "{model}");
    }
}

#[tokio::test]
async fn each_part_of_an_answer_is_an_item() {
    let fake = FakeProvider::start().await.unwrap();
    let turn = Turn::says("Some text.").thinks("Let me see.").and_calls("f", r#"{"a":1}"#).and_calls("g", "free text");
    fake.script("all", turn);
    let tools = json!([{"type": "custom", "name": "g"}]);
    for (reasoning, shown) in [(json!({"summary": "auto"}), "summary"), (Value::Null, "content")] {
        let body = json!({"model": "all", "stream": true, "input": "x", "tools": tools, "reasoning": reasoning});
        let response = fold(&post(&fake, &body).await.events());
        let output = &response["output"];
        let kinds: Vec<_> = output.as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["reasoning", "message", "function_call", "custom_tool_call"]);
        assert_eq!(output[0][shown][0]["text"], "Let me see.");
        assert_eq!((&output[2]["arguments"], &output[3]["input"]), (&json!(r#"{"a":1}"#), &json!("free text")));
        assert_eq!(response["tools"], tools);
    }
    let cut = ask(&fake, "fake-length", false).await.json();
    assert_eq!(
        (&cut["status"], &cut["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    let usage = ask(&fake, "fake-cached", false).await.json()["usage"].take();
    assert_eq!((&usage["input_tokens"], &usage["input_tokens_details"]["cached_tokens"]), (&json!(125), &json!(90)));
    assert_eq!(usage["input_tokens_details"]["cache_write_tokens"], 25);
    assert_eq!((&usage["output_tokens"], &usage["total_tokens"]), (&json!(6), &json!(131)));
}

#[tokio::test]
async fn a_failed_stream_ends_with_the_response_or_a_bare_error() {
    let fake = FakeProvider::start().await.unwrap();
    let turn = || Turn::says("a b").thinks("c");
    fake.script("m", turn().after(9, FaultKind::ErrorEvent));
    let events = ask(&fake, "m", true).await.events();
    let (created, failed) = (&events[0]["response"], &events.last().unwrap()["response"]);
    assert_eq!((events.len(), events.last().unwrap()["sequence_number"].as_u64()), (10, Some(9)));
    assert_eq!(
        (&failed["id"], &failed["status"], &failed["error"]["code"]),
        (&created["id"], &json!("failed"), &json!("server_error"))
    );
    assert_eq!(failed["output"][0]["type"], "reasoning", "only complete items: {failed}");
    assert_eq!(failed["output"].as_array().unwrap().len(), 1);
    fake.script("m", turn().after(0, FaultKind::BareErrorEvent));
    let events = ask(&fake, "m", true).await.events();
    assert_eq!((events.len(), &events[0]["type"], &events[0]["code"]), (1, &json!("error"), &json!("server_error")));
}

#[tokio::test]
async fn responses_are_stored_unless_forbidden() {
    let fake = FakeProvider::start().await.unwrap();
    let call = |id: &Value| json!({"type": "function_call_output", "call_id": id, "output": "r"});
    for stream in [true, false] {
        let first = ask(&fake, "fake-loop-1", stream).await;
        let first = if stream { fold(&first.events()) } else { first.json() };
        let body = json!({
            "model": "fake-loop-1", "previous_response_id": first["id"], "input": [call(&first["output"][0]["call_id"])],
        });
        let second = post(&fake, &body).await.json();
        assert_eq!(second["output"][0]["content"][0]["text"], "r");
        // The item is referred to, and its call follows from the store.
        let reference = json!({"type": "item_reference", "id": first["output"][0]["id"]});
        let body = json!({"model": "fake-loop-1", "input": [reference, call(&first["output"][0]["call_id"])]});
        assert_eq!(post(&fake, &body).await.status(), 200);
    }
    let kept = ask(&fake, "m", false).await.json();
    let path = format!("{PATH}/{}", kept["id"].as_str().unwrap());
    for (method, status) in [("GET", 200), ("DELETE", 200), ("GET", 404), ("DELETE", 404)] {
        let mut client = Client::connect(&fake).await;
        client.send(format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        assert_eq!(client.answer().await.status(), status, "{method}");
    }
    let passing = post(&fake, &json!({"model": "m", "input": "x", "store": false})).await.json();
    let answer = post(&fake, &json!({"model": "m", "input": "x", "previous_response_id": passing["id"]})).await;
    assert_eq!((answer.status(), &answer.json()["error"]["code"]), (400, &json!("previous_response_not_found")));
    let reference = json!([{"type": "item_reference", "id": passing["output"][0]["id"]}]);
    assert_eq!(post(&fake, &json!({"model": "m", "input": reference})).await.status(), 404);
}

#[tokio::test]
async fn invalid_requests_are_refused() {
    let fake = FakeProvider::start().await.unwrap();
    let message = |role: &str, kind: &str| json!([{"role": role, "content": [{"type": kind, "text": "x"}]}]);
    let call = json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c2", "output": "r"});
    let nested = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
    let loose = json!({"type": "function", "name": "f", "strict": true, "parameters": {"type": "object"}});
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    let foreign = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "abc"});
    for (changes, param, expected) in [
        (json!({"model": null}), json!("model"), "Missing required parameter: 'model'."),
        (json!({"input": null}), json!("input"), "Missing required parameter: 'input'."),
        (json!({"messages": []}), json!("messages"), "Unknown parameter"),
        (json!({"max_output_tokens": 1}), json!("max_output_tokens"), ">= 16"),
        (json!({"tool_choice": "any"}), json!("tool_choice"), "Invalid value: 'any'"),
        (json!({"tools": [nested]}), json!("tools[0].name"), "Missing required parameter"),
        (json!({"tools": [loose]}), json!("parameters"), "'additionalProperties'"),
        (json!({"text": {"format": {"type": "json_schema", "schema": {}}}}), json!("text.format.name"), "Missing"),
        (json!({"input": message("tool", "input_text")}), json!("input[0].role"), "Invalid value: 'tool'"),
        (json!({"input": message("user", "text")}), json!("input[0].content[0].type"), "Invalid value: 'text'"),
        (json!({"input": message("assistant", "input_text")}), json!("input[0].content[0].type"), "'output_text'"),
        (json!({"input": [{"type": "tool_use"}]}), json!("input[0].type"), "Invalid value: 'tool_use'"),
        (
            json!({"input": [{"type": "message", "id": "x", "role": "user", "content": ""}]}),
            json!("input[0].id"),
            "begins with 'msg'",
        ),
        (json!({"input": [call]}), json!("input"), "No tool output found for function call c1."),
        (json!({"input": [output]}), json!("input"), "No tool call found for function call output with call_id c2."),
        (json!({"input": [reasoning]}), json!("input"), "without its required following item"),
        (json!({"input": [foreign]}), json!("input[0].encrypted_content"), "could not be verified"),
    ] {
        let mut body = json!({"model": "m", "input": "x"});
        for (field, value) in changes.as_object().unwrap() {
            body[field] = value.clone();
        }
        let answer = post(&fake, &body).await;
        let error = answer.json()["error"].take();
        assert_eq!(
            (answer.status(), &error["type"], &error["param"]),
            (400, &json!("invalid_request_error"), &param),
            "{changes}"
        );
        assert!(error["message"].as_str().unwrap().contains(expected), "{changes}: {error}");
    }
}

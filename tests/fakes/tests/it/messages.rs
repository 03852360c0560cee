//! Messages: the grammar of the answers, and the requests that are refused.

use serde_json::{Value, json};
use signalbox_fakes::{FakeProvider, Turn, script::Usage};

use crate::client::{Answer, Client};

const PATH: &str = "/v1/messages";
const VERSION: &str = "anthropic-version: 2026-10-21\r\n";

fn request(model: &str, stream: bool) -> Value {
    json!({
        "model": model, "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": "one two three"}],
    })
}

async fn post(fake: &FakeProvider, path: &str, headers: &str, body: &Value) -> Answer {
    let mut client = Client::connect(fake).await;
    client.post_with(path, headers, &body.to_string()).await;
    client.answer().await
}

async fn ask(fake: &FakeProvider, model: &str, stream: bool) -> Answer {
    post(fake, PATH, VERSION, &request(model, stream)).await
}

/// Puts the events of a stream together as the vendor's SDKs do, and checks their order.
#[track_caller]
fn fold(events: &[Value]) -> Value {
    let mut events = events.iter().filter(|event| event["type"] != "ping");
    let start = events.next().unwrap();
    assert_eq!(start["type"], "message_start");
    let mut message = start["message"].clone();
    assert_eq!((&message["content"], &message["stop_reason"]), (&json!([]), &Value::Null));
    let (mut blocks, mut open): (Vec<Value>, Option<String>) = (Vec::new(), None);
    let append = |field: &mut Value, piece: &Value| {
        *field = json!([field.as_str(), piece.as_str()].map(Option::unwrap).concat())
    };
    for event in events {
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert!(open.is_none() && event["index"] == blocks.len(), "{event}");
                blocks.push(event["content_block"].clone());
                open = Some(String::new());
            }
            "content_block_delta" => {
                assert_eq!(event["index"], blocks.len() - 1);
                let (block, delta) = (blocks.last_mut().unwrap(), &event["delta"]);
                match delta["type"].as_str().unwrap() {
                    "text_delta" => append(&mut block["text"], &delta["text"]),
                    "thinking_delta" => append(&mut block["thinking"], &delta["thinking"]),
                    "signature_delta" => append(&mut block["signature"], &delta["signature"]),
                    "input_json_delta" => open.as_mut().unwrap().push_str(delta["partial_json"].as_str().unwrap()),
                    other => assert_eq!(other, "a type of the grammar"),
                }
            }
            "content_block_stop" => {
                let input = open.take().unwrap();
                if !input.is_empty() {
                    blocks.last_mut().unwrap()["input"] = serde_json::from_str(&input).unwrap();
                }
            }
            "message_delta" => {
                assert!(open.is_none());
                for (field, value) in event["delta"].as_object().unwrap() {
                    message[field] = value.clone();
                }
                message["usage"] = event["usage"].clone();
            }
            "message_stop" => assert!(!message["stop_reason"].is_null()),
            other => assert_eq!(other, "a type of the grammar"),
        }
    }
    message["content"] = blocks.into();
    message
}

#[tokio::test]
async fn streamed_and_whole_messages_are_equal() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script(
        "all",
        Turn::says("Some text.").thinks("Let me see.").and_calls("f", r#"{"a":1}"#).and_calls("g", "{}"),
    );
    let names = ["echo", "tool", "reasoning", "length", "refusal", "cached", "parallel-3", "think-2"];
    let names = names.iter().map(|name| format!("fake-{name}"));
    for model in names.chain(["all".to_owned()]) {
        let streamed = ask(&fake, &model, true).await;
        assert!(streamed.whole && streamed.head.contains("\r\nrequest-id: req_fake"), "{}", streamed.head);
        let events = streamed.events();
        assert_eq!(events.last().unwrap()["type"], "message_stop");
        assert_eq!(events.iter().filter(|event| event["type"] == "ping").count(), 1);
        let mut answers = [fold(&events), ask(&fake, &model, false).await.json()];
        // Ids differ from answer to answer.
        for answer in &mut answers {
            answer["id"] = Value::Null;
            for block in answer["content"].as_array_mut().unwrap() {
                block.as_object_mut().unwrap().remove("id");
            }
        }
        assert_eq!(answers[0], answers[1], "{model}");
    }
}

#[tokio::test]
async fn each_part_of_an_answer_is_a_block() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script(
        "all",
        Turn::says("Some text.").thinks("Let me see.").and_calls("f", r#"{"a":1}"#).and_calls("g", "{}"),
    );
    let message = fold(&ask(&fake, "all", true).await.events());
    let kinds: Vec<_> =
        message["content"].as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use", "tool_use"]);
    assert_ne!(message["content"][2]["id"], message["content"][3]["id"]);
    assert_eq!((&message["stop_reason"], &message["content"][2]["input"]), (&json!("tool_use"), &json!({"a": 1})));
    let refusal = ask(&fake, "fake-refusal", false).await.json();
    assert_eq!((&refusal["stop_reason"], &refusal["stop_details"]["type"]), (&json!("refusal"), &json!("refusal")));
    let hidden = json!({
        "model": "all", "max_tokens": 9, "thinking": {"type": "adaptive", "display": "omitted"},
        "messages": [{"role": "user", "content": "x"}],
    });
    let hidden = post(&fake, PATH, VERSION, &hidden).await.json();
    assert_eq!(hidden["content"][0]["thinking"], "");
    assert!(!hidden["content"][0]["signature"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn arguments_keep_their_spelling() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script("m", Turn::calls("f", r#"{"b":1.0,"a":12345678901234567890}"#));
    assert!(ask(&fake, "m", false).await.text().contains(r#""input":{"b":1.0,"a":12345678901234567890}"#));
}

#[tokio::test]
async fn usage_has_every_class() {
    let fake = FakeProvider::start().await.unwrap();
    let usage = fold(&ask(&fake, "fake-cached", true).await.events())["usage"].take();
    assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(10), &json!(90)));
    assert_eq!(usage["cache_creation"], json!({"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 5}));
    assert_eq!((&usage["output_tokens"], &usage["output_tokens_details"]["thinking_tokens"]), (&json!(6), &json!(3)));
    fake.script("m", Turn::echo().chat(|chat| chat.usage = Usage::Never));
    assert!(ask(&fake, "m", false).await.json().get("usage").is_none());
}

#[tokio::test]
async fn tokens_are_counted_without_a_turn_of_the_script() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script("m", Turn::error(500));
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    let path = "/v1/messages/count_tokens?beta=true";
    assert_eq!(post(&fake, path, VERSION, &body).await.json(), json!({"input_tokens": 10}));
    assert_eq!(fake.calls_of("m")[0].path, path);
    fake.script("/v1/messages/count_tokens", Turn::error(529));
    let answer = post(&fake, path, VERSION, &body).await;
    assert_eq!((answer.status(), &answer.json()["error"]["type"]), (529, &json!("overloaded_error")));
}

#[tokio::test]
async fn models_have_the_shape_of_the_vendor_asked() {
    let fake = FakeProvider::start().await.unwrap();
    for (headers, field) in [("", "object"), (VERSION, "display_name")] {
        let mut client = Client::connect(&fake).await;
        client.send(format!("GET /v1/models?limit=1000 HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes()).await;
        let models = client.answer().await.json();
        assert!(models["data"][0][field].is_string(), "{models}");
    }
    assert_eq!(fake.list_calls().len(), 2);
}

/// Asks with the changes of a valid request and returns the message of the refusal.
async fn refused(fake: &FakeProvider, headers: &str, changes: &Value) -> String {
    let mut body = request("m", true);
    for (field, value) in changes.as_object().unwrap() {
        body[field] = value.clone();
    }
    body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let answer = post(fake, PATH, headers, &body).await;
    let error = answer.json();
    assert_eq!((answer.status(), &error["type"]), (400, &json!("error")), "{changes}: {error}");
    assert_eq!(error["error"]["type"], "invalid_request_error");
    assert!(error["request_id"].as_str().unwrap().starts_with("req_"));
    error["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn invalid_fields_are_refused() {
    let fake = FakeProvider::start().await.unwrap();
    assert_eq!(refused(&fake, "", &json!({})).await, "anthropic-version: header is required");
    let schema = json!({"type": "object"});
    for (changes, expected) in [
        (json!({"max_tokens": null}), "max_tokens: Field required"),
        (json!({"model": null}), "model: Field required"),
        (json!({"messages": []}), "at least one message"),
        (json!({"temperature": 1}), "temperature: Extra inputs"),
        (json!({"stream_options": {}}), "stream_options: Extra inputs"),
        (json!({"context_management": {}}), "context_management: Extra inputs"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}), "`max_tokens` must be greater"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 5}}), "greater than or equal to 1024"),
        (json!({"tools": [{"name": "f"}]}), "input_schema: Field required"),
        (json!({"tools": [{"name": "f.g", "input_schema": schema}]}), "should match pattern"),
        (json!({"tools": [{"name": "f", "input_schema": schema}, {"name": "f", "input_schema": schema}]}), "unique"),
        (json!({"tool_choice": {"type": "tool", "name": "f"}}), "not found in provided tools"),
        (json!({"tool_choice": "auto"}), "tool_choice: Input should be"),
    ] {
        let message = refused(&fake, VERSION, &changes).await;
        assert!(message.contains(expected), "{changes}: {message}");
    }
    let mut old = request("m", false);
    old["temperature"] = json!(1);
    old["context_management"] = json!({});
    let headers = "anthropic-version: 2023-06-01\r\nanthropic-beta: context-management-2025-06-27\r\n";
    assert_eq!(post(&fake, PATH, headers, &old).await.status(), 200);
}

#[tokio::test]
async fn invalid_conversations_are_refused() {
    let fake = FakeProvider::start().await.unwrap();
    let user = |content: Value| json!({"role": "user", "content": content});
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]});
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "r"});
    let marked = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
    let image =
        |data: &str| json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}});
    for (messages, expected) in [
        (json!([{"role": "tool", "content": "x"}]), "messages.0.role"),
        (json!([{"role": "system", "content": "x"}]), "messages.0.role"),
        (json!([user(json!(""))]), "non-empty content"),
        (json!([user(json!([{"type": "text", "text": ""}]))]), "text content blocks must be non-empty"),
        (json!([user(json!([{"type": "input_text", "text": "x"}]))]), "Input tag 'input_text'"),
        (json!([user(json!([image("iVBORw0")]))]), "Invalid base64"),
        (json!([user(json!([result("t1")]))]), "unexpected `tool_use_id`"),
        (json!([user(json!("x")), call, user(json!("y"))]), "without `tool_result` blocks"),
        (json!([user(json!("x")), call, user(json!([marked, result("t1")]))]), "without `tool_result` blocks"),
        (json!([user(json!("x")), call, user(json!([result("t1"), result("t2")]))]), "unexpected `tool_use_id`"),
        (
            json!([{"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "s"}]}]),
            "Invalid `signature`",
        ),
        (
            json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "a.b", "name": "f", "input": {}}]}]),
            "pattern",
        ),
        (
            json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "{}"}]}]),
            "dictionary",
        ),
        (json!([user(json!([marked, marked, marked, marked, marked]))]), "Found 5"),
    ] {
        let message = refused(&fake, VERSION, &json!({"messages": messages})).await;
        assert!(message.contains(expected), "{messages}: {message}");
    }
    let mut valid = request("fake-image", false);
    let content = json!([result("t1"), {"type": "text", "text": "y"}, image("iVBORw0K")]);
    valid["messages"] = json!([user(json!("x")), call, {"role": "system", "content": "late"}, user(content)]);
    assert_eq!(post(&fake, PATH, VERSION, &valid).await.json()["content"][0]["text"], "image/png 6");
}

//! Another process can script the fake and read its log.

use serde_json::{Value, json};
use signalbox_fakes::FakeProvider;

use crate::client::{Answer, Client};

async fn control(fake: &FakeProvider, method: &str, path: &str, body: &Value) -> Answer {
    let mut client = Client::connect(fake).await;
    let (body, len) = (body.to_string(), body.to_string().len());
    client.send(format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len}\r\n\r\n{body}").as_bytes()).await;
    client.answer().await
}

#[tokio::test]
async fn a_script_is_set_gated_and_released_over_http() {
    let fake = FakeProvider::start().await.unwrap();
    let script = json!({"model": "m", "script": {"turns": [
        {"status": 503, "body": {"raw": {"content_type": "text/plain", "body": "busy"}}},
        {"body": {"chat": {"text": {"fixed": "better now"}}}, "delivery": {"gated": true}},
    ]}});
    assert!(control(&fake, "POST", "/_fake/script", &script).await.head.starts_with("HTTP/1.1 200 "));

    let mut client = Client::connect(&fake).await;
    client.ask("m", false).await;
    assert_eq!(client.answer().await.text(), "busy");
    client.ask("m", false).await;
    let release = json!({"model": "m", "events": 1});
    assert!(control(&fake, "POST", "/_fake/release", &release).await.head.starts_with("HTTP/1.1 200 "));
    assert_eq!(client.answer().await.folded().text, "better now");

    let seen: Value =
        serde_json::from_slice(&control(&fake, "GET", "/_fake/calls", &Value::Null).await.body()).unwrap();
    let calls = seen["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!((&calls[1]["model"], &calls[1]["end"]), (&json!("m"), &json!("completed")));
    assert_eq!(calls[1]["body_len"], calls[1]["body"].as_str().unwrap().len());
    control(&fake, "DELETE", "/_fake/calls", &Value::Null).await;
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn an_invalid_script_is_rejected_with_a_reason() {
    let fake = FakeProvider::start().await.unwrap();
    let mistaken = json!({"model": "m", "script": {"turns": [{"state": 503}]}});
    let answer = control(&fake, "POST", "/_fake/script", &mistaken).await;
    assert!(answer.head.starts_with("HTTP/1.1 400 ") && answer.text().contains("state"), "{}", answer.text());
    let answer = control(&fake, "POST", "/_fake/release", &json!({"model": "m", "events": 1})).await;
    assert!(answer.head.starts_with("HTTP/1.1 404 "));
}

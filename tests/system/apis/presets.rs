//! Deviations of providers of Chat Completions that show on the wire.

use serde_json::{Value, json};
use signalbox_fakes::Turn;
use signalbox_harness::Launch;

use super::{Api, logged};
use crate::gateway::Gateway;

/// Returns the newest body that the fake received for a model.
fn sent(gateway: &Gateway, model: &str) -> Value {
    serde_json::from_slice(&gateway.fake.calls_of(model).pop().unwrap().body).unwrap()
}

#[tokio::test]
async fn a_whole_answer_is_put_together_where_models_think_only_in_streams() {
    let gateway = Gateway::of("dashscope", Launch::default()).await;
    gateway.fake.script("m", Turn::says("one two").thinks("hm").chat(|chat| chat.tokens.reasoning = 3));
    let mut body = Api::Messages.request("fake/m", false, "hi");
    body["thinking"] = json!({"type": "enabled", "budget_tokens": 2048});
    let answer = gateway.router.post("/v1/messages", &body).await.expect(200);
    assert!(answer.header("content-type").starts_with("application/json"), "{:?}", answer.headers);
    let message = answer.json();
    assert_eq!(message["content"][0]["thinking"], "hm", "{message}");
    assert_eq!((&message["content"][1]["text"], &message["stop_reason"]), (&json!("one two"), &json!("end_turn")));
    assert!(message["usage"]["output_tokens"].as_u64().is_some_and(|tokens| tokens > 3), "{message}");
    let upstream = sent(&gateway, "m");
    assert_eq!((&upstream["stream"], &upstream["enable_thinking"]), (&json!(true), &json!(true)), "{upstream}");
    assert_eq!(upstream["thinking_budget"], 2048, "{upstream}");
    let row = logged(&gateway, &answer).await;
    assert_eq!((&row["stream"], &row["qwen_request"]), (&json!(false), &upstream), "{row}");

    // The client's own body passes as it is.
    gateway.router.post(Api::Chat.path(), &Api::Chat.request("fake/m", false, "hi")).await.expect(200);
    assert_eq!(sent(&gateway, "m")["stream"], false);
}

#[tokio::test]
async fn what_the_user_says_after_a_result_is_a_part_of_it_where_it_must_be() {
    let gateway = Gateway::of("mistral", Launch::default()).await;
    let body = json!({"model": "fake/m", "max_tokens": 100, "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "A"}, {"type": "text", "text": "go on"}]},
    ]});
    let answer = gateway.router.post("/v1/messages", &body).await.expect(200);
    assert_eq!(answer.header("x-signalbox-translation"), "messages-chat; messages.*.content.*=altered");
    let upstream = sent(&gateway, "m");
    let result = &upstream["messages"][2];
    assert_eq!((&result["role"], upstream["messages"].as_array().map(Vec::len)), (&json!("tool"), Some(3)));
    assert_eq!(result["content"], json!([{"type": "text", "text": "A"}, {"type": "text", "text": "go on"}]));
    let id = result["tool_call_id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{upstream}");
    assert_eq!(upstream["messages"][1]["tool_calls"][0]["id"], id, "{upstream}");

    let strict = gateway.router.with_header("x-signalbox-strict", "true").post("/v1/messages", &body).await;
    assert_eq!(strict.status, 400, "{}", strict.text());
    assert!(Api::Messages.error(&strict).contains("`messages.2.content.1`"), "{}", strict.text());
}

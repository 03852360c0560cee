//! Client errors are reported with the name of the field, and such requests are never sent to the site.

use serde_json::{Value, json};
use signalbox_fakes::qwen::Endpoint;
use signalbox_harness::http::Method;

use super::LoneQwen;
use crate::gateway::{CHAT, error_of};

fn user(content: &Value) -> Value {
    json!({"role": "user", "content": content})
}

#[tokio::test]
async fn each_invalid_field_is_reported() {
    let lone = LoneQwen::start().await;
    let hello = user(&json!("hello"));
    let image =
        json!([{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]);
    let mistakes = [
        (json!({}), "messages must be an array"),
        (json!({"messages": "hello"}), "messages must be an array"),
        (json!({"messages": []}), "messages array cannot be empty"),
        (json!({"messages": [{"role": "system", "content": "x"}]}), "messages must contain at least one user message"),
        (json!({"messages": [hello, {"content": "x"}]}), "messages[1] is missing required field: role"),
        (json!({"messages": [hello, {"role": "user"}]}), "messages[1] is missing required field: content"),
        (
            json!({"messages": [hello, {"role": "tool", "content": "x"}]}),
            "messages[1] with role 'tool' is missing required field: tool_call_id",
        ),
        (
            json!({"messages": [hello, {"role": "oracle", "content": "x"}]}),
            "messages[1].role must be 'system', 'user', 'assistant', or 'tool'",
        ),
        (json!({"messages": [user(&json!(""))]}), "First user message must have non-empty text content"),
        (json!({"messages": [hello, user(&json!("a")), user(&image)]}), "messages[2].content[1]"),
        (json!({"messages": [user(&json!([{"type": "file", "file": {}}]))]}), "messages[0].content[0]"),
        (json!({"messages": [hello], "stream": "yes"}), "stream"),
        (json!({"messages": [hello], "tools": {}}), "tools"),
    ];
    for (body, says) in mistakes {
        let error = error_of(&lone.client().post(CHAT, &body).await, 400);
        assert_eq!(error["type"], "invalid_request_error", "{body}: {error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{body}: {error}");
    }
    for body in ["", "{\"messages\":", "[]", "null"] {
        let error = error_of(&lone.client().request(Method::POST, CHAT, body).await, 400);
        assert_eq!(error["type"], "invalid_request_error", "{body}: {error}");
    }
    assert_eq!((lone.asked(Endpoint::NewChat), lone.asked(Endpoint::Completion)), (0, 0));
}

#[tokio::test]
async fn an_unsupported_part_is_reported_with_its_type() {
    let lone = LoneQwen::start().await;
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/x.png"}});
    let error = error_of(&lone.client().post(CHAT, &json!({"messages": [user(&json!([image]))]})).await, 400);
    assert_eq!((&error["code"], &error["param"]), (&json!("unsupported_content"), &json!("messages[0].content[0]")));
    assert!(error["message"].as_str().unwrap().contains("`image_url`"), "{error}");
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_404() {
    let lone = LoneQwen::start().await;
    for (method, path) in [(Method::GET, CHAT), (Method::POST, "/v1/embeddings"), (Method::GET, "/nothing")] {
        let error = error_of(&lone.client().request(method.clone(), path, "").await, 404);
        assert_eq!(error["message"], format!("Route not found: {method} {path}"));
    }
    let error = error_of(&lone.client().get("/v1/models/missing").await, 404);
    assert_eq!(error["message"], "Model 'missing' not found");
    for path in [
        "/v1/sessions/%00",
        "/v1/sessions/a%00b/requests",
        "/v1/sessions?limit=0",
        "/v1/requests?limit=1001",
        "/v1/responses?offset=-1",
        "/v1/requests/x",
    ] {
        assert_eq!(error_of(&lone.client().get(path).await, 400)["type"], "invalid_request_error", "{path}");
    }
}

#[tokio::test]
async fn an_unpaired_surrogate_is_reported_and_a_byte_order_mark_accepted() {
    let lone = LoneQwen::start().await;
    let body = r#"{"model":"qwen3-max","messages":[{"role":"user","content":"cut \ud83d"}]}"#;
    let error = error_of(&lone.client().request(Method::POST, CHAT, body).await, 400);
    assert_eq!((&error["code"], &error["param"]), (&json!("invalid_unicode"), &json!("messages[0].content")));
    assert!(error["message"].as_str().unwrap().contains("\\ud83d"), "{error}");
    assert_eq!(lone.asked(Endpoint::Completion), 0);
    let body = "\u{feff}{\"model\":\"qwen3-max\",\"messages\":[{\"role\":\"user\",\"content\":\"whole \u{1F600}\"}]}";
    let answer = lone.client().request(Method::POST, CHAT, body).await.expect(200).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "whole \u{1F600}");
    let logged = lone.client().get("/v1/requests").await.expect(200).json();
    assert!(logged["data"][0]["openai_request"].is_object(), "{logged}");
}

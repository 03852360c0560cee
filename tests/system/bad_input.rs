//! Client errors are reported in OpenAI's format, with the correct status.

use signalbox_harness::Stack;

use crate::gateway::{CHAT, Gateway, chat, error_of, logged, request_id};

async fn post(stack: &Stack, body: &str) -> signalbox_harness::Answer {
    stack.router().await.request("POST".parse().unwrap(), CHAT, body.to_owned()).await
}

#[tokio::test]
async fn invalid_chat_requests_are_400_and_not_logged() {
    let stack = Stack::start().await;
    for (body, param) in [
        ("", None),
        ("{broken", None),
        ("[]", None),
        ("\"text\"", None),
        (r#"{"model":"echo"}"#, Some("messages")),
        (r#"{"model":"echo","messages":null}"#, Some("messages")),
        (r#"{"model":"echo","messages":[]}"#, Some("messages")),
        (r#"{"model":"echo","messages":"hello"}"#, Some("messages")),
        (r#"{"model":7,"messages":[{"role":"user","content":"x"}]}"#, None),
        (r#"{"model":"echo","stream":"yes","messages":[{"role":"user","content":"x"}]}"#, None),
    ] {
        let error = error_of(&post(&stack, body).await, 400);
        assert_eq!(error["type"], "invalid_request_error", "{body}");
        if let Some(param) = param {
            assert_eq!(error["param"], param, "{body}");
        }
    }
    assert_eq!(logged(&stack).await, 0);
}

#[tokio::test]
async fn fc_68_deep_and_unusual_json_is_400_or_served_without_a_crash() {
    let stack = Stack::start().await;
    let deep = format!(r#"{{"model":"echo","messages":[{}]}}"#, "[".repeat(100_000));
    error_of(&post(&stack, &deep).await, 400);
    let nested = format!(
        r#"{{"model":"echo","messages":[{{"role":"user","content":"x"}}],"x":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(matches!(post(&stack, &nested).await.status, 200 | 400));
    let huge = r#"{"model":"echo","messages":[{"role":"user","content":"x"}],"temperature":1e400}"#;
    assert!(matches!(post(&stack, huge).await.status, 200 | 400));
    let lone = r#"{"model":"\ud800","messages":[{"role":"user","content":"x"}]}"#;
    error_of(&post(&stack, lone).await, 400);
    assert_eq!(stack.router().await.get("/health/live").await.status, 200);
}

#[tokio::test]
async fn an_unknown_model_is_404_and_logged() {
    let stack = Stack::start().await;
    let answer = stack.router().await.post(CHAT, &chat("no-such-model", true)).await;
    let error = error_of(&answer, 404);
    assert_eq!((error["code"].as_str(), error["param"].as_str()), (Some("model_not_found"), Some("model")));
    assert!(error["message"].as_str().unwrap().contains("no-such-model"));
    let row = stack.recorded(&request_id(&answer)).await;
    assert_eq!((row["status"].as_str(), row["model"].as_str()), (Some("failed"), Some("no-such-model")));
}

#[tokio::test]
async fn fc_67_a_body_over_the_limit_is_413_with_any_framing() {
    let gateway = Gateway::start().await;
    let body = chat("fake/m", false).to_string().replace("one two", &"x".repeat(33 << 20));
    let answer = gateway.router.request("POST".parse().unwrap(), CHAT, body).await;
    error_of(&answer, 413);
    // Announced but not sent: the response does not wait for the body.
    let head =
        format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 34603008\r\n\r\n{{");
    let answer = gateway.router.raw(head.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    // Not announced: counted while it is received.
    let mut chunked =
        format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")
            .into_bytes();
    for _ in 0..33 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.resize(chunked.len() + (1 << 20), b' ');
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = gateway.router.raw(&chunked).await;
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    assert!(gateway.fake.calls().is_empty());
    assert_eq!(logged(&gateway.stack).await, 0);
}

#[tokio::test]
async fn a_wrong_method_is_405_and_an_unknown_route_404() {
    let stack = Stack::start().await;
    let router = stack.router().await;
    for (method, path, status) in [
        ("GET", CHAT, 405),
        ("PUT", CHAT, 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/nothing", 404),
        ("POST", "/nothing/at/all", 404),
        ("POST", "/v1/chat/completions/", 404),
    ] {
        let answer = router.request(method.parse().unwrap(), path, "").await;
        assert_eq!(error_of(&answer, status)["type"], "invalid_request_error", "{method} {path}");
    }
    assert_eq!(logged(&stack).await, 0);
}

#[tokio::test]
async fn a_query_with_duplicate_parameters_is_400() {
    let stack = Stack::start().await;
    let answer = stack.router().await.get("/v1/models?provider=echo&provider=other").await.expect(400).json();
    assert_eq!(answer["error"]["code"], "invalid_query", "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("provider"), "{answer}");
}

#[tokio::test]
async fn fc_69_a_compressed_body_is_415() {
    let stack = Stack::start().await;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let answer = stack.router().await.raw(head.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 415 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn fc_70_ambiguous_framing_is_never_two_requests() {
    let gateway = Gateway::start().await;
    let smuggled = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    for framing in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "content-length: 4\r\ncontent-length: 5",
        "transfer-encoding: xchunked",
    ] {
        let request = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{framing}\r\n\r\n0\r\n\r\n{smuggled}");
        let answer = gateway.router.raw(request.as_bytes()).await;
        let answers = String::from_utf8_lossy(&answer).matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{framing}: {}", String::from_utf8_lossy(&answer));
    }
    assert!(gateway.fake.calls().is_empty());
}

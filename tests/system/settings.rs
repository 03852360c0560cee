//! Settings take effect as described, in running programs.

use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use signalbox_harness::{Launch, Stack};

use crate::gateway::{CHAT, Gateway, chat, error_of, recorded_text, request_id};

/// Changes a setting and reloads, instead of waiting up to a second until it takes effect.
async fn set(stack: &Stack, key: &str, value: Value) {
    stack.api.put(&format!("/api/settings/{key}"), &json!({ "value": value })).await.expect(200);
    stack.api.post("/api/providers/fake/reload", &json!({})).await.expect(200);
}

#[tokio::test]
async fn the_timeout_setting_limits_silence_but_not_stream_duration() {
    let gateway = Gateway::start().await;
    set(&gateway.stack, "server.timeout", json!(1000)).await;
    let silent = gateway.ask("fake/fake-stall").await;
    assert_eq!(error_of(&silent, 504)["code"], "upstream_timeout");
    let events = gateway.router.stream(CHAT, &chat("fake/fake-stall-3", true)).await;
    let finished = events.finish().await;
    assert!(!finished.complete && finished.folded.error.is_some() && !finished.folded.done);

    // The configuration of a provider takes precedence.
    let own = json!({"config": {"timeout": 300}});
    gateway.stack.api.put("/api/providers/fake/config", &own).await.expect(200);
    set(&gateway.stack, "server.timeout", json!(600_000)).await;
    error_of(&gateway.ask("fake/fake-stall").await, 504);
}

#[tokio::test]
async fn content_excluded_from_logging_is_in_no_file_and_no_row() {
    let gateway = Gateway::start().await;
    let stack = &gateway.stack;
    let ask = async |text: &str, stream: bool| {
        let body = json!({"model": "fake/m", "stream": stream, "messages": [{"role": "user", "content": text}]});
        let answer = gateway.router.post(CHAT, &body).await.expect(200);
        stack.recorded(&request_id(&answer)).await
    };

    set(stack, "logging.logRequests", json!(false)).await;
    // The fake echoes the request, so its answers are excluded as well.
    set(stack, "logging.logResponses", json!(false)).await;
    for stream in [false, true] {
        let row = ask("canary-neither", stream).await;
        assert_eq!((&row["openai_request"], &row["status"]), (&Value::Null, &json!("completed")));
        assert_eq!(row["response"]["finish_reason"], "stop", "everything except text is kept: {row}");
        let session = row["session_id"].as_str().unwrap();
        let session = stack.api.get(&format!("/api/sessions/{session}")).await.expect(200);
        assert!(!session.text().contains("canary"), "{}", session.text());
    }

    set(stack, "logging.logResponses", json!(true)).await;
    let row = ask("answer-only", true).await;
    assert_eq!(row["openai_request"], Value::Null);
    assert!(recorded_text(&row).contains("answer-only"));

    stack.api.delete("/api/settings/logging.logRequests").await.expect(200);
    set(stack, "logging.logResponses", json!(false)).await;
    let row = ask("request-only", false).await;
    assert_eq!(row["openai_request"]["messages"][0]["content"], "request-only");
    assert!(!row["response"]["openai_response"].to_string().contains("request-only"), "{row}");

    let kept = files(&stack.home.data());
    let has = |text: &str| kept.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    assert!(has("request-only") && has("answer-only") && !has("canary-neither"));
}

#[tokio::test]
async fn fc_81_the_log_has_no_credentials_and_no_deleted_data() {
    let mut gateway = Gateway::start().await;
    let body = json!({"model": "fake/m", "messages": [{"role": "user", "content": "canary-text"}]}).to_string();
    let length = body.len();
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer canary-key\r\nx-api-key: canary-key\r\n\
         cookie: a=canary-key\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let answer = gateway.router.raw(request.as_bytes()).await;
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().to_owned();
    let row = gateway.stack.recorded(&id).await;
    assert_eq!(row["openai_request"]["messages"][0]["content"], "canary-text");
    let data = gateway.stack.home.data();
    let has = |text: &str| {
        let found = |bytes: &Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        files(&data).iter().filter(|bytes| found(bytes)).count()
    };
    assert!(has("canary-text") > 0 && has("canary-key") == 0);

    let session = row["session_id"].as_str().unwrap();
    gateway.stack.api.delete(&format!("/api/sessions/{session}")).await.expect(200);
    gateway.stack.process.signal(Signal::SIGTERM);
    assert!(gateway.stack.process.wait_exit().await.success());
    assert_eq!(has("canary-text"), 0, "not in the file, not in its free pages, and not in its write-ahead log");
}

#[tokio::test]
async fn content_logging_is_reduced_per_key() {
    let private = "[private_keys]\nredact = [\"sk-redact\"]\noff = [\"sk-off\"]\n";
    let launch = Launch::default().config("provider-router", private);
    let stack = Stack::builder().launch(launch).client_key("sk-open-sesame-0123456789").start().await;
    let router = stack.router().await;
    let body = |text: &str| json!({"model": "echo", "messages": [{"role": "user", "content": text}]});
    for (key, text, kept) in [
        ("sk-open-sesame-0123456789", "canary-full", json!("canary-full")),
        ("sk-redact", "canary-redact", json!("[13 characters]")),
        ("sk-off", "canary-off", Value::Null),
    ] {
        let answer = router.with_key(Some(key)).post(CHAT, &body(text)).await.expect(200);
        assert_eq!(answer.json()["choices"][0]["message"]["content"], text);
        let row = stack.recorded(&request_id(&answer)).await;
        assert_eq!(row["openai_request"]["messages"][0]["content"], kept, "{row}");
        assert_eq!(row["response"]["openai_response"].to_string().contains(text), kept == text, "{row}");
    }
    router.with_key(Some("sk-other")).post(CHAT, &body("x")).await.expect(401);
    let kept = files(&stack.home.data());
    let has = |text: &str| kept.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    assert!(has("canary-full") && !has("canary-redact") && !has("canary-off"));
}

/// Reads all files below a directory.
pub(crate) fn files(dir: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut files(&path));
        } else if path.is_file() {
            all.push(std::fs::read(path).unwrap());
        }
    }
    all
}

#[tokio::test]
async fn settings_that_wait_for_a_restart_are_listed_until_it_happens() {
    let stack = Stack::start().await;
    stack.running().await;
    let pending = async || stack.api.get("/api/settings/pending").await.expect(200).json();
    assert_eq!(pending().await, json!({"pending": [], "services": []}));
    let present = stack.status().await["providerRouter"]["port"].as_u64().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    stack.api.put("/api/settings/server.port", &json!({ "value": free })).await.expect(200);
    let waits = json!({"key": "server.port", "value": free, "running": present, "service": "provider-router"});
    assert_eq!(pending().await, json!({"pending": [waits], "services": ["provider-router"]}));
    // Only the router takes it over.
    stack.api.post("/api/proxy/restart", &json!({"service": "qwen-proxy"})).await.expect(200);
    assert_eq!(pending().await["services"], json!(["provider-router"]));
    stack.api.post("/api/proxy/restart", &json!({"service": "provider-router"})).await.expect(200);
    assert_eq!(pending().await["pending"], json!([]));
    assert_eq!(stack.running().await["providerRouter"]["port"], free);
}

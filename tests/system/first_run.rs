//! Without any configuration the whole path works, and the log shows it.

use serde_json::json;
use signalbox_harness::{Launch, Stack, postgres::Postgres};

use crate::gateway::{CHAT, error_of, logged, recorded_text, request_id};

#[tokio::test]
async fn echo_streams_word_by_word_and_is_in_the_log() {
    echo_streams(&Stack::start().await).await;
}

#[tokio::test]
async fn echo_streams_word_by_word_and_is_in_the_log_on_postgresql() {
    let Some(postgres) = Postgres::launch().await else { return };
    let launch = Launch::default().database(postgres.create_database().await);
    let stack = Stack::builder().launch(launch).start().await;
    echo_streams(&stack).await;
    assert!(!stack.home.data().join("signalbox.db").exists());
}

async fn echo_streams(stack: &Stack) {
    let router = stack.router().await;
    let request =
        json!({"model": "echo", "stream": true, "messages": [{"role": "user", "content": "so it begins now"}]});
    let mut events = router.stream(CHAT, &request).await;
    assert_eq!(events.status, 200);
    assert!(events.header("content-type").starts_with("text/event-stream"));
    let id = events.header("x-request-id").to_owned();
    let mut words = Vec::new();
    while let Some(word) = events.next_text().await {
        words.push(word);
    }
    assert_eq!((words.len(), words.concat().as_str()), (4, "so it begins now"), "{words:?}");
    let finished = events.finish().await;
    assert!(finished.complete && finished.folded.done);

    let row = stack.recorded(&id).await;
    assert_eq!(row["status"], "completed", "{row}");
    assert_eq!((&row["model"], &row["stream"], &row["path"]), (&json!("echo"), &json!(true), &json!(CHAT)));
    assert_eq!(row["openai_request"], request);
    assert_eq!(recorded_text(&row), "so it begins now");
    assert!(row["session_id"].as_str().is_some_and(|session| !session.is_empty()));

    let list = stack.api.get("/api/requests").await.expect(200).json();
    assert_eq!(list["total"], 1, "{list}");
    assert_eq!(list["requests"][0]["request_id"], id.as_str());
    assert_eq!(list["requests"][0]["response_summary"]["finish_reason"], "stop");
}

#[tokio::test]
async fn echo_answers_whole_and_is_in_the_log() {
    let stack = Stack::start().await;
    let request = json!({"model": "echo", "messages": [{"role": "user", "content": "hello there"}]});
    let answer = stack.router().await.post(CHAT, &request).await.expect(200);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "hello there");
    let row = stack.recorded(&request_id(&answer)).await;
    assert_eq!(row["status"], "completed");
    assert_eq!((recorded_text(&row).as_str(), &row["stream"]), ("hello there", &json!(false)));
}

#[tokio::test]
async fn all_three_are_healthy_and_only_inference_is_logged() {
    let stack = Stack::start().await;
    let (router, qwen) = (stack.router().await, stack.qwen().await);
    let health = stack.api.get("/api/health").await.expect(200).json();
    assert_eq!((&health["status"], &health["service"]), (&json!("ok"), &json!("api-server")));
    assert_eq!(router.get("/health").await.expect(200).json()["status"], "ok");
    for path in ["/health/live", "/health/ready", "/"] {
        router.get(path).await.expect(200);
    }
    qwen.get("/health").await.expect(200);
    let models = router.get("/v1/models").await.expect(200).json();
    assert!(models["data"].as_array().unwrap().iter().any(|model| model["id"] == "echo"), "{models}");
    assert_eq!(logged(&stack).await, 0);
}

#[tokio::test]
async fn qwen_proxy_reports_a_missing_login() {
    let stack = Stack::start().await;
    let request = json!({"model": "qwen3-max", "messages": [{"role": "user", "content": "hello"}]});
    let answer = stack.qwen().await.post(CHAT, &request).await;
    error_of(&answer, 401);
}

//! qwen-proxy behind provider-router, the most common setup: streams pass through, and each exchange is logged once.

use serde_json::{Value, json};
use signalbox_fakes::{
    FakeQwen,
    qwen::{Endpoint, Turn, trouble},
};
use signalbox_harness::{Launch, Stack, eventually};

use super::{COOKIES, TOKEN, Talk, request};
use crate::gateway::{CHAT, error_of, logged, recorded_text, request_id};

/// The three services, a login, and a provider `qwen` of the type `qwen-proxy`.
async fn stack(site: &FakeQwen) -> Stack {
    let config = format!("[upstream]\nbase_url = \"{}\"\n", site.url());
    let stack = Stack::builder().launch(Launch::default().config("qwen-proxy", config)).start().await;
    let login = json!({"token": TOKEN, "cookies": COOKIES, "expiresAt": 4_000_000_000_u64});
    let stored = stack.api.post("/api/qwen/credentials", &login).await;
    assert!(matches!(stored.status, 200 | 201), "{}", stored.text());
    let provider = json!({
        "id": "qwen", "name": "qwen", "type": "qwen-proxy", "enabled": true, "priority": 50,
        "config": {"baseURL": stack.qwen().await.url()},
    });
    stack.api.post("/api/providers", &provider).await.expect(201);
    let router = stack.router().await;
    eventually("the router to load the provider", async || {
        let health = router.get("/health").await.expect(200).json();
        health["registeredProviders"].as_array()?.iter().any(|known| known == "qwen").then_some(())
    })
    .await;
    stack
}

#[tokio::test]
async fn a_conversation_through_the_router_is_logged_once() {
    let site = FakeQwen::start().await.unwrap();
    let stack = stack(&site).await;
    let router = stack.router().await;
    let whole = router.post(CHAT, &request("qwen/qwen3-max", false, "one two three")).await.expect(200);
    assert_eq!(whole.json()["choices"][0]["message"]["content"], "one two three");
    let row = stack.recorded(&request_id(&whole)).await;
    assert_eq!(recorded_text(&row), "one two three");
    assert_eq!(row["response"]["total_tokens"], 6, "{row}");

    let gate = site.script(Endpoint::Completion, Turn::default().gated());
    gate.release(2);
    let mut events = router.stream(CHAT, &request("qwen/qwen3-max", true, "one two three")).await;
    assert_eq!(events.next_text().await.as_deref(), Some("one "), "it is sent before the next one arrives");
    gate.open();
    let routed = events.header("x-request-id").to_owned();
    let finished = events.finish().await;
    assert_eq!((finished.folded.text.as_str(), finished.folded.done), ("one two three", true));
    stack.recorded(&routed).await;
    // When a third request is in the log, qwen-proxy has written everything about the first two.
    stack.qwen().await.post(CHAT, &request("qwen3-max", false, "directly")).await.expect(200);
    let total = eventually("the log of a direct request", async || Some(logged(&stack).await).filter(|all| *all > 2));
    assert_eq!(total.await, 3);
}

#[tokio::test]
async fn five_turns_through_the_router_are_one_chat() {
    let site = FakeQwen::start().await.unwrap();
    let stack = stack(&site).await;
    let router = stack.router().await;
    let mut talk = Talk { model: "qwen/qwen3-max".into(), ..Talk::default() };
    for (turn, stream) in [true, false, false, true, true].into_iter().enumerate() {
        assert_eq!(talk.say(router, stream, &format!("remember n{turn}={turn}")).await, format!("noted n{turn}"));
    }
    assert_eq!(talk.say(router, false, "recall n0").await, "0");
    assert_eq!(site.calls_of(Endpoint::NewChat).len(), 1);
    assert_eq!(site.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn hints_of_failures_reach_the_client() {
    let site = FakeQwen::start().await.unwrap();
    let stack = stack(&site).await;
    site.script(Endpoint::Completion, trouble::captcha());
    let router = stack.router().await;
    for stream in [false, true] {
        let answer = router.post(CHAT, &request("qwen/qwen3-max", stream, "hello")).await;
        let error: Value = error_of(&answer, 401);
        assert!(error["message"].as_str().unwrap().contains("in your browser"), "{error}");
    }
}

//! qwen-proxy behind provider-router, the most common setup: streams pass through, and each exchange is logged once.

use serde_json::{Value, json};
use signalbox_fakes::{
    FakeQwen,
    qwen::{Endpoint, Turn, trouble},
};
use signalbox_harness::{Launch, Router, Stack, eventually};

use super::{COOKIES, LoneQwen, TOKEN, Talk, request};
use crate::catalog::database;
use crate::gateway::{CHAT, error_of, logged, recorded_text, request_id};

/// The three services, a login, and a provider `qwen` of the type `qwen-proxy`.
async fn stack(site: &FakeQwen) -> Stack {
    stack_with(site, Launch::default()).await
}

/// The same, with these settings.
async fn stack_with(site: &FakeQwen, launch: Launch) -> Stack {
    let config = format!("[upstream]\nbase_url = \"{}\"\n", site.url());
    let stack = Stack::builder().launch(launch.config("qwen-proxy", config)).start().await;
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
async fn a_forged_mark_of_the_router_does_not_keep_a_request_out_of_the_log() {
    let site = FakeQwen::start().await.unwrap();
    let stack = stack(&site).await;
    let qwen = stack.qwen().await;
    let id = "0192a0c4-7b1e-7c3a-9d2e-5f6a7b8c9d0e";
    let marks = [
        "0192a0c4-7b1e-7c3a-9d2e-5f6a7b8c9d0e",
        "0192a0c4-7b1e-7c3a-9d2e-5f6a7b8c9d0e.",
        "0192a0c4-7b1e-7c3a-9d2e-5f6a7b8c9d0e.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "true",
    ];
    for (number, mark) in marks.into_iter().enumerate() {
        let forging = qwen.with_header("x-signalbox-request", mark);
        for stream in [false, true] {
            let text = format!("forged {number} {stream}");
            let answer = forging.post(CHAT, &request("qwen3-max", stream, &text)).await;
            assert_eq!(answer.status, 200, "{mark}: {}", answer.text());
            let row = stack.recorded(&request_id(&answer)).await;
            assert_eq!((row["status"].as_str(), recorded_text(&row)), (Some("completed"), text), "{mark}: {row}");
        }
    }
    assert_eq!(logged(&stack).await, 8);
    assert_eq!(stack.api.get(&format!("/api/requests/{id}")).await.status, 404);
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
async fn texts_that_are_not_kept_are_kept_by_neither_service() {
    let kept = "SELECT COALESCE(first_user_message, '') FROM sessions UNION ALL SELECT answer FROM qwen_turns
                UNION ALL SELECT 'error: ' || COALESCE(request_payload, '') || error_message FROM errors";
    for level in ["off", "redact"] {
        for of_provider in [false, true] {
            let site = FakeQwen::start().await.unwrap();
            let journal = format!("[journal]\nbodies = \"{}\"\n", if of_provider { "full" } else { level });
            let stack = stack_with(&site, Launch::default().config("provider-router", journal)).await;
            let router = stack.router().await;
            if of_provider {
                let url = stack.qwen().await.url().to_owned();
                let config = json!({"config": {"baseURL": url, "logBodies": level}});
                stack.api.put("/api/providers/qwen/config", &config).await.expect(200);
                stack.api.post("/api/providers/qwen/reload", &json!({})).await.expect(200);
            }
            let mut talk = Talk { model: "qwen/qwen3-max".into(), ..Talk::default() };
            for turn in 0..3 {
                let text = format!("remember canary{turn}=canary");
                assert_eq!(talk.say(router, turn == 1, &text).await, format!("noted canary{turn}"));
            }
            assert_eq!(site.calls_of(Endpoint::NewChat).len(), 1, "the digests of the answers continue the chat");
            assert!(router.post(CHAT, &request("qwen/fake-503", false, "canary")).await.status >= 500);
            let mut database = database(&stack.home).await;
            let texts = eventually("a session, its turns and a report", async || {
                let rows: Vec<(String,)> = sqlx::query_as(kept).fetch_all(&mut database).await.unwrap();
                (rows.iter().any(|row| row.0.starts_with("error: ")) && rows.len() >= 5).then_some(rows)
            })
            .await;
            let found: Vec<_> = texts.iter().filter(|text| text.0.contains("canary")).collect();
            assert_eq!(found, Vec::<&(String,)>::new(), "{level} {of_provider}");
        }
    }
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

/// Adds a provider of type `qwen-proxy` without a configuration.
async fn add_unconfigured(stack: &Stack, id: &str) {
    let provider = json!({"id": id, "name": id, "type": "qwen-proxy", "enabled": true, "priority": 1});
    stack.api.post("/api/providers", &provider).await.expect(201);
}

/// Waits until these models are answered by qwen-proxy.
async fn answered(stack: &Stack, models: &[&str]) {
    let router = stack.router().await;
    for model in models {
        eventually("an answer of qwen-proxy", async || {
            let answer = router.post(CHAT, &request(model, false, "one two")).await;
            (answer.status == 200).then(|| assert_eq!(answer.json()["choices"][0]["message"]["content"], "one two"))
        })
        .await;
    }
}

#[tokio::test]
async fn a_provider_without_an_address_is_the_qwen_proxy_beside_the_router_on_any_port() {
    let site = FakeQwen::start().await.unwrap();
    let config = format!("[upstream]\nbase_url = \"{}\"\n", site.url());
    // The harness starts both services on any free port.
    let launch = Launch::default().config("qwen-proxy", config).env("QWEN_TOKEN", TOKEN).env("QWEN_COOKIES", COOKIES);
    let stack = Stack::builder().launch(launch).start().await;
    add_unconfigured(&stack, "own").await;
    let models = ["qwen3-max", "qwen-proxy-default/qwen3-max", "own/qwen3-max"];
    answered(&stack, &models).await;
    // Both get another port.
    stack.api.post("/api/proxy/stop", &json!({})).await.expect(200);
    stack.api.post("/api/proxy/start", &json!({})).await.expect(200);
    stack.running().await;
    answered(&stack, &models).await;
}

#[tokio::test]
async fn a_router_of_its_own_takes_the_port_of_qwen_proxy_from_its_variable() {
    let lone = LoneQwen::start().await;
    let port = lone.client().url().rsplit(':').next().unwrap().to_owned();
    let router = Router::start(Launch::default().env("QWEN_PROXY_PORT", port)).await;
    let answer = router.client.post(CHAT, &request("qwen3-max", false, "one two")).await.expect(200);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "one two");
}

#[tokio::test]
async fn a_qwen_proxy_that_is_not_there_yet_is_named() {
    let router = Router::start(Launch::default().env("QWEN_PROXY_PORT", "0")).await;
    let error = error_of(&router.client.post(CHAT, &request("qwen3-max", false, "hello")).await, 502);
    assert!(error["message"].as_str().unwrap().contains("qwen-proxy beside the router is not running"), "{error}");
    let (code, said) = Launch::default().env("QWEN_PROXY_PORT", "x").run_to_exit("provider-router").await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("QWEN_PROXY_PORT takes a port number"), "{said}");
}

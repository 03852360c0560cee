//! Logins: missing, new, rate-limited and expired ones, and what is kept of them across a restart.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use signalbox_core::secret::Secret;
use signalbox_fakes::{
    qwen::{Endpoint, Script, Turn, trouble},
    script::FaultKind,
};
use signalbox_harness::{Launch, eventually, within};
use signalbox_store::{
    Sealer, Store,
    credentials::{self, NewCredential},
};

use super::{LoneQwen, Talk, request};
use crate::gateway::{CHAT, error_of};

/// The installation's key in base64, and its bytes.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const KEY_BYTES: [u8; 32] = [7; 32];

async fn without_login() -> LoneQwen {
    LoneQwen::launch(Launch::default().env("SIGNALBOX_KEY", KEY)).await
}

fn now_s() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Stores a login, as the dashboard and the command line do.
async fn log_in(lone: &LoneQwen, label: &str, token: &str, expires_at: Option<i64>) {
    let store = Store::open(&lone.database_url()).await.unwrap();
    let new = NewCredential {
        label: label.into(),
        token: Secret::new(token.into()),
        cookies: Secret::new(format!("token={token}; x-ap=1")),
        expires_at,
    };
    let sealer = Sealer::new(&Secret::new(KEY_BYTES));
    credentials::put(&store, &sealer, &new, now_s()).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_missing_login_is_reported_until_one_is_stored() {
    let lone = without_login().await;
    let error = error_of(&lone.ask("qwen3-max", "hello").await, 401);
    assert_eq!((&error["type"], &error["code"]), (&json!("authentication_error"), &json!("missing_credentials")));
    let health = lone.client().get("/health").await.expect(200).json();
    assert_eq!(health["checks"]["authentication"], "not_configured");
    assert_eq!(lone.site.calls().len(), 0, "the site is not called");
    log_in(&lone, "mine", "first", None).await;
    lone.ask("qwen3-max", "hello").await.expect(200);
    let call = lone.site.calls_of(Endpoint::Completion).pop().unwrap();
    assert_eq!((call.header("bx-umidtoken"), call.header("cookie")), (Some("first"), Some("token=first; x-ap=1")));
    let health = lone.client().get("/health").await.expect(200).json();
    assert_eq!(health["checks"]["authentication"], "ok");
}

#[tokio::test]
async fn a_new_login_is_used_by_the_next_request() {
    let lone = without_login().await;
    log_in(&lone, "mine", "old", None).await;
    lone.ask("qwen3-max", "hello").await.expect(200);
    lone.site.accept_only("new");
    assert_eq!(error_of(&lone.ask("qwen3-max", "hello").await, 401)["code"], "invalid_credentials");
    log_in(&lone, "mine", "new", None).await;
    lone.ask("qwen3-max", "hello").await.expect(200);
}

#[tokio::test]
async fn an_expired_login_is_not_used() {
    let lone = without_login().await;
    log_in(&lone, "mine", "old", Some(now_s() - 1)).await;
    assert_eq!(error_of(&lone.ask("qwen3-max", "hello").await, 401)["type"], "authentication_error");
    assert_eq!(lone.site.calls().len(), 0);
    log_in(&lone, "mine", "new", Some(now_s() + 3600)).await;
    lone.ask("qwen3-max", "hello").await.expect(200);
}

#[tokio::test]
async fn only_the_rate_limited_login_is_suspended() {
    let lone = without_login().await;
    log_in(&lone, "mine", "mine", None).await;
    let script = Script::first(1, trouble::too_many(Some(30))).then(Turn::default());
    lone.site.script(Endpoint::Completion, script);
    let answer = lone.ask("qwen3-max", "hello").await;
    assert_eq!(error_of(&answer, 429)["code"], "rate_limit_exceeded");
    assert_eq!(answer.header("retry-after"), "30");
    for stream in [true, false] {
        let answer = lone.client().post(CHAT, &request("qwen3-max", stream, "hello")).await;
        error_of(&answer, 429);
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
    }
    assert_eq!(lone.asked(Endpoint::Completion), 1, "a suspended login is not used");
    log_in(&lone, "theirs", "theirs", None).await;
    lone.ask("qwen3-max", "hello").await.expect(200);
}

#[tokio::test]
async fn a_suspended_login_is_used_again() {
    let lone = without_login().await;
    log_in(&lone, "mine", "mine", None).await;
    let script = Script::first(1, trouble::too_many(Some(1))).then(Turn::default());
    lone.site.script(Endpoint::Completion, script);
    error_of(&lone.ask("qwen3-max", "hello").await, 429);
    let client = lone.client();
    eventually("the end of the suspension", async || {
        let answer = client.post(CHAT, &request("qwen3-max", false, "hello")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(lone.asked(Endpoint::Completion), 2);
}

#[tokio::test]
async fn a_disconnect_before_the_answer_is_logged() {
    let lone = LoneQwen::start().await;
    lone.site.script(Endpoint::Completion, Turn::default().before_head(FaultKind::Stall));
    let client = lone.client();
    let asked = tokio::spawn(async move { client.post(CHAT, &request("qwen3-max", false, "hello")).await });
    within("the call", lone.site.until(|site| site.calls_of(Endpoint::Completion).len() == 1)).await;
    asked.abort();
    eventually("the request in the log", async || {
        (client.get("/v1/requests").await.expect(200).json()["total"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_restart_deletes_nothing() {
    let mut lone = LoneQwen::start().await;
    let mut talk = Talk::default();
    for (text, stream) in [("one", true), ("two", false)] {
        talk.say(lone.client(), stream, text).await;
    }
    let lists = ["/v1/sessions", "/v1/requests", "/v1/responses"];
    let client = lone.client();
    let before = eventually("the log of two requests", async || {
        let requests = client.get("/v1/responses").await.expect(200).json();
        (requests["total"] == 2).then_some(requests)
    })
    .await;
    let texts = before["data"].to_string();
    assert!(texts.contains("one") && texts.contains("two"), "{texts}");
    lone.restart().await;
    let client = lone.client();
    for (path, total) in lists.into_iter().zip([1, 2, 2]) {
        assert_eq!(client.get(path).await.expect(200).json()["total"], total, "{path}");
    }
    let session = client.get("/v1/sessions").await.expect(200).json()["data"][0]["id"].as_str().unwrap().to_owned();
    let stats = client.get(&format!("/v1/sessions/{session}/stats")).await.expect(200).json();
    assert_eq!(stats["usage"]["total_responses"], 2, "{stats}");
    // Deleting a session does not delete its log.
    client.delete(&format!("/v1/sessions/{session}")).await.expect(200);
}

//! The words of the log when a provider has less of a prompt in its cache than in the turn before.

use serde_json::{Value, json};
use signalbox_fakes::{
    Turn,
    script::{Script, Tokens, Usage},
};
use signalbox_harness::eventually;

use crate::{
    apis::Api,
    gateway::{CHAT, Gateway},
};

fn says(input: u32, cache_read: u32) -> Turn {
    Turn::says("ok").chat(|chat| {
        chat.tokens = Tokens { input, cache_read, cache_write: 0, cache_write_long: 0, reasoning: 0 };
        chat.usage = Usage::Always;
    })
}

fn turn(clock: &str, messages: &[&str]) -> Value {
    let roles = ["user", "assistant"].into_iter().cycle();
    let system = json!({"role": "system", "content": format!("You help. It is {clock}.")});
    let history = messages.iter().zip(roles).map(|(text, role)| json!({"role": role, "content": text}));
    let all: Vec<Value> = std::iter::once(system).chain(history).collect();
    json!({"model": "fake/m", "messages": all})
}

/// Sends a turn of a session; returns its row once it is logged.
async fn ask(gateway: &Gateway, body: &Value) -> Value {
    let client = gateway.router.with_header("x-session-id", "talk");
    let answer = client.post(CHAT, body).await.expect(200);
    gateway.stack.recorded(answer.header("x-request-id")).await
}

#[tokio::test]
async fn agents_that_take_turns_in_a_session_raise_no_alarm() {
    let gateway = Api::Chat.gateway().await;
    let planner = |messages: &[&str]| turn("10:01", messages);
    let searcher = |messages: &[&str]| turn("noon, and you search", messages);
    // The searcher begins with a cold cache, and the planner goes on with its own.
    for (body, tokens) in [
        (planner(&["plan"]), (500, 9_500)),
        (searcher(&["search"]), (9_000, 0)),
        (planner(&["plan", "ok", "go on"]), (600, 9_600)),
        (searcher(&["search", "ok", "more"]), (8_900, 100)),
    ] {
        gateway.fake.script("m", says(tokens.0, tokens.1));
        let row = ask(&gateway, &body).await;
        assert_eq!(row["prompt_cache"]["fall"], Value::Null, "{row}");
    }
    // The cache of the planner is lost, although the turn before it in the log has nothing cached either.
    gateway.fake.script("m", says(10_000, 0));
    let row = ask(&gateway, &planner(&["plan", "ok", "go on", "ok", "again"])).await;
    let fall = &row["prompt_cache"]["fall"];
    assert_eq!((&fall["cause"], &fall["lost_tokens"]), (&json!("not_cached"), &json!(9_600)), "{row}");
    let session = gateway.stack.api.get("/api/sessions/talk").await.expect(200).json();
    assert_eq!(session["prompt_cache"]["falls"], json!([fall]), "{session}");
}

#[tokio::test]
async fn a_changed_prefix_is_named_with_its_cost() {
    let gateway = Api::Chat.gateway().await;
    let prices = json!({"prices": [{
        "id": "fake-m", "provider_id": "fake", "match": ["m"], "base": {"in": "2", "cr": "0.5", "out": "8"},
    }]});
    gateway.stack.api.put("/api/prices", &prices).await.expect(200);
    let script = Script::first(1, says(500, 9_500)).then(says(500, 9_700));
    gateway.fake.script("m", script);
    let first = ask(&gateway, &turn("10:01", &["hi"])).await;
    assert_eq!(first["prompt_cache"]["previous"], Value::Null, "{first}");
    assert_eq!(first["prompt_cache"]["share"], json!(0.95), "{first}");
    let second = ask(&gateway, &turn("10:01", &["hi", "ok", "more"])).await;
    assert_eq!(second["prompt_cache"]["fall"], Value::Null, "{second}");
    assert_eq!(second["prompt_cache"]["previous"]["request_id"], first["request_id"], "{second}");

    gateway.fake.script("m", says(10_000, 0));
    let body = turn("10:02", &["hi", "ok", "more", "ok", "again"]);
    let third = ask(&gateway, &body).await;
    let fall = &third["prompt_cache"]["fall"];
    assert_eq!((&fall["cause"], &fall["path"]), (&json!("prefix_changed"), &json!("messages[0].content")), "{third}");
    let offset = usize::try_from(fall["offset"].as_u64().unwrap()).unwrap();
    assert!(body.to_string()[offset..].starts_with("2.\""), "{fall}");
    // 9,700 tokens at 2 instead of 0.5 dollars per million.
    assert_eq!((&fall["lost_tokens"], &fall["extra_cost_usd"]), (&json!(9_700), &json!(0.01455)), "{fall}");
    assert_eq!(fall["since"], third["timestamp"], "{third}");

    let session = gateway.stack.api.get("/api/sessions/talk").await.expect(200).json();
    let shown = &session["prompt_cache"];
    assert_eq!((&shown["turns"], &shown["falls"]), (&json!(3), &json!([fall])), "{session}");
    eventually("the metric", async || {
        let metrics = gateway.router.get("/metrics").await.expect(200).text();
        metrics.contains(r#"signalbox_prompt_cache_falls_total{gen_ai_provider_name="fake"} 1"#).then_some(())
    })
    .await;
}

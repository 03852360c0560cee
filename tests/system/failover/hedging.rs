//! Hedged attempts.

use serde_json::{Value, json};
use signalbox_fakes::{
    End, Turn,
    script::{FaultKind, Usage},
};

use super::bench::{Bench, FALLBACK, PRIMARY, WORDS, text};
use crate::apis::{APIS, Api};

/// A gateway whose route is hedged and knows how long its first target takes.
async fn hedged(api: Api) -> Bench {
    let bench = Bench::with(api, |route| {
        route["hedge"] = json!({"quantile": 0.9, "min_ms": 300});
        route["deadlines"] = json!({});
        route["retries"] = Value::Null;
        route["resume"] = json!("off");
    })
    .await;
    bench.primary.script(PRIMARY, text());
    for _ in 0..20 {
        bench.ask(true).await.expect(200);
    }
    assert_eq!(bench.calls(), (20, 0), "{api:?}: fast answers are not hedged");
    bench
}

async fn explained(bench: &Bench, id: &str) -> Value {
    bench.stack.recorded(id).await;
    bench.stack.api.get(&format!("/api/requests/{id}/explain")).await.expect(200).json()
}

#[tokio::test]
async fn a_slow_target_is_overtaken_and_its_attempt_cancelled() {
    for api in APIS {
        let bench = hedged(api).await;
        let prices = json!({"prices": [
            {"id": "slow", "provider_id": "primary", "match": [PRIMARY], "base": {"in": "1000", "out": "1"}},
            {"id": "fast", "provider_id": "fallback", "match": [FALLBACK], "base": {"in": "0", "out": "0"}},
        ]});
        bench.stack.api.put("/api/prices", &prices).await.expect(200);
        bench.router.post("/v1/providers/fallback/reload", &json!({})).await.expect(200);
        bench.fallback.script(FALLBACK, text().chat(|chat| chat.usage = Usage::Always));
        let _gate = bench.primary.script(PRIMARY, text().gated());
        let answer = bench.ask(true).await.expect(200);
        assert_eq!(api.streamed(&answer.text()).0, *WORDS, "{api:?}");
        assert_eq!((bench.calls(), answer.header("x-signalbox-provider")), ((21, 1), "fallback"));
        assert_eq!(answer.header("x-signalbox-attempts"), "2");
        // The connection of the loser is closed although its gate stays closed.
        bench.primary.until(|fake| fake.calls_of(PRIMARY)[20].end() == Some(End::ClientLeft)).await;
        let id = answer.header("x-request-id");
        let shown = explained(&bench, id).await;
        let attempts = shown["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 2, "{shown}");
        assert_eq!((&attempts[0]["provider"], &attempts[1]["provider"]), (&json!("primary"), &json!("fallback")));
        assert!(attempts[0]["error"].as_str().unwrap().starts_with("cancelled"), "{shown}");
        assert!(attempts[1]["start_ms"].as_u64().unwrap() >= 300, "{shown}");
        assert!(attempts[1]["start_ms"].as_u64() < attempts[0]["end_ms"].as_u64(), "both were in flight: {shown}");
        let row = bench.stack.recorded(id).await;
        assert_eq!(row["status"], "completed", "{row}");
        // The answer is free, the prompt of the cancelled attempt is not.
        assert!(row["response"]["cost"]["amount_usd"].as_f64().unwrap() > 0.0, "{row}");
        // A cancelled attempt is no failure of its target.
        let health = bench.router.get("/health").await.json();
        assert_eq!(health["breakers"].as_array().map_or(0, Vec::len), 0, "{health}");
    }
}

#[tokio::test]
async fn a_target_that_sends_no_more_than_a_role_is_overtaken() {
    for (api, events) in [(Api::Chat, 1), (Api::Messages, 2), (Api::Responses, 4)] {
        let bench = hedged(api).await;
        bench.primary.script(PRIMARY, text().after(events, FaultKind::Stall));
        let answer = bench.ask(true).await.expect(200);
        assert_eq!(api.streamed(&answer.text()).0, *WORDS, "{api:?}");
        assert_eq!((bench.calls(), answer.header("x-signalbox-provider")), ((21, 1), "fallback"), "{api:?}");
        bench.primary.until(|fake| fake.calls_of(PRIMARY)[20].end() == Some(End::ClientLeft)).await;
    }
}

#[tokio::test]
async fn a_second_attempt_that_fails_leaves_the_first_one() {
    let bench = hedged(Api::Chat).await;
    bench.fallback.script(FALLBACK, Turn::error(503));
    let gate = bench.primary.script(PRIMARY, text().gated());
    let asked = async { bench.ask(true).await };
    let opened = async {
        bench.fallback.until(|fake| !fake.calls_of(FALLBACK).is_empty()).await;
        // The failure has been read once only the connection of the first attempt is in use.
        signalbox_harness::eventually("the failure to be read", async || {
            let connections = bench.router.get("/health").await.json()["connections"].clone();
            (connections["open"].as_u64()?.checked_sub(connections["idle"].as_u64()?)? == 1).then_some(())
        })
        .await;
        gate.open();
    };
    let (answer, ()) = tokio::join!(asked, opened);
    assert_eq!((answer.status, bench.calls(), answer.header("x-signalbox-provider")), (200, (21, 1), "primary"));
    let shown = explained(&bench, answer.header("x-request-id")).await;
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!((&attempts[0]["status"], &attempts[1]["status"]), (&json!(503), &json!(200)), "{shown}");
    assert!(attempts[0]["why_next"].as_str().unwrap().contains("the first attempt goes on"), "{shown}");
}

#[tokio::test]
async fn requests_without_a_stream_and_routes_without_hedging_wait() {
    let bench = hedged(Api::Chat).await;
    let gate = bench.primary.script(PRIMARY, text().gated());
    let asked = async { bench.ask(false).await };
    let opened = async {
        bench.primary.until(|fake| fake.calls_of(PRIMARY).len() == 21).await;
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        gate.open();
    };
    let (answer, ()) = tokio::join!(asked, opened);
    assert_eq!((answer.status, bench.calls()), (200, (21, 0)));
}

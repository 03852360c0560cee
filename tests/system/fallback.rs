//! Fallback between two providers of a model: any failure before the first byte is retried with the second provider,
//! and none after it.

use std::time::Duration;

use serde_json::json;
use signalbox_fakes::{FakeProvider, Turn, script::FaultKind};
use signalbox_harness::{Client, Launch, Stack, eventually};
use tokio::time::Instant;

use crate::gateway::{CHAT, chat, error_of, recorded_text, request_id};

/// Two providers linked to the model `shared`; `first` is tried first.
struct Pair {
    stack: Stack,
    router: Client,
    first: FakeProvider,
    second: FakeProvider,
}

// === impl Pair ===

impl Pair {
    async fn start() -> Self {
        Self::launch(Launch::default()).await
    }

    async fn launch(launch: Launch) -> Self {
        let (first, second) = (FakeProvider::start().await.unwrap(), FakeProvider::start().await.unwrap());
        second.script("shared", Turn::says("from the second"));
        let stack = Stack::builder().launch(launch).start().await;
        stack.api.post("/api/models", &json!({"id": "shared", "name": "Shared"})).await.expect(201);
        for (id, fake) in [("first", &first), ("second", &second)] {
            stack.add_provider(id, &fake.url()).await;
            stack.api.post(&format!("/api/providers/{id}/models"), &json!({"model_id": "shared"})).await.expect(201);
        }
        let router = stack.router().await;
        // When a failure of the first is answered by the second, the router has both links.
        first.script("shared", Turn::error(503));
        eventually("an answer of the second provider", async || {
            (router.post(CHAT, &chat("shared", false)).await.status == 200).then_some(())
        })
        .await;
        // The failures may have opened its breaker.
        router.post("/v1/routes/reset-breakers", &json!({})).await.expect(200);
        Self { stack, router, first, second }
    }
}

#[tokio::test]
async fn a_failure_before_the_first_byte_falls_back_to_the_next_provider() {
    let pair = Pair::start().await;
    for turn in [
        Turn::error(503),
        Turn::error(429),
        Turn::error(401),
        Turn::echo().before_head(FaultKind::Reset),
        Turn::raw("text/html", "<p>Please log in."),
        Turn::echo().after(0, FaultKind::ErrorEvent),
        Turn::echo().after(0, FaultKind::Close),
    ] {
        let asked = pair.first.calls().len();
        pair.first.script("shared", turn.clone());
        // Otherwise the first provider would be passed by after five failures.
        pair.router.post("/v1/routes/reset-breakers", &json!({})).await.expect(200);
        for stream in [true, false] {
            let answer = pair.router.post(CHAT, &chat("shared", stream)).await.expect(200);
            assert!(answer.complete, "{turn:?}");
            let row = pair.stack.recorded(&request_id(&answer)).await;
            assert_eq!((row["status"].as_str(), recorded_text(&row).as_str()), (Some("completed"), "from the second"));
        }
        assert!(pair.first.calls().len() > asked, "the first provider was not asked: {turn:?}");
    }
}

#[tokio::test]
async fn a_failure_after_the_first_byte_is_not_retried() {
    let pair = Pair::start().await;
    pair.first.script("shared", Turn::says("from the first").after(3, FaultKind::Close));
    let before = pair.second.calls().len();
    let finished = pair.router.stream(CHAT, &chat("shared", true)).await.finish().await;
    assert_eq!(finished.folded.text, "from the ");
    assert!(!finished.complete && !finished.folded.done);
    assert_eq!(pair.second.calls().len(), before);
}

#[tokio::test]
async fn an_invalid_request_is_not_retried() {
    let pair = Pair::start().await;
    pair.first.script("shared", Turn::error(400));
    let before = pair.second.calls().len();
    error_of(&pair.router.post(CHAT, &chat("shared", false)).await, 400);
    assert_eq!(pair.second.calls().len(), before);
}

#[tokio::test]
async fn all_attempts_share_one_total() {
    const TOTAL: Duration = Duration::from_secs(3);
    let config = "[upstream]\ntotal_timeout = \"3s\"\n";
    let pair = Pair::launch(Launch::default().config("provider-router", config)).await;
    // Most of the time is used up when the second is asked, which says nothing at all.
    pair.first.script("shared", Turn::error(503).delay(TOTAL * 2 / 3));
    pair.second.script("shared", Turn::echo().before_head(FaultKind::Stall));
    for stream in [false, true] {
        pair.router.post("/v1/routes/reset-breakers", &json!({})).await.expect(200);
        let (first, second) = (pair.first.calls().len(), pair.second.calls().len());
        let asked = Instant::now();
        let answer = pair.router.post(CHAT, &chat("shared", stream)).await;
        let elapsed = asked.elapsed();
        error_of(&answer, 504);
        assert!(pair.first.calls().len() > first && pair.second.calls().len() > second);
        // With a total of its own, the second attempt alone would take as long.
        assert!((TOTAL..TOTAL * 3 / 2).contains(&elapsed), "{elapsed:?}");
    }
}

crate::manner::rudely! {
    a_failure_before_the_first_byte_falls_back_to_the_next_provider,
    an_invalid_request_is_not_retried,
}

//! A gateway with a route of two targets.

use std::sync::LazyLock;

use serde_json::{Value, json};
use signalbox_fakes::{FakeProvider, Turn};
use signalbox_harness::{Answer, Client, Stack, eventually};

use crate::apis::Api;

/// Names of the models at the two providers.
pub(super) const PRIMARY: &str = "m-primary";
pub(super) const FALLBACK: &str = "m-fallback";

/// The fixed answer of 60 words.
pub(super) static WORDS: LazyLock<String> =
    LazyLock::new(|| (1..=60).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" "));

/// Says the fixed answer.
pub(super) fn text() -> Turn {
    Turn::says(WORDS.as_str())
}

/// A gateway whose route `bench` has a primary target and a fallback, which speak one API.
pub(super) struct Bench {
    pub(super) api: Api,
    pub(super) stack: Stack,
    pub(super) router: Client,
    pub(super) primary: FakeProvider,
    pub(super) fallback: FakeProvider,
}

// === impl Bench ===

impl Bench {
    pub(super) async fn start(api: Api) -> Self {
        Self::with(api, |_| {}).await
    }

    /// Starts a gateway with a changed route.
    pub(super) async fn with(api: Api, change: impl Fn(&mut Value)) -> Self {
        let (primary, fallback) = (FakeProvider::start().await.unwrap(), FakeProvider::start().await.unwrap());
        fallback.script(FALLBACK, text());
        let stack = Stack::start().await;
        for (id, fake) in [("primary", &primary), ("fallback", &fallback)] {
            stack.add_provider_of("openai-compatible", id, &fake.url()).await;
            let config = json!({"config": {"apis": api.name()}});
            stack.api.put(&format!("/api/providers/{id}/config"), &config).await.expect(200);
        }
        let mut route = json!({
            "model": "bench",
            "targets": [
                {"provider": "primary", "model": PRIMARY, "context_tokens": 8192},
                {"provider": "fallback", "model": FALLBACK, "context_tokens": 128_000},
            ],
            "retries": 2,
            "deadlines": {"first_token_ms": 1_000, "idle_ms": 1_500},
            "resume": "verbatim",
        });
        change(&mut route);
        stack.api.post("/api/routes", &route).await.expect(201);
        let router = stack.router().await;
        router.post("/v1/providers/fallback/reload", &json!({})).await.expect(200);
        eventually("the route", async || (router.get("/v1/models/bench").await.status == 200).then_some(())).await;
        Self { api, stack, router, primary, fallback }
    }

    pub(super) async fn ask(&self, stream: bool) -> Answer {
        self.router.post(self.api.path(), &self.api.request("bench", stream, "Say the words.")).await
    }

    /// Asserts that a stream is whole, and that the log has it so.
    pub(super) async fn is_whole(&self) {
        let answer = self.ask(true).await;
        assert_eq!(answer.status, 200, "{:?}: {}", self.api, answer.text());
        let (said, _) = self.api.streamed(&answer.text());
        assert_eq!(said, *WORDS, "{:?}: {}", self.api, answer.text());
        assert!(answer.complete && !answer.text().contains("\"error\":{"), "{:?}: {}", self.api, answer.text());
        let row = self.stack.recorded(answer.header("x-request-id")).await;
        assert_eq!(row["status"], "completed", "{:?}: {row}", self.api);
    }

    /// Returns the number of calls of the primary target and of the fallback.
    pub(super) fn calls(&self) -> (usize, usize) {
        (self.primary.calls_of(PRIMARY).len(), self.fallback.calls_of(FALLBACK).len())
    }

    /// Asserts that the gateway answers another request.
    pub(super) async fn is_alive(&self) {
        let model = format!("fallback/{FALLBACK}");
        let answer = self.router.post(self.api.path(), &self.api.request(&model, false, "hi")).await;
        assert_eq!(answer.status, 200, "{:?}: {}", self.api, answer.text());
    }
}

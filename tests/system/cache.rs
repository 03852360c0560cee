//! Answers that a route gives again.

use std::time::Duration;

use serde_json::{Value, json};
use signalbox_fakes::{
    FakeProvider, Turn,
    script::{FaultKind, Script},
};
use signalbox_harness::{Answer, Client, Launch, Stack, eventually};
use tokio::task::JoinSet;

use crate::{
    apis::{APIS, Api},
    gateway::{CHAT, Gateway, chat},
};

/// A gateway whose route `cached` has one target, and its fake provider.
struct Cached {
    stack: Stack,
    router: Client,
    fake: FakeProvider,
}

impl Cached {
    async fn start(api: Api, cache: Value) -> Self {
        let fake = FakeProvider::start().await.unwrap();
        let stack = Stack::start().await;
        stack.add_provider_of("openai-compatible", "fake", &fake.url()).await;
        let config = json!({"config": {"apis": api.name()}});
        stack.api.put("/api/providers/fake/config", &config).await.expect(200);
        let route = json!({"model": "cached", "targets": [{"provider": "fake", "model": "m"}], "cache": cache});
        stack.api.post("/api/routes", &route).await.expect(201);
        let router = stack.router().await;
        router.post("/v1/providers/fake/reload", &json!({})).await.expect(200);
        eventually("the route", async || (router.get("/v1/models/cached").await.status == 200).then_some(())).await;
        Self { stack, router, fake }
    }

    fn calls(&self) -> usize {
        self.fake.calls_of("m").len()
    }

    async fn recorded(&self, answer: &Answer) -> Value {
        self.stack.recorded(answer.header("x-request-id")).await
    }
}

#[tokio::test]
async fn an_equal_request_gets_the_same_answer_and_costs_nothing() {
    for api in APIS {
        let cached = Cached::start(api, json!({"ttl_ms": 600_000})).await;
        cached.fake.script("m", Turn::says("one two three"));
        for stream in [true, false] {
            let request = api.request("cached", stream, "hello");
            let before = cached.calls();
            let first = cached.router.post(api.path(), &request).await.expect(200);
            assert_eq!(first.header("x-signalbox-cache"), "miss", "{api:?} {stream}");
            let again = cached.router.post(api.path(), &request).await.expect(200);
            assert_eq!(again.header("x-signalbox-cache"), "hit", "{api:?} {stream}: {}", first.text());
            assert_eq!((again.text(), again.header("content-type")), (first.text(), first.header("content-type")));
            assert_eq!((again.header("age"), again.header("x-signalbox-provider")), ("0", "fake"));
            assert_eq!(cached.calls(), before + 1, "{api:?} {stream}");

            let (miss, hit) = (cached.recorded(&first).await, cached.recorded(&again).await);
            assert_eq!((&hit["status"], &hit["provider_id"]), (&json!("completed"), &Value::Null), "{hit}");
            assert_eq!((&hit["response"]["cache"], &miss["response"]["cache"]), (&json!("hit"), &Value::Null));
            let cost = json!({"amount_usd": 0.0, "origin": "cache", "price_version": null});
            assert_eq!((&hit["response"]["cost"], &hit["response"]["total_tokens"]), (&cost, &Value::Null), "{hit}");
            assert_eq!(hit["response"]["openai_response"], miss["response"]["openai_response"]);
            let id = again.header("x-request-id");
            let explained = cached.stack.api.get(&format!("/api/requests/{id}/explain")).await.expect(200).json();
            assert_eq!(explained["cache"]["outcome"], "hit", "{explained}");
            assert_eq!(explained["cache"]["request_id"], miss["request_id"], "{explained}");
        }
        let metrics = cached.router.get("/metrics").await.expect(200).text();
        assert!(metrics.contains(r#"signalbox_cache_requests_total{outcome="hit"} 2"#), "{metrics}");
    }
}

#[tokio::test]
async fn incomplete_answers_are_not_given_again() {
    let cached = Cached::start(Api::Chat, json!({"ttl_ms": 600_000})).await;
    let cut = Turn::says("one two three four").after(2, FaultKind::Close);
    let length = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"length"}]}"#;
    let turns = [Turn::error(400).into(), Script::from(cut), Turn::raw("application/json", length).into()];
    for (n, turn) in turns.into_iter().enumerate() {
        cached.fake.script("m", turn);
        let before = cached.calls();
        for _ in 0..2 {
            let answer = cached.router.post(CHAT, &chat("cached", n == 1)).await;
            assert_ne!(answer.header("x-signalbox-cache"), "hit", "{n}: {}", answer.text());
        }
        assert!(cached.calls() >= before + 2, "{n}");
    }
}

#[tokio::test]
async fn clients_and_operators_choose() {
    let cached = Cached::start(Api::Chat, json!({"ttl_ms": 600_000})).await;
    cached.fake.script("m", Turn::says("one"));
    let ask = async |control: &'static str| {
        let client = cached.router.with_header("cache-control", control);
        client.post(CHAT, &chat("cached", false)).await.expect(200).header("x-signalbox-cache").to_owned()
    };
    assert_eq!(ask("no-store").await, "bypass");
    assert_eq!(ask("max-age=60").await, "miss");
    assert_eq!(ask("max-age=60").await, "hit");
    assert_eq!(ask("no-cache").await, "miss");
    assert_eq!(ask("max-age=0").await, "miss");
    assert_eq!(ask("private").await, "hit");
    let cleared = cached.router.post("/v1/routes/clear-cache", &json!({})).await.expect(200).json();
    assert_eq!(cleared, json!({"success": true, "removed": 1, "routers": 1}));
    assert_eq!(ask("private").await, "miss");
    let other = cached.router.post(CHAT, &chat("fake/m", false)).await.expect(200);
    assert_eq!(other.header("x-signalbox-cache"), "", "without a route");
}

#[tokio::test]
async fn equal_requests_at_the_same_time_are_one() {
    let cached = Cached::start(Api::Chat, json!({"ttl_ms": 600_000})).await;
    cached.fake.script("m", Turn::says("one two three four five six seven eight").delay(Duration::from_millis(100)));
    let router = cached.router;
    let asked = (0..20).map(|_| async move { router.post(CHAT, &chat("cached", true)).await });
    let answers = asked.collect::<JoinSet<Answer>>().join_all().await;
    assert_eq!(cached.calls(), 1);
    let hits = answers.iter().filter(|answer| answer.header("x-signalbox-cache") == "hit").count();
    assert_eq!(hits, 19);
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.text() == answers[0].text()));
}

#[tokio::test]
async fn keys_share_answers_only_within_the_scope() {
    let cached = Cached::start(Api::Chat, json!({"ttl_ms": 600_000, "scope": "owner"})).await;
    cached.fake.script("m", Turn::says("one"));
    let make = async |name: &str, owner: &str| {
        let made = cached.stack.api.post("/api/keys", &json!({"name": name, "owner": owner})).await.expect(201).json();
        &*made["key"].as_str().unwrap().to_owned().leak()
    };
    let keys = [make("a", "ann").await, make("b", "ann").await, make("c", "bob").await];
    // Without keys, the router is open, and all clients are one.
    let router = &cached.router;
    eventually("keys to be needed", async || (router.get("/v1/models").await.status == 401).then_some(())).await;
    let mut outcomes = Vec::new();
    for key in keys {
        let client = cached.router.with_key(Some(key));
        let answer = eventually("the key is known", async || {
            let answer = client.post(CHAT, &chat("cached", false)).await;
            (answer.status == 200).then_some(answer)
        })
        .await;
        outcomes.push(answer.header("x-signalbox-cache").to_owned());
    }
    assert_eq!(outcomes, ["miss", "hit", "miss"]);
}

#[tokio::test]
async fn a_deleted_answer_of_responses_is_not_given_again() {
    // One provider keeps its answers, and in front of the other one the log does.
    for api in [Api::Responses, Api::Chat] {
        let cached = Cached::start(api, json!({"ttl_ms": 600_000})).await;
        cached.fake.script("m", Turn::says("one"));
        let request = Api::Responses.request("cached", false, "hello");
        let ask = async || cached.router.post("/v1/responses", &request).await.expect(200);
        let outcome = |answer: &Answer| answer.header("x-signalbox-cache").to_owned();
        let first = ask().await;
        let row = cached.recorded(&first).await;
        let again = ask().await;
        assert_eq!((outcome(&first), outcome(&again)), ("miss".to_owned(), "hit".to_owned()), "{api:?}");
        let id = first.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(again.json()["id"], id.as_str(), "{api:?}");
        cached.router.delete(&format!("/v1/responses/{id}")).await.expect(200);
        let anew = ask().await;
        assert_eq!(outcome(&anew), "miss", "{api:?}");
        assert_ne!(anew.json()["id"], id.as_str(), "{api:?}");
        let kept = cached.stack.api.get(&format!("/api/requests/{}", row["id"])).await.expect(200).json();
        assert!(kept["response"].is_null(), "the log has deleted it, too: {kept}");

        // Another process deletes it.
        let row = cached.recorded(&anew).await;
        assert_eq!(outcome(&ask().await), "hit", "{api:?}");
        cached.stack.api.delete(&format!("/api/responses/{}", row["id"])).await.expect(200);
        assert_eq!(outcome(&ask().await), "miss", "{api:?}");
    }
}

#[tokio::test]
async fn every_worker_is_cleared() {
    let gateway = Gateway::launch(Launch::default().arg("--workers").arg("2")).await;
    let api = &gateway.stack.api;
    let route =
        json!({"model": "cached", "targets": [{"provider": "fake", "model": "m"}], "cache": {"ttl_ms": 600_000}});
    api.post("/api/routes", &route).await.expect(201);
    let workers = eventually("both workers", async || {
        let status = gateway.stack.status().await;
        let workers = status["providerRouter"]["workers"].as_array()?.clone();
        workers.iter().all(|worker| worker["running"] == true).then_some(workers)
    })
    .await;
    let own = |worker: &Value| {
        let address = worker["address"].as_str().unwrap();
        Client::new(address.rsplit_once(':').unwrap().1.parse().unwrap())
    };
    let clients: Vec<Client> = workers.iter().map(own).collect();
    let ask = async |client: &Client| {
        let answer = eventually("the route", async || {
            // Before the route is known there, the provider answers for every model.
            let answer = client.post(CHAT, &chat("cached", false)).await.expect(200);
            (!answer.header("x-signalbox-cache").is_empty()).then_some(answer)
        })
        .await;
        answer.header("x-signalbox-cache").to_owned()
    };
    for path in ["/v1/routes/clear-cache", "/api/routes/clear-cache"] {
        for client in &clients {
            ask(client).await;
            assert_eq!(ask(client).await, "hit");
        }
        let via = if path.starts_with("/v1") { &clients[0] } else { api };
        let cleared = via.post(path, &json!({})).await.expect(200).json();
        assert_eq!(cleared, json!({"success": true, "removed": 2, "routers": 2}), "{path}");
        for client in &clients {
            assert_eq!(ask(client).await, "miss", "{path}");
        }
    }
    let reset = api.post("/api/routes/reset-breakers", &json!({})).await.expect(200).json();
    assert_eq!(reset, json!({"success": true, "closed": 0, "routers": 2}));
    api.post("/api/proxy/stop", &json!({"service": "provider-router"})).await.expect(200);
    let away = api.post("/api/routes/clear-cache", &json!({})).await.expect(503).json();
    assert_eq!(away["error"]["code"], "router_unavailable", "{away}");
}

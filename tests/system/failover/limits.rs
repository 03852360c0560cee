//! Limits of routes and providers, queues, and mirrors.

use serde_json::{Value, json};
use signalbox_fakes::{FakeProvider, Turn, script::FaultKind};
use signalbox_harness::eventually;
use tokio::task::JoinSet;

use super::bench::{Bench, PRIMARY, text};
use crate::apis::{APIS, Api};

/// Sets the limits of a provider, and waits until the router has them.
async fn limit(bench: &Bench, provider: &str, limits: Value) {
    let path = format!("/api/providers/{provider}/config");
    bench.stack.api.put(&path, &json!({"config": {"limits": limits}})).await.expect(200);
    bench.router.post("/v1/providers/fallback/reload", &json!({})).await.expect(200);
}

#[tokio::test]
async fn a_route_at_its_limit_refuses_in_the_form_of_the_api() {
    for api in APIS {
        let bench = Bench::with(api, |route| route["limits"] = json!({"rpm": 1})).await;
        bench.primary.script(PRIMARY, text());
        bench.ask(true).await.expect(200);
        let refused = bench.ask(true).await;
        let said = refused.text();
        assert_eq!((refused.status, bench.calls()), (429, (1, 0)), "{said}");
        assert!(said.contains("the route `bench` is limited to 1 requests per minute"), "{said}");
        assert!(said.contains("rate_limit_error"), "{said}");
        assert!((1..=61).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
        // Another name of the same provider is not limited.
        bench.is_alive().await;
    }
}

#[tokio::test]
async fn a_request_waits_in_the_queue_of_its_route() {
    let bench = Bench::with(Api::Chat, |route| {
        route["limits"] = json!({"concurrency": 1, "queue": {"max_waiting": 1, "timeout_ms": 60_000}});
        route["deadlines"] = json!({});
    })
    .await;
    let gate = bench.primary.script(PRIMARY, text().gated());
    let first = async { bench.ask(false).await };
    let others = async {
        bench.primary.until(|fake| fake.calls_of(PRIMARY).len() == 1).await;
        // One of them waits, and the other one finds the queue full.
        let both = tokio::join!(
            async {
                let answer = bench.ask(false).await;
                gate.open();
                answer
            },
            async {
                let answer = bench.ask(false).await;
                gate.open();
                answer
            }
        );
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 429], "{} {}", both.0.text(), both.1.text());
    };
    let (answer, ()) = tokio::join!(first, others);
    assert_eq!((answer.status, bench.calls().0), (200, 2));
}

#[tokio::test]
async fn a_provider_at_its_limit_is_passed_by_and_all_of_them_are_a_429() {
    for api in APIS {
        let bench = Bench::start(api).await;
        bench.primary.script(PRIMARY, text());
        limit(&bench, "primary", json!({"rpm": 1})).await;
        for expected in [(1, 0), (1, 1), (1, 2)] {
            bench.ask(true).await.expect(200);
            assert_eq!(bench.calls(), expected, "{api:?}");
        }
        let path = format!("{}?explain=dry-run", api.path());
        let shown = bench.router.post(&path, &api.request("bench", true, "hi")).await.expect(200).json();
        assert_eq!(shown["skipped"][0]["provider"], "primary", "{shown}");
        assert!(shown["skipped"][0]["why"].as_str().unwrap().contains("a limit of the provider is reached"), "{shown}");
        limit(&bench, "fallback", json!({"rpm": 1})).await;
        bench.ask(false).await.expect(200);
        let refused = bench.ask(false).await;
        let said = refused.text();
        assert_eq!((refused.status, bench.calls()), (429, (1, 3)), "{api:?}: {said}");
        assert!(said.contains("Every target of `bench` is at a limit") && said.contains("rate_limit_error"), "{said}");
        assert!((1..=61).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
        // Without limits it is asked again.
        limit(&bench, "primary", json!({})).await;
        bench.ask(true).await.expect(200);
        assert_eq!(bench.calls(), (2, 3), "{api:?}");
    }
}

#[tokio::test]
async fn many_requests_at_once_do_not_exceed_the_limit_of_a_provider() {
    let bench = Bench::with(Api::Chat, |route| route["retries"] = Value::Null).await;
    bench.primary.script(PRIMARY, text());
    limit(&bench, "primary", json!({"rpm": 5})).await;
    let (router, body) = (bench.router, Api::Chat.request("bench", false, "hi"));
    let mut clients = JoinSet::new();
    for _ in 0..40 {
        let body = body.clone();
        clients.spawn(async move { router.post(Api::Chat.path(), &body).await.status });
    }
    assert_eq!(clients.join_all().await, [200; 40]);
    assert_eq!(bench.calls(), (5, 35));
}

#[tokio::test]
async fn limits_with_mistakes_are_refused() {
    let bench = Bench::start(Api::Chat).await;
    let wrong = json!({"config": {"limits": {"rpm": 0, "queue": {}}}});
    let refused = bench.stack.api.put("/api/providers/primary/config", &wrong).await;
    let said = refused.text();
    assert_eq!(refused.status, 400, "{said}");
    assert!(said.contains("config.limits.rpm must be") && said.contains("config.limits.queue is an unknown"), "{said}");
}

/// A gateway whose route has a mirror for all requests.
async fn mirrored(api: Api) -> (Bench, FakeProvider) {
    let mirror = FakeProvider::start().await.unwrap();
    let bench = Bench::start(api).await;
    bench.stack.add_provider_of("openai-compatible", "mirror", &mirror.url()).await;
    let config = json!({"config": {"apis": api.name()}});
    bench.stack.api.put("/api/providers/mirror/config", &config).await.expect(200);
    let listed = bench.stack.api.get("/api/routes").await.expect(200).json();
    let mut route = listed["routes"][0].clone();
    route["mirror"] = json!({"provider": "mirror", "model": "candidate", "percent": 100});
    bench.stack.api.put(&format!("/api/routes/{}", route["id"].as_str().unwrap()), &route).await.expect(200);
    bench.router.post("/v1/providers/fallback/reload", &json!({})).await.expect(200);
    bench.primary.script(PRIMARY, text());
    (bench, mirror)
}

#[tokio::test]
async fn a_mirror_gets_a_copy_that_the_log_has_as_a_request_of_its_own() {
    for api in APIS {
        let (bench, mirror) = mirrored(api).await;
        mirror.script("candidate", Turn::says("another answer"));
        let answer = bench.ask(true).await.expect(200);
        assert!(!answer.text().contains("another answer"));
        mirror.until(|fake| fake.calls_of("candidate").len() == 1).await;
        let sent: Value = serde_json::from_slice(&mirror.calls_of("candidate")[0].body).unwrap();
        let original: Value = serde_json::from_slice(&bench.primary.calls_of(PRIMARY)[0].body).unwrap();
        assert_eq!((&sent["model"], &original["model"]), (&json!("candidate"), &json!(PRIMARY)));
        for field in ["messages", "input", "stream"] {
            assert_eq!(sent[field], original[field]);
        }
        let id = answer.header("x-request-id");
        let copy = eventually("the copy in the log", async || {
            let list = bench.stack.api.get("/api/requests?model=candidate").await.expect(200).json();
            let row = list["requests"].as_array()?.first()?.clone();
            (row["status"] == "completed").then_some(row)
        })
        .await;
        let path = format!("/api/requests/{}/explain", copy["request_id"].as_str().unwrap());
        let shown = bench.stack.api.get(&path).await.expect(200).json();
        assert_eq!((&shown["mirror_of"], &shown["attempts"][0]["provider"]), (&json!(id), &json!("mirror")), "{shown}");
        let row = bench.stack.recorded(id).await;
        assert_eq!((&row["status"], bench.calls()), (&json!("completed"), (1, 0)), "{row}");
    }
}

#[tokio::test]
async fn a_mirror_that_hangs_or_fails_does_not_touch_the_answer() {
    for turn in [
        text().before_head(FaultKind::Stall),
        Turn::error(500),
        text().before_head(FaultKind::Reset),
        text().after(3, FaultKind::Stall),
    ] {
        let (bench, mirror) = mirrored(Api::Chat).await;
        mirror.script("candidate", turn);
        bench.is_whole().await;
        mirror.until(|fake| !fake.calls_of("candidate").is_empty()).await;
        assert_eq!(bench.calls(), (1, 0));
        bench.is_alive().await;
    }
}

#[tokio::test]
async fn only_the_share_of_the_requests_is_mirrored() {
    let (bench, mirror) = mirrored(Api::Chat).await;
    let listed = bench.stack.api.get("/api/routes").await.expect(200).json();
    let mut route = listed["routes"][0].clone();
    route["mirror"]["percent"] = json!(0.000_001);
    bench.stack.api.put(&format!("/api/routes/{}", route["id"].as_str().unwrap()), &route).await.expect(200);
    bench.router.post("/v1/providers/fallback/reload", &json!({})).await.expect(200);
    for _ in 0..20 {
        bench.ask(false).await.expect(200);
    }
    assert_eq!((bench.calls(), mirror.calls().len()), ((20, 0), 0));
}

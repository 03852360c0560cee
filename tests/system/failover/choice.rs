//! Conditions of targets, overrides of requests, and the limits that providers announce.

use http::Method;
use serde_json::{Value, json};
use signalbox_fakes::{Turn, script::Script};

use super::bench::{Bench, FALLBACK, PRIMARY, text};
use crate::apis::{APIS, Api};

/// Names the targets of a dry run in order.
fn targets(shown: &Value) -> Vec<&str> {
    shown["targets"].as_array().unwrap().iter().map(|target| target["provider"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_target_that_cannot_call_tools_is_passed_by_and_without_another_one_the_request_is_refused() {
    for api in APIS {
        let bench = Bench::with(api, |route| route["targets"][0]["can"] = json!(["vision"])).await;
        bench.primary.script(PRIMARY, text());
        let mut body = api.request("bench", false, "hi");
        body["tools"] = match api {
            Api::Chat => json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]),
            Api::Messages => json!([{"name": "f", "input_schema": {"type": "object"}}]),
            Api::Responses => json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]),
        };
        let answer = bench.router.post(api.path(), &body).await.expect(200);
        assert_eq!((bench.calls(), answer.header("x-signalbox-provider")), ((0, 1), "fallback"));
        bench.ask(false).await.expect(200);
        assert_eq!(bench.calls(), (1, 1), "{api:?}: a text needs no ability");

        let listed = bench.stack.api.get("/api/routes").await.expect(200).json();
        let mut route = listed["routes"][0].clone();
        route["targets"][1]["can"] = json!([]);
        let path = format!("/api/routes/{}", route["id"].as_str().unwrap());
        bench.stack.api.put(&path, &route).await.expect(200);
        bench.router.post("/v1/providers/fallback/reload", &json!({})).await.expect(200);
        let refused = bench.router.post(api.path(), &body).await;
        let said = refused.text();
        assert_eq!(refused.status, 400, "{api:?}: {said}");
        for expected in [
            format!("`primary/{PRIMARY}`: it cannot call tools"),
            format!("`fallback/{FALLBACK}`: it cannot call tools"),
            "invalid_request_error".to_owned(),
        ] {
            assert!(said.contains(&expected), "{api:?}: {said}");
        }
        assert_eq!(said.contains("no_matching_target"), api != Api::Messages, "{said}");
        let row = bench.stack.recorded(refused.header("x-request-id")).await;
        assert_eq!((&row["status"], bench.calls()), (&json!("failed"), (1, 1)), "{row}");
    }
}

#[tokio::test]
async fn a_request_chooses_its_target_in_headers_or_in_its_body() {
    for api in APIS {
        let bench = Bench::with(api, |route| route["targets"][1]["region"] = json!("eu")).await;
        bench.primary.script(PRIMARY, text());
        for extension in [json!({"provider": "fallback"}), json!({"region": "eu", "fallbacks": false})] {
            let before = bench.calls();
            let mut body = api.request("bench", false, "hi");
            body["signalbox"] = extension.clone();
            let answer = bench.router.post(api.path(), &body).await.expect(200);
            assert_eq!(bench.calls(), (before.0, before.1 + 1), "{api:?} {extension}");
            let sent: Value = serde_json::from_slice(&bench.fallback.calls_of(FALLBACK).pop().unwrap().body).unwrap();
            assert!(sent.get("signalbox").is_none() && sent["model"] == FALLBACK, "{sent}");
            let id = answer.header("x-request-id");
            let row = bench.stack.recorded(id).await;
            assert_eq!(row["openai_request"]["signalbox"], extension, "the log has what the client sent: {row}");
            let shown = bench.stack.api.get(&format!("/api/requests/{id}/explain")).await.expect(200).json();
            assert_eq!(
                (&shown["overrides"], &shown["skipped"][0]["provider"]),
                (&extension, &json!("primary")),
                "{shown}"
            );
            assert!(shown["skipped"][0]["why"].as_str().unwrap().contains("the request asks for another"), "{shown}");
        }
        let asking = bench.router.with_header("x-signalbox-provider", "fallback");
        let path = format!("{}?explain=dry-run", api.path());
        let mut body = api.request("bench", true, "hi");
        body["signalbox"] = json!({"deadlines": {"total_ms": 60_000}});
        let shown = asking.post(&path, &body).await.expect(200).json();
        assert_eq!(targets(&shown), ["fallback"], "{shown}");
        assert_eq!(shown["overrides"], json!({"provider": "fallback", "deadlines": {"total_ms": 60_000}}));
    }
}

#[tokio::test]
async fn overrides_with_mistakes_are_refused_with_all_of_them() {
    for api in APIS {
        let bench = Bench::start(api).await;
        let mut body = api.request("bench", false, "hi");
        body["signalbox"] = json!({"policy": "best", "retry": 5});
        let asking = bench.router.with_header("x-signalbox-colour", "red");
        let refused = asking.post(api.path(), &body).await;
        let said = refused.text();
        assert_eq!((refused.status, bench.calls()), (400, (0, 0)), "{said}");
        for expected in [
            "signalbox.policy must be",
            "signalbox.retry is an unknown field",
            "x-signalbox-colour is an unknown header",
        ] {
            assert!(said.contains(expected), "{api:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_request_without_fallbacks_ends_with_the_failure_of_its_only_target() {
    let bench = Bench::with(Api::Chat, |route| route["retries"] = Value::Null).await;
    bench.primary.script(PRIMARY, Turn::error(503));
    let asking = bench.router.with_header("x-signalbox-fallbacks", "false");
    let failed = asking.post(Api::Chat.path(), &Api::Chat.request("bench", false, "hi")).await;
    assert_eq!((failed.status, bench.calls()), (503, (1, 0)), "{}", failed.text());
}

#[tokio::test]
async fn a_price_above_the_limit_of_the_request_excludes() {
    let bench = Bench::start(Api::Chat).await;
    let prices = json!({"prices": [
        {"id": "dear", "provider_id": "primary", "match": [PRIMARY], "base": {"in": "1", "out": "1000"}},
        {"id": "cheap", "provider_id": "fallback", "match": [FALLBACK], "base": {"in": "1", "out": "1"}},
    ]});
    bench.stack.api.put("/api/prices", &prices).await.expect(200);
    bench.router.post("/v1/providers/fallback/reload", &json!({})).await.expect(200);
    let mut body = Api::Chat.request("bench", false, "hi");
    body["max_tokens"] = 1000.into();
    body["signalbox"] = json!({"max_price_usd": 0.5});
    let answer = bench.router.post(Api::Chat.path(), &body).await;
    assert_eq!((answer.status, bench.calls()), (200, (0, 1)), "{}", answer.text());
    body["signalbox"] = json!({"max_price_usd": 0.000_01});
    let refused = bench.router.post(Api::Chat.path(), &body).await;
    assert_eq!((refused.status, bench.calls()), (400, (0, 1)), "{}", refused.text());
    assert!(refused.text().contains("would cost about $1"), "{}", refused.text());
}

#[tokio::test]
async fn a_deadline_of_the_request_shortens_that_of_the_route() {
    let bench = Bench::with(Api::Chat, |route| {
        route["retries"] = Value::Null;
        route["deadlines"] = json!({"first_token_ms": 60_000});
    })
    .await;
    let gate = bench.primary.script(PRIMARY, text().gated());
    let mut body = Api::Chat.request("bench", true, "hi");
    body["signalbox"] = json!({"deadlines": {"first_token_ms": 200}});
    let answer = bench.router.post(Api::Chat.path(), &body).await.expect(200);
    assert_eq!((bench.calls(), answer.header("x-signalbox-provider")), ((1, 1), "fallback"));
    gate.open();
}

#[tokio::test]
async fn a_key_keeps_its_permissions_whatever_a_request_asks_for() {
    let bench = Bench::start(Api::Chat).await;
    let made = bench.stack.api.post("/api/keys", &json!({"name": "k", "models": ["bench"]})).await.expect(201).json();
    let key: &'static str = Box::leak(made["key"].as_str().unwrap().to_owned().into_boxed_str());
    let asking = bench.router.with_key(Some(key)).with_header("x-signalbox-provider", "fallback");
    let ask = async |model: &str| asking.post(Api::Chat.path(), &Api::Chat.request(model, false, "hi")).await;
    // Until then, the router is open.
    let open = &bench.router;
    signalbox_harness::eventually("the key", async || (open.get("/v1/models").await.status == 401).then_some(())).await;
    assert_eq!(ask("bench").await.status, 200);
    let refused = ask(FALLBACK).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
}

#[tokio::test]
async fn a_provider_without_requests_left_comes_behind_the_others_until_its_reset() {
    for api in APIS {
        let bench = Bench::start(api).await;
        let (remaining, reset) = match api {
            Api::Messages => ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
            Api::Chat | Api::Responses => ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        };
        let until = if api == Api::Messages { "2999-01-01T00:00:00Z" } else { "6m0s" };
        let last = text().header(remaining, "0").header(reset, until);
        bench.primary.script(PRIMARY, Script::first(1, last).then(text()));
        for expected in [(1, 0), (1, 1), (1, 2)] {
            bench.ask(true).await.expect(200);
            assert_eq!(bench.calls(), expected, "{api:?}");
        }
        let path = format!("{}?explain=dry-run", api.path());
        let shown = bench.router.post(&path, &api.request("bench", true, "hi")).await.expect(200).json();
        assert_eq!(targets(&shown), ["fallback", "primary"]);
        assert!(shown["targets"][1]["why"].as_str().unwrap().contains("no requests are left"), "{shown}");
        // It is asked all the same if the others fail.
        bench.fallback.script(FALLBACK, Turn::error(503));
        assert_eq!(bench.ask(true).await.expect(200).header("x-signalbox-provider"), "primary");
        bench.router.request(Method::POST, "/v1/routes/reset-breakers", "{}".to_owned()).await.expect(200);
        let shown = bench.router.post(&path, &api.request("bench", true, "hi")).await.expect(200).json();
        // The last answer of the primary has no such headers, and the reset forgets the earlier ones.
        assert_eq!(targets(&shown), ["primary", "fallback"], "{shown}");
    }
}

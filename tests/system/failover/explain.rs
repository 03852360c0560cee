//! Explanations of requests, and dry runs.

use http::Method;
use serde_json::{Value, json};
use signalbox_fakes::{Turn, script::FaultKind};

use super::bench::{Bench, FALLBACK, PRIMARY, text};
use crate::apis::{APIS, Api};

async fn explained(bench: &Bench, id: &str) -> Value {
    bench.stack.recorded(id).await;
    bench.stack.api.get(&format!("/api/requests/{id}/explain")).await.expect(200).json()
}

#[tokio::test]
async fn attempts_are_explained_with_reasons_and_times() {
    let bench = Bench::start(Api::Chat).await;
    bench.primary.script(PRIMARY, Turn::error(503));
    let answer = bench.ask(true).await.expect(200);
    let shown = explained(&bench, answer.header("x-request-id")).await;
    assert_eq!(
        (&shown["route"], &shown["policy"], &shown["plan_kept"]),
        (&json!("bench"), &json!("priority"), &json!(true))
    );
    let names = |list: &str| -> Vec<String> {
        shown[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("{}/{}", one["provider"].as_str().unwrap(), one["model"].as_str().unwrap()))
            .collect()
    };
    let (primary, fallback) = (format!("primary/{PRIMARY}"), format!("fallback/{FALLBACK}"));
    assert_eq!(names("targets"), [primary.as_str(), &fallback]);
    assert_eq!(names("attempts"), [primary.as_str(), &primary, &fallback], "{shown}");
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!((&attempts[0]["status"], &attempts[2]["status"]), (&json!(503), &json!(200)), "{shown}");
    assert!(attempts[0]["why_next"].as_str().unwrap().contains("asks the same target again"), "{shown}");
    assert!(attempts[1]["why_next"].as_str().unwrap().contains("tries another target"), "{shown}");
    assert!(attempts[2]["first_byte_ms"].is_u64() && attempts[2]["error"].is_null(), "{shown}");
    for attempt in attempts {
        assert!(attempt["start_ms"].as_u64() <= attempt["end_ms"].as_u64(), "{shown}");
    }
    assert!(attempts[0]["end_ms"].as_u64() <= attempts[1]["start_ms"].as_u64(), "{shown}");
    let path = format!("/api/requests/{}/attempts", answer.header("x-request-id"));
    let listed = bench.stack.api.get(&path).await.expect(200).json();
    assert_eq!((&listed["attempts"], &listed["status"]), (&shown["attempts"], &json!("completed")), "{listed}");
    bench.stack.api.get("/api/requests/00000000-0000-0000-0000-000000000001/attempts").await.expect(404);
}

#[tokio::test]
async fn a_continued_stream_is_explained() {
    let bench = Bench::start(Api::Messages).await;
    bench.primary.script(PRIMARY, text().after(40, FaultKind::Close));
    let answer = bench.ask(true).await.expect(200);
    let shown = explained(&bench, answer.header("x-request-id")).await;
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{shown}");
    assert_eq!(
        (&attempts[0]["provider"], &attempts[1]["provider"]),
        (&json!("primary"), &json!("fallback")),
        "{shown}"
    );
    assert!(
        attempts[0]["error"].is_string() && attempts[0]["why_next"].as_str().unwrap().contains("broke off"),
        "{shown}"
    );
    // The first byte that the client received came from the primary target.
    assert!(attempts[0]["first_byte_ms"].is_u64() && attempts[1]["first_byte_ms"].is_null(), "{shown}");
}

#[tokio::test]
async fn a_stream_that_no_target_continues_is_explained_in_order() {
    let bench = Bench::start(Api::Messages).await;
    bench.primary.script(PRIMARY, text().after(40, FaultKind::Close));
    bench.fallback.script(FALLBACK, Turn::says("something else"));
    let answer = bench.ask(true).await;
    let shown = explained(&bench, answer.header("x-request-id")).await;
    let attempts = shown["attempts"].as_array().unwrap();
    let providers: Vec<&Value> = attempts.iter().map(|attempt| &attempt["provider"]).collect();
    assert_eq!(providers, ["primary", "fallback"], "{shown}");
    assert!(attempts[0]["why_next"].as_str().unwrap().contains("broke off"), "{shown}");
    assert!(attempts[1]["error"].as_str().unwrap().contains("something else"), "{shown}");
}

#[tokio::test]
async fn requests_without_a_route_are_explained_as_far_as_the_log_knows() {
    let bench = Bench::start(Api::Chat).await;
    let model = format!("fallback/{FALLBACK}");
    let answer = bench.router.post(Api::Chat.path(), &Api::Chat.request(&model, false, "hi")).await.expect(200);
    let shown = explained(&bench, answer.header("x-request-id")).await;
    assert_eq!((&shown["route"], &shown["plan_kept"]), (&Value::Null, &json!(false)), "{shown}");
    assert_eq!(
        (&shown["attempts"][0]["provider"], &shown["attempts"][0]["status"]),
        (&json!("fallback"), &json!(200)),
        "{shown}"
    );
    bench.stack.api.get("/api/requests/00000000-0000-0000-0000-000000000001/explain").await.expect(404);
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_calls_no_provider() {
    for api in APIS {
        let bench = Bench::start(api).await;
        let other = if api == Api::Chat { Api::Messages } else { Api::Chat };
        for (client, is_translated) in [(api, false), (other, true)] {
            let path = format!("{}?explain=dry-run", client.path());
            let shown = bench.router.post(&path, &client.request("bench", true, "hi")).await.expect(200).json();
            assert_eq!(
                (&shown["dry_run"], &shown["route"], &shown["retries"]),
                (&json!(true), &json!("bench"), &json!(2))
            );
            let targets = shown["targets"].as_array().unwrap();
            assert_eq!(targets.len(), 2, "{shown}");
            assert_eq!(
                (&targets[0]["provider"], &targets[0]["translated"]),
                (&json!("primary"), &json!(is_translated)),
                "{shown}"
            );
            assert!(targets[0]["why"].as_str().unwrap().starts_with("priority"), "{shown}");
            assert_eq!(targets[0]["price_usd"], Value::Null, "the price is unknown");
        }
        assert_eq!(bench.calls(), (0, 0));
        let refused =
            bench.router.post(&format!("{}?explain=plan", api.path()), &api.request("bench", true, "hi")).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains("dry-run"), "{}", refused.text());
    }
}

#[tokio::test]
async fn targets_set_fields_of_the_body_in_their_own_api() {
    for provider in APIS {
        let bench = Bench::with(provider, |route| {
            route["targets"][0]["params"] = json!({"temperature": 0.25, "metadata": {"user_id": "u"}});
        })
        .await;
        bench.primary.script(PRIMARY, text());
        for client in APIS {
            let body = client.request("bench", false, "hi");
            let answer = bench.router.post(client.path(), &body).await;
            assert_eq!(answer.status, 200, "{client:?} to {provider:?}: {}", answer.text());
            let sent: Value = serde_json::from_slice(&bench.primary.calls_of(PRIMARY).pop().unwrap().body).unwrap();
            assert_eq!((&sent["temperature"], &sent["metadata"]["user_id"]), (&json!(0.25), &json!("u")), "{sent}");
            let row = bench.stack.recorded(answer.header("x-request-id")).await;
            assert_eq!(row["qwen_request"], sent, "{client:?} to {provider:?}: {row}");
        }
    }
}

#[tokio::test]
async fn a_strict_route_refuses_a_translation_that_loses_a_field() {
    let bench = Bench::with(Api::Chat, |route| route["strict"] = true.into()).await;
    bench.primary.script(PRIMARY, text());
    let mut body = Api::Messages.request("bench", false, "hi");
    body["top_k"] = 3.into();
    let refused = bench.router.post(Api::Messages.path(), &body).await;
    assert_eq!((refused.status, bench.calls()), (400, (0, 0)), "{}", refused.text());
}

#[tokio::test]
async fn the_headers_can_be_switched_off() {
    let bench = Bench::start(Api::Chat).await;
    bench.primary.script(PRIMARY, text());
    assert_eq!(bench.ask(false).await.expect(200).header("x-signalbox-provider"), "primary");
    let off = json!({"value": false});
    bench.router.request(Method::PUT, "/v1/settings/server.answer_headers", off.to_string()).await.expect(200);
    let answer = bench.ask(false).await.expect(200);
    assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("x-signalbox-")), "{:?}", answer.headers);
}

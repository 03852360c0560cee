//! Requests in flight: they are listed, cancelled and announced, through every process that serves or relays them.

use serde_json::{Value, json};
use signalbox_core::schema::RequestStatus;
use signalbox_fakes::{End, Turn};
use signalbox_harness::{Client, Launch, eventually, within};

use crate::{
    events::Listener,
    gateway::{CHAT, Gateway, chat, request_id},
    lone_router::LoneRouter,
};

const LIST: &str = "/api/requests/inflight";
/// The id of no request.
const UNKNOWN: &str = "01920000-0000-7000-8000-000000000000";

async fn listed(api: &Client, path: &str) -> Vec<Value> {
    let list = api.get(path).await.expect(200).json();
    let requests = list["requests"].as_array().unwrap().clone();
    assert_eq!(list["total"], requests.len(), "{list}");
    assert!(list["now"].is_i64(), "{list}");
    requests
}

/// Waits until this number of requests is in flight.
async fn in_flight(api: &Client, path: &str, number: usize) -> Vec<Value> {
    eventually("the requests in flight", async || {
        let requests = listed(api, path).await;
        (requests.len() == number).then_some(requests)
    })
    .await
}

fn cancel(id: &str) -> String {
    format!("/api/requests/{id}/cancel")
}

#[tokio::test]
async fn a_cancelled_stream_ends_with_an_error_at_the_client_and_at_once_at_the_provider() {
    let gateway = Gateway::start().await;
    let api = &gateway.stack.api;
    assert!(listed(api, LIST).await.is_empty());
    let gate = gateway.fake.script("m", Turn::echo().gated());
    gate.release(2);
    let mut stream = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
    let id = stream.header("x-request-id").to_owned();
    assert_eq!(stream.next_text().await.as_deref(), Some("one "));
    let shown = in_flight(api, LIST, 1).await.remove(0);
    assert_eq!(shown["request_id"], id.as_str());
    for (field, value) in [
        ("model", json!("fake/m")),
        ("provider_id", json!("fake")),
        ("upstream_model", json!("m")),
        ("path", json!(CHAT)),
        ("stream", json!(true)),
        ("attempts", json!(1)),
        ("phase", json!("answering")),
        ("key_id", json!(null)),
    ] {
        assert_eq!(shown[field], value, "{field}: {shown}");
    }
    assert!(shown["first_byte_ms"].is_i64() && shown["response_bytes"].as_u64() > Some(0), "{shown}");

    let done = api.post(&cancel(&id), &json!({})).await.expect(200).json();
    assert_eq!((&done["success"], &done["request_id"]), (&json!(true), &json!(id)));
    let finished = stream.finish().await;
    assert!(!finished.complete, "a cancelled stream must not end in order");
    // The log need not have the end yet.
    api.post(&cancel(&id), &json!({})).await.expect(200);
    let left = |fake: &signalbox_fakes::FakeProvider| fake.calls_of("m")[0].end() == Some(End::ClientLeft);
    within("the provider's call to end", gateway.fake.until(left)).await;
    let row = gateway.stack.recorded(&id).await;
    assert_eq!(row["status"], "cancelled", "{row}");
    assert!(row["response"]["error"].as_str().unwrap().contains("cancelled by an operator"), "{row}");
    assert!(listed(api, LIST).await.is_empty());

    // A repetition has the same answer, by the number in the log, too.
    let number = row["id"].as_i64().unwrap().to_string();
    for id in [&id, &number] {
        assert_eq!(api.post(&cancel(id), &json!({})).await.expect(200).json()["success"], true);
    }
    let completed = request_id(&gateway.ask("fake/other").await);
    let ended = api.post(&cancel(&completed), &json!({})).await.expect(409).json();
    assert_eq!(ended["error"]["code"], "request_ended", "{ended}");
    for unknown in [UNKNOWN, "999999", "nonsense"] {
        let missing = api.post(&cancel(unknown), &json!({})).await.expect(404).json();
        assert_eq!(missing["error"]["code"], "request_not_found", "{missing}");
    }
}

#[tokio::test]
async fn a_request_that_waits_is_cancelled_with_an_error_that_no_client_repeats() {
    let gateway = Gateway::start().await;
    let api = &gateway.stack.api;
    for (path, body, kind) in [
        (CHAT, chat("fake/fake-stall", false), "/error/code"),
        (
            "/v1/messages",
            json!({"model": "fake/fake-stall", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}),
            "/type",
        ),
    ] {
        let router = gateway.router;
        let asked = tokio::spawn(async move { router.post(path, &body).await });
        let shown = in_flight(api, LIST, 1).await.remove(0);
        assert_eq!((&shown["phase"], &shown["first_byte_ms"]), (&json!("waiting"), &json!(null)), "{shown}");
        let id = shown["request_id"].as_str().unwrap().to_owned();
        api.post(&cancel(&id), &json!({})).await.expect(200);
        let answer = within("the answer", asked).await.unwrap();
        assert_eq!((answer.status, request_id(&answer)), (499, id.clone()), "{}", answer.text());
        let expected = if kind == "/type" { "error" } else { "request_cancelled" };
        assert_eq!(answer.json().pointer(kind).unwrap(), expected, "{}", answer.text());
        assert!(answer.text().contains("cancelled by an operator"), "{}", answer.text());
        let row = gateway.stack.recorded(&id).await;
        assert_eq!((&row["status"], &row["response"]["status_code"]), (&json!("cancelled"), &json!(499)), "{row}");
        // It leaves the list a moment after its answer.
        in_flight(api, LIST, 0).await;
    }
    // The provider is not to blame.
    let health = gateway.router.get("/health").await.expect(200).json();
    assert_eq!(health["breakers"], json!([]), "{health}");
}

#[tokio::test]
async fn a_request_that_waits_for_a_limit_is_listed_and_cancelled() {
    let gateway = Gateway::start().await;
    let api = &gateway.stack.api;
    let route = json!({
        "model": "narrow",
        "targets": [{"provider": "fake", "model": "fake-stall"}],
        "limits": {"concurrency": 1, "queue": {"max_waiting": 5, "timeout_ms": 600_000}},
    });
    api.post("/api/routes", &route).await.expect(201);
    let router = gateway.router;
    // The router reads the route now; until then, the provider would answer for its name.
    router.post("/v1/providers/fake/reload", &json!({})).await.expect(200);
    let ask = || tokio::spawn(async move { router.post(CHAT, &chat("narrow", false)).await });
    let first = ask();
    let begun = in_flight(api, LIST, 1).await.remove(0);
    let second = ask();
    let shown = in_flight(api, LIST, 2).await;
    let queued = shown.iter().find(|request| request["request_id"] != begun["request_id"]).unwrap();
    assert_eq!((&queued["phase"], &queued["attempts"]), (&json!("queued"), &json!(0)), "{queued}");
    let id = queued["request_id"].as_str().unwrap().to_owned();
    api.post(&cancel(&id), &json!({})).await.expect(200);
    let answer = within("the answer", second).await.unwrap();
    assert_eq!((answer.status, request_id(&answer)), (499, id.clone()), "{}", answer.text());
    assert_eq!(gateway.stack.recorded(&id).await["status"], "cancelled");
    assert!(!first.is_finished(), "the request before it goes on");
    api.post(&cancel(begun["request_id"].as_str().unwrap()), &json!({})).await.expect(200);
    assert_eq!(within("the answer", first).await.unwrap().status, 499);
}

#[tokio::test]
async fn a_router_alone_lists_and_cancels_its_own_requests() {
    let lone = LoneRouter::configured("").await;
    let router = lone.client();
    let waits = tokio::spawn(async move { router.post(CHAT, &chat("fake/fake-stall", false)).await });
    let shown = in_flight(&lone.client(), "/v1/requests/inflight", 1).await.remove(0);
    let id = shown["request_id"].as_str().unwrap().to_owned();
    lone.client().post(&format!("/v1/requests/{id}/cancel"), &json!({})).await.expect(200);
    assert_eq!(within("the answer", waits).await.unwrap().status, 499);
    assert_eq!(lone.recorded(&id).await.0.status, RequestStatus::Cancelled);
}

#[tokio::test]
async fn neither_clients_nor_their_keys_reach_the_routes_of_the_services() {
    let gateway = Gateway::start().await;
    let router = &gateway.router;
    for path in ["/v1/admin/requests", "/v1/admin/activity", "/v1/admin/events"] {
        let refused = router.get(path).await.expect(403).json();
        assert_eq!(refused["error"]["code"], "service_only", "{path}: {refused}");
    }
    router.post(&format!("/v1/admin/requests/{UNKNOWN}/cancel"), &json!({})).await.expect(403);
    let client = gateway.client_with_key(&json!({"name": "reader"})).await;
    client.get("/v1/admin/requests").await.expect(403);
    // The list itself needs no key of a client, and with the router stopped it is not known.
    assert!(listed(&gateway.stack.api, LIST).await.is_empty());
    gateway.stack.api.post("/api/proxy/stop", &json!({"service": "provider-router"})).await.expect(200);
    let away = gateway.stack.api.get(LIST).await.expect(503).json();
    assert_eq!(away["error"]["code"], "router_unavailable", "{away}");
    gateway.stack.api.post(&cancel(UNKNOWN), &json!({})).await.expect(503);
}

#[tokio::test]
async fn each_worker_is_asked() {
    let gateway = Gateway::launch(Launch::default().arg("--workers").arg("2")).await;
    let status = eventually("both workers", async || {
        let status = gateway.stack.status().await;
        let workers = status["providerRouter"]["workers"].as_array()?.clone();
        workers.iter().all(|worker| worker["running"] == true).then_some(workers)
    })
    .await;
    gateway.stack.api.post("/api/providers/fake/reload", &json!({})).await.expect(200);
    let mut asked = Vec::new();
    for worker in &status {
        let address = worker["address"].as_str().unwrap();
        let own = Client::new(address.rsplit_once(':').unwrap().1.parse().unwrap());
        asked.push(tokio::spawn(async move { own.post(CHAT, &chat("fake/fake-stall", false)).await }));
    }
    for shown in in_flight(&gateway.stack.api, LIST, 2).await {
        gateway.stack.api.post(&cancel(shown["request_id"].as_str().unwrap()), &json!({})).await.expect(200);
    }
    for asked in asked {
        assert_eq!(within("the answer", asked).await.unwrap().status, 499);
    }
}

#[tokio::test]
async fn beginnings_and_ends_are_announced_to_those_whose_filter_matches() {
    let gateway = Gateway::start().await;
    let Some(mut all) = Listener::connect(&gateway.stack.api, "websocket").await else { return };
    let Some(mut failed) = Listener::connect(&gateway.stack.api, "websocket").await else { return };
    gateway.fake.script("bad", Turn::error(500));
    all.tell(r#"requests:subscribe {"model": ["fake/m", "fake/bad"]}"#).await;
    let confirmed = all.until(|event, _| event == "requests:subscribed").await;
    assert_eq!(confirmed["filter"], json!({"model": ["fake/m", "fake/bad"]}));
    failed.tell(r#"requests:subscribe {"status": "failed"}"#).await;
    failed.until(|event, _| event == "requests:subscribed").await;
    failed.tell(r#"requests:subscribe {"status": 7, "x": 1}"#).await;
    let mistakes = failed.until(|event, _| event == "requests:error").await;
    assert!(mistakes["error"].as_str().unwrap().contains("unknown field: x"), "{mistakes}");

    // The stream of the router opens a moment after the subscription, so the first requests may go unheard.
    let gate = gateway.fake.script("m", Turn::echo().gated());
    let started = eventually("the first event", async || {
        let router = gateway.router;
        let begun = tokio::spawn(async move { router.post(CHAT, &chat("fake/m", false)).await });
        let heard =
            tokio::time::timeout(std::time::Duration::from_secs(1), all.until(|event, _| event == "requests:started"))
                .await;
        gate.release(9);
        begun.await.unwrap().expect(200);
        heard.ok()
    })
    .await;
    let begun = &started["requests"][0];
    assert_eq!((&begun["model"], &begun["phase"]), (&json!("fake/m"), &json!("waiting")), "{started}");
    let id = begun["request_id"].as_str().unwrap().to_owned();
    let is_of = |data: &Value, id: &str| {
        data["requests"].as_array().is_some_and(|all| all.iter().any(|one| one["request_id"] == id))
    };
    let ended = all.until(|event, data| event == "requests:ended" && is_of(data, &id)).await;
    let over = ended["requests"].as_array().unwrap().iter().find(|one| one["request_id"] == id.as_str()).unwrap();
    assert_eq!((&over["status"], &over["provider_id"]), (&json!("completed"), &json!("fake")), "{over}");
    assert!(over["completion_tokens"].as_i64() > Some(0) && over["duration_ms"].is_i64(), "{over}");

    let answer = gateway.ask("fake/bad").await;
    let id = request_id(&answer);
    // The other listener has heard of nothing else.
    let event = failed.until(|event, _| event.starts_with("requests:") && event != "requests:new").await;
    assert!(is_of(&event, &id) && event["requests"][0]["status"] == "failed", "{event}");
    assert_eq!(event["count"], 1, "{event}");
}

#[tokio::test]
async fn the_activity_is_told_once_a_second_to_those_who_ask() {
    let gateway = Gateway::start().await;
    let Some(mut listener) = Listener::connect(&gateway.stack.api, "websocket").await else { return };
    gateway.fake.script("bad", Turn::error(500));
    listener.tell("metrics:subscribe").await;
    let first = listener.until(|event, _| event == "metrics:tick").await;
    assert_eq!((&first["router"], &first["in_flight"]), (&json!(true), &json!(0)), "{first}");
    let fake = first["providers"].as_array().unwrap().iter().find(|provider| provider["id"] == "fake").unwrap();
    let expected = json!({"id": "fake", "healthy": true, "breaker": "closed", "cooldown_ms": null, "in_flight": 0});
    assert_eq!(*fake, expected);
    let gate = gateway.fake.script("m", Turn::echo().gated());
    gate.release(2);
    let stream = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
    let busy = listener.until(|event, data| event == "metrics:tick" && data["in_flight"] == 1).await;
    assert!(busy["requests_per_s"].as_f64().is_some(), "{busy}");
    drop(stream);
    for _ in 0..6 {
        gateway.ask("fake/bad").await;
    }
    let troubled = listener
        .until(|event, data| {
            let open = |provider: &Value| provider["id"] == "fake" && provider["breaker"] == "open";
            event == "metrics:tick" && data["providers"].as_array().is_some_and(|all| all.iter().any(open))
        })
        .await;
    let fake = troubled["providers"].as_array().unwrap().iter().find(|provider| provider["id"] == "fake").unwrap();
    assert!(fake["cooldown_ms"].as_u64() > Some(0), "{troubled}");
    assert!(!troubled["latencies"].as_array().unwrap().is_empty(), "{troubled}");
    gateway.stack.api.post("/api/proxy/stop", &json!({"service": "provider-router"})).await.expect(200);
    let away = listener.until(|event, data| event == "metrics:tick" && data["router"] == false).await;
    assert_eq!((&away["in_flight"], &away["requests_per_s"]), (&json!(null), &json!(null)), "{away}");
}

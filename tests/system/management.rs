//! The management API on the router's port: the same routes with or without api-server, and never with a client key.

use std::fs;

use serde_json::{Value, json};
use signalbox_harness::{
    Client, Launch, Router, Stack, eventually,
    http::{Answer, Method},
    postgres::Postgres,
};

/// A request to one route.
struct Ask {
    method: Method,
    path: &'static str,
    body: Value,
    status: u16,
    /// Expected fields of the response.
    expected: Value,
}

fn ask(method: Method, path: &'static str, body: Value, status: u16, expected: Value) -> Ask {
    Ask { method, path, body, status, expected }
}

/// Returns requests for every management route, in an order in which each can succeed, and invalid requests.
fn routes() -> Vec<Ask> {
    let none = Value::Null;
    let provider = json!({"id": "p", "name": "P", "type": "openai", "config": {"baseURL": "http://127.0.0.1:9/v1", "apiKey": "sk-canary"}});
    let models = json!({"id": "org/m:1", "name": "M"});
    let login = json!({"token": "token", "cookies": "a=b"});
    vec![
        ask(
            Method::POST,
            "/v1/providers",
            provider.clone(),
            201,
            json!({"id": "p", "config": {"apiKey": "***MASKED***"}}),
        ),
        ask(Method::POST, "/v1/providers", provider, 409, json!({"error": {"code": "provider_exists"}})),
        ask(Method::POST, "/v1/providers", json!({"id": "P!"}), 400, json!({"error": {"type": "validation_error"}})),
        ask(Method::PUT, "/v1/providers/p", json!({"priority": 7}), 200, json!({"priority": 7})),
        ask(
            Method::PUT,
            "/v1/providers/missing",
            json!({"priority": 7}),
            404,
            json!({"error": {"code": "provider_not_found"}}),
        ),
        ask(Method::POST, "/v1/providers/p/disable", none.clone(), 200, json!({"enabled": false})),
        ask(Method::POST, "/v1/providers/p/enable", none.clone(), 200, json!({"enabled": true})),
        ask(Method::GET, "/v1/providers/p/enable", none.clone(), 405, json!({"error": {"type": "method_not_allowed"}})),
        ask(Method::GET, "/v1/providers/p/config", none.clone(), 200, json!({"provider_id": "p", "masked": true})),
        ask(
            Method::PUT,
            "/v1/providers/p/config",
            json!({"config": {"timeout": 5000}}),
            200,
            json!({"updated_count": 1}),
        ),
        ask(Method::PATCH, "/v1/providers/p/config/timeout", json!({"value": 6000}), 200, json!({"value": 6000})),
        ask(Method::DELETE, "/v1/providers/p/config/timeout", none.clone(), 200, json!({"success": true})),
        ask(
            Method::POST,
            "/v1/routes",
            json!({"model": "routed", "targets": [{"provider": "echo", "model": "echo"}]}),
            201,
            json!({"model": "routed", "problems": []}),
        ),
        ask(Method::GET, "/v1/routes", none.clone(), 200, json!({"total": 1})),
        ask(Method::POST, "/v1/keys", json!({"nickname": "k"}), 400, json!({"error": {"type": "validation_error"}})),
        ask(Method::GET, "/v1/keys", none.clone(), 200, json!({"keys": [], "total": 0})),
        ask(Method::POST, "/v1/models", models, 201, json!({"model": {"id": "org/m:1"}})),
        ask(Method::PUT, "/v1/models/org/m:1", json!({"name": "N"}), 200, json!({"model": {"name": "N"}})),
        ask(Method::PUT, "/v1/models/org%2Fm:1", json!({"name": "O"}), 200, json!({"model": {"name": "O"}})),
        ask(
            Method::POST,
            "/v1/providers/p/models",
            json!({"model_id": "org/m:1"}),
            201,
            json!({"model_id": "org/m:1"}),
        ),
        ask(Method::GET, "/v1/providers/p/models", none.clone(), 200, json!({"total": 1})),
        ask(Method::PUT, "/v1/providers/p/models/org%2Fm:1/default", none.clone(), 200, json!({"provider_id": "p"})),
        // The router's own list has it immediately, without waiting for its next poll of the tables.
        ask(Method::GET, "/v1/models/org/m:1", none.clone(), 200, json!({"id": "org/m:1"})),
        ask(Method::GET, "/v1/providers/p", none.clone(), 200, json!({"priority": 7})),
        ask(Method::DELETE, "/v1/providers/p/models/org%2Fm:1", none.clone(), 200, json!({"success": true})),
        ask(Method::DELETE, "/v1/models/org/m:1", none.clone(), 200, json!({"success": true})),
        // A provider without linked models accepts any.
        ask(Method::GET, "/v1/models/org/m:1", none.clone(), 200, json!({"created": 0})),
        ask(Method::GET, "/v1/settings", none.clone(), 200, json!({"category": "all"})),
        ask(Method::PUT, "/v1/settings/active_model", json!({"value": "m"}), 200, json!({"value": "m"})),
        ask(Method::PUT, "/v1/settings/server.port", json!({"value": 0}), 400, json!({"error": "Validation failed"})),
        ask(Method::POST, "/v1/settings/bulk", json!({"settings": {"x": "1"}}), 200, json!({"updated": ["x"]})),
        ask(Method::GET, "/v1/settings/active_model", none.clone(), 200, json!({"value": "m", "isDefault": false})),
        ask(Method::DELETE, "/v1/settings/active_model", none.clone(), 200, json!({"key": "active_model"})),
        ask(Method::GET, "/v1/settings/nothing", none.clone(), 404, json!({"key": "nothing"})),
        ask(Method::GET, "/v1/sessions?limit=2", none.clone(), 200, json!({"limit": 2})),
        ask(Method::GET, "/v1/sessions?limit=0", none.clone(), 400, json!({"error": {"type": "validation_error"}})),
        ask(Method::GET, "/v1/sessions/missing", none.clone(), 404, json!({"error": {"code": "session_not_found"}})),
        ask(Method::GET, "/v1/sessions/missing/requests", none.clone(), 200, json!({"total": 0})),
        ask(Method::GET, "/v1/sessions/chat/missing", none.clone(), 200, json!({"sessions": [], "count": 0})),
        ask(Method::DELETE, "/v1/sessions", none.clone(), 200, json!({"deleted": 0})),
        ask(Method::GET, "/v1/requests", none.clone(), 200, json!({"requests": [], "total": 0})),
        ask(Method::GET, "/v1/requests/12ab", none.clone(), 404, json!({"error": {"code": "request_not_found"}})),
        ask(Method::DELETE, "/v1/requests/7", none.clone(), 404, json!({"error": {"code": "request_not_found"}})),
        ask(Method::GET, "/v1/responses", none.clone(), 200, json!({"responses": []})),
        ask(Method::GET, "/v1/responses/stats", none.clone(), 200, json!({"total_responses": 0})),
        ask(Method::GET, "/v1/responses/request/7", none.clone(), 404, json!({"error": {"code": "request_not_found"}})),
        ask(Method::GET, "/v1/responses/session/s", none.clone(), 200, json!({"session_id": "s"})),
        ask(Method::POST, "/v1/qwen/credentials", login, 200, json!({"success": true})),
        ask(
            Method::POST,
            "/v1/qwen/credentials",
            json!({"token": ""}),
            400,
            json!({"error": {"type": "validation_error"}}),
        ),
        ask(Method::GET, "/v1/qwen/credentials", none.clone(), 200, json!({"hasCredentials": true})),
        ask(Method::DELETE, "/v1/qwen/credentials", none.clone(), 200, json!({"deleted": 1})),
        ask(Method::GET, "/api/v1/activity/recent", none.clone(), 200, json!({"activities": []})),
        ask(Method::GET, "/api/v1/activity/stats", none.clone(), 200, json!({"stats": {"total_api_requests": 0}})),
        ask(Method::GET, "/v1/settings/a/b", none.clone(), 404, json!({"error": {"code": "route_not_found"}})),
        ask(Method::DELETE, "/v1/providers/p", none.clone(), 200, json!({"success": true})),
        ask(Method::GET, "/v1/models/org/m:1", none, 404, json!({"error": {"code": "model_not_found"}})),
    ]
}

/// Returns whether `found` contains everything in `expected`.
fn has(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(key, expected)| found.get(key).is_some_and(|found| has(found, expected)))
        }
        _ => found == expected,
    }
}

async fn every_route_answers(client: &Client) {
    for Ask { method, path, body, status, expected } in routes() {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = client.request(method.clone(), path, body).await;
        let text = answer.text();
        assert_eq!(answer.status, status, "{method} {path}: {text}");
        assert!(has(&answer.json(), &expected), "{method} {path}: {text}");
        assert!(!text.contains("canary"), "{method} {path}: {text}");
    }
    let broken = client.request(Method::PUT, "/v1/settings/x", "{\"value\":").await;
    assert_eq!((broken.status, broken.json()["error"]["type"].as_str()), (400, Some("entity.parse.failed")));
    let large = client.put("/v1/settings/x", &json!({"value": "x".repeat(2 << 20)})).await;
    assert_eq!(large.status, 413, "{}", large.text());
}

/// Returns the actors of the changes to the provider, from the audit log.
async fn actors(answer: Answer) -> Vec<String> {
    let entries = answer.expect(200).json();
    let entries = entries["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["actor"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn without_api_server_the_router_answers_from_the_store() {
    let router = Router::start(Launch::default()).await;
    every_route_answers(&router.client).await;
    if let Some(postgres) = Postgres::launch().await {
        let router = Router::start(Launch::default().database(postgres.create_database().await)).await;
        every_route_answers(&router.client).await;
    }
}

#[tokio::test]
async fn with_api_server_it_answers_through_the_router() {
    let stack = Stack::start().await;
    every_route_answers(&stack.router().await).await;
    let actors = actors(stack.api.get("/api/audit?resource=provider&resource_id=p").await).await;
    let names_caller = |actor: &String| actor.starts_with("api:") && actor.ends_with(" for 127.0.0.1");
    assert!(!actors.is_empty() && actors.iter().all(names_caller), "{actors:?}");
}

#[tokio::test]
async fn a_router_without_its_api_server_rejects_management_requests() {
    let mut stack = Stack::builder().launch(Launch::default().arg("--require-token")).autostart(false).start().await;
    let token = fs::read_to_string(stack.home.data().join("control.token")).unwrap();
    let token: &'static str = Box::leak(token.trim().to_owned().into_boxed_str());
    stack.api = stack.api.with_key(Some(token));
    stack.api.post("/api/proxy/start", &json!({})).await.expect(200);
    stack.running().await;
    let router = stack.router().await;
    router.get("/v1/settings").await.expect(401);
    router.with_key(Some(token)).get("/v1/settings").await.expect(200);
    stack.process.kill9().await;
    eventually("the rejection by the router", async || {
        let answer = router.get("/v1/settings").await;
        (answer.status == 503).then(|| assert_eq!(answer.json()["error"]["code"], "api_server_unavailable"))
    })
    .await;
}

#[tokio::test]
async fn a_client_key_does_not_authorise_management() {
    let launch = Launch::default().env("CLIENT_KEYS", "sk-client-0123456789abcdef");
    let router = Router::start(launch).await;
    let token = fs::read_to_string(router.home.data().join("control.token")).unwrap();
    let token: &'static str = Box::leak(token.trim().to_owned().into_boxed_str());
    let [none, client, control] =
        [None, Some("sk-client-0123456789abcdef"), Some(token)].map(|key| router.client.with_key(key));
    client.get("/v1/models").await.expect(200);
    control.get("/v1/models").await.expect(401);
    for (method, path) in [
        (Method::GET, "/v1/requests"),
        (Method::PUT, "/v1/settings/x"),
        (Method::GET, "/v1/providers/echo/config"),
        (Method::DELETE, "/v1/providers/echo"),
        (Method::POST, "/v1/models"),
        (Method::POST, "/v1/models/sync"),
        (Method::POST, "/v1/models/sync/echo"),
        (Method::GET, "/v1/providers"),
        (Method::GET, "/v1/providers/echo"),
        (Method::POST, "/v1/providers/echo/test"),
        (Method::POST, "/v1/providers/echo/reload"),
        (Method::GET, "/api/v1/activity/recent"),
    ] {
        for (client, who) in [(none, "no key"), (client, "a client")] {
            let answer = client.request(method.clone(), path, "{}").await;
            assert_eq!(answer.status, 401, "{who} {method} {path}");
            assert_eq!(answer.json()["error"]["code"], "invalid_control_token", "{who} {method} {path}");
        }
    }
    control.put("/v1/settings/x", &json!({"value": "1"})).await.expect(200);
    control.get("/v1/providers").await.expect(200);
    control.post("/v1/providers/echo/test", &json!({})).await.expect(200);
    control.post("/v1/models/sync", &json!({})).await.expect(200);
    // An id that no answer has is not one of management.
    let unknown = client.get("/v1/responses/x").await.expect(404).json();
    assert_eq!(unknown["error"]["type"], "invalid_request_error", "{unknown}");
}

#[tokio::test]
async fn what_the_router_answers_itself_takes_the_token_of_its_api_server_and_is_recorded() {
    let key = "sk-both-0123456789abcdef";
    let stack = Stack::builder().client_key(key).start().await;
    // The token of this api-server is not that of the data directory.
    let file = signalbox_daemon::control_token(&stack.home.data()).unwrap().0;
    let file: &'static str = Box::leak(file.expose().to_owned().into_boxed_str());
    assert_ne!(file, key);
    let router = stack.router().await;
    for refused in [None, Some(file)] {
        let answer = router.with_key(refused).post("/v1/models/sync", &json!({})).await;
        assert_eq!(answer.status, 401, "{refused:?} {}", answer.text());
    }
    let router = router.with_key(Some(key));
    router.get("/v1/providers").await.expect(200);
    router.post("/v1/models/sync", &json!({})).await.expect(200);
    router.post("/v1/providers/echo/reload", &json!({})).await.expect(200);
    let log = stack.api.get("/api/audit?resource=request&actor=router:127.0.0.1").await.expect(200).json();
    let paths: Vec<&str> =
        log["entries"].as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/v1/providers/echo/reload", "/v1/models/sync"]);
    // api-server asks for the same with a signature, and records the request itself.
    stack.api.post("/api/models/sync", &json!({})).await.expect(200);
    let log = stack.api.get("/api/audit?resource=request&actor=router:127.0.0.1").await.expect(200).json();
    assert_eq!(log["total"], 2, "{log}");
}

#[tokio::test]
async fn only_listed_origins_are_allowed() {
    let launch = Launch::default().env("ALLOWED_ORIGINS", "*");
    let router = Router::start(launch).await;
    let raw = async |method: &str, path: &str, headers: &str| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: 0\r\n\r\n"
        );
        String::from_utf8_lossy(&router.client.raw(request.as_bytes()).await).to_lowercase()
    };
    let page = "origin: https://evil.example\r\n";
    assert!(raw("GET", "/v1/models", page).await.contains("access-control-allow-origin: https://evil.example"));
    let read = raw("GET", "/v1/settings", page).await;
    assert!(read.starts_with("http/1.1 200") && !read.contains("access-control-allow-origin"), "{read}");
    let written = raw("DELETE", "/v1/providers/echo", page).await;
    assert!(written.starts_with("http/1.1 403"), "{written}");
    let circle = raw("GET", "/v1/settings", "x-signalbox-forwarded: 1\r\n").await;
    assert!(circle.starts_with("http/1.1 508"), "{circle}");
}

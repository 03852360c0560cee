//! Hostile input is refused clearly and has no effect.

use std::fs;

use http::Method;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use signalbox_fakes::{FakeProvider, Turn};
use signalbox_harness::{Client, Home, Launch, Stack, eventually};

use crate::gateway::{CHAT, chat, error_of};

/// Returns a provider with this configuration.
fn provider(id: &str, config: &Value) -> Value {
    json!({"id": id, "name": id, "type": "openai", "enabled": true, "config": config})
}

/// Asserts that such a provider is refused, with a reason.
async fn is_refused(api: &Client, body: &Value) {
    let refused = api.post("/api/providers", body).await.expect(400).json();
    assert_eq!(refused["error"]["type"], "validation_error", "{body}");
    assert!(refused["error"]["errors"].as_array().is_some_and(|mistakes| !mistakes.is_empty()), "{refused}");
}

#[tokio::test]
async fn fc_72_line_breaks_cannot_inject_headers_or_log_lines() {
    let stack = Stack::builder().autostart(false).start().await;
    for bad in ["a\r\nx-evil: 1", "a\nb", "a\0b"] {
        for config in [
            json!({"baseURL": "http://p.test", "headers": {"x-mine": bad}}),
            json!({"baseURL": "http://p.test", "apiKey": bad}),
        ] {
            is_refused(&stack.api, &provider("p", &config)).await;
        }
    }
    let named = json!({"baseURL": "http://p.test", "headers": {"x\r\ny": "1"}});
    is_refused(&stack.api, &provider("p", &named)).await;
    stack.api.get("/api/providers/p").await.expect(404);

    stack.api.post("/api/proxy/start", &json!({})).await;
    stack.running().await;
    let forged = "no-such-model\n2026-01-01T00:00:00Z ERROR forged: line";
    error_of(&stack.router().await.post(CHAT, &chat(forged, false)).await, 404);
    assert!(!stack.process.stderr().lines().any(|line| line.starts_with("2026-01-01T00:00:00Z ERROR forged")));
}

#[tokio::test]
async fn fc_73_names_are_never_used_as_paths() {
    let stack = Stack::start().await;
    let (router, qwen) = (stack.router().await, stack.qwen().await);
    let before = stack.api.get("/api/config/export?format=json").await.expect(200).text();
    let pids = |status: Value| [status["providerRouter"]["pid"].clone(), status["qwenProxy"]["pid"].clone()];
    let running = pids(stack.status().await);
    let long = "x".repeat(4096);
    let names = [
        "..%2f..%2fsecret.key",
        "..%2f..%2fv1%2fadmin%2fshutdown",
        "%2e%2e%2f%2e%2e%2fapi%2fproxy%2fstop",
        "..%5c..%5csecret.key",
        "%2fetc%2fpasswd",
        "secret.key%00.log",
        "%00",
        "%0d%0ax-evil:%201",
        "%ff%fe",
        "%f0%9f%92%a9",
        "a%3fb%23c",
        "%2525",
        &long,
    ];
    let (mut asked, mut wrong) = (0, Vec::new());
    for name in names {
        for (client, method, path) in [
            (&stack.api, Method::GET, format!("/api/providers/{name}")),
            (&stack.api, Method::PUT, format!("/api/providers/{name}")),
            (&stack.api, Method::DELETE, format!("/api/providers/{name}")),
            (&stack.api, Method::POST, format!("/api/providers/{name}/test")),
            (&stack.api, Method::POST, format!("/api/providers/{name}/reload")),
            (&stack.api, Method::DELETE, format!("/api/providers/echo/config/{name}")),
            (&stack.api, Method::DELETE, format!("/api/providers/echo/models/{name}")),
            (&stack.api, Method::POST, format!("/api/models/sync/{name}")),
            (&stack.api, Method::DELETE, format!("/api/models/{name}")),
            (&stack.api, Method::GET, format!("/api/logs/{name}")),
            (&stack.api, Method::GET, format!("/api/settings/{name}")),
            (&stack.api, Method::DELETE, format!("/api/sessions/{name}")),
            (&stack.api, Method::GET, format!("/api/requests/{name}")),
            (&stack.api, Method::GET, format!("/api/responses/request/{name}")),
            (&stack.api, Method::DELETE, format!("/api/qwen/credentials/{name}")),
            (&router, Method::GET, format!("/v1/providers/{name}")),
            (&router, Method::POST, format!("/v1/providers/{name}/reload")),
            (&router, Method::GET, format!("/v1/models/{name}")),
            (&qwen, Method::DELETE, format!("/v1/sessions/{name}")),
            (&qwen, Method::GET, format!("/v1/requests/{name}/response")),
        ] {
            let answer = client.request(method.clone(), &path, "").await;
            asked += 1;
            let known = matches!(answer.status, 400 | 401 | 404)
                && answer.json()["error"].is_string() | answer.json()["error"].is_object();
            if !known || !answer.header("x-evil").is_empty() {
                wrong.push(format!("{method} {path}: {} {}", answer.status, answer.text()));
            }
        }
    }
    assert!(wrong.is_empty() && asked == 13 * 20, "{}", wrong.join("\n"));
    assert_eq!(stack.api.get("/api/config/export?format=json").await.expect(200).text(), before);
    assert_eq!(pids(stack.status().await), running, "no process was stopped");
}

#[tokio::test]
async fn fc_74_sql_in_input_is_stored_as_text() {
    let stack = Stack::builder().autostart(false).start().await;
    let before = stack.api.get("/api/providers").await.expect(200).json();
    for sql in ["'%20OR%201=1--", "x';DROP%20TABLE%20providers;--", "%25", "_", "%22%22)%20UNION%20SELECT%201", "$1"] {
        for path in [
            format!("/api/providers?type={sql}"),
            format!("/api/models?capability={sql}"),
            format!("/api/models?provider={sql}"),
            format!("/api/requests?model={sql}"),
            format!("/api/audit?actor={sql}&resource_id={sql}"),
        ] {
            let answer = stack.api.get(&path).await;
            let found = answer.status == 200 && answer.json()["total"] != 0;
            assert!(matches!(answer.status, 200 | 404) && !found, "{path}: {}", answer.text());
        }
        let sorted = stack.api.get(&format!("/api/sessions?sort={sql}")).await;
        assert_eq!(sorted.status, 400, "{sql}");
        stack.api.delete(&format!("/api/providers/{sql}")).await.expect(404);
    }
    assert_eq!(stack.api.get("/api/providers").await.expect(200).json(), before);
}

#[tokio::test]
async fn fc_75_cross_site_posts_are_rejected() {
    let stack = Stack::builder().autostart(false).start().await;
    // Headers that a browser adds to a form of a foreign page; no browser omits both.
    for origin in ["origin: https://evil.test", "sec-fetch-site: cross-site"] {
        for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"] {
            for path in ["/api/proxy/start", "/api/proxy/stop", "/api/providers/echo/disable", "/api/qwen/credentials"]
            {
                let request = format!(
                    "POST {path} HTTP/1.1\r\nhost: localhost\r\n{origin}\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
                );
                let answer = stack.api.raw(request.as_bytes()).await;
                let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
                assert!(answer.starts_with("http/1.1 403 ") && !answer.contains("access-control-allow"), "{answer}");
            }
        }
    }
    assert_eq!(stack.api.get("/api/providers/echo").await.expect(200).json()["enabled"], true);
    assert_ne!(stack.status().await["status"], "running");
}

#[tokio::test]
async fn fc_82_metadata_and_unspecified_addresses_are_not_called() {
    let stack = Stack::start().await;
    for url in [
        "http://169.254.169.254/v1",
        "http://2852039166/v1",
        "http://0xA9FEA9FE/v1",
        "http://[::ffff:169.254.169.254]/v1",
        "http://[fe80::1]/v1",
        "http://100.100.100.200/v1",
        "http://0.0.0.0:3001/v1",
        "http://224.0.0.1/v1",
        "http://user:password@p.test/v1",
        "file:///etc/passwd",
        "gopher://p.test/",
    ] {
        let answer =
            stack.api.post("/api/providers", &provider("ssrf", &json!({"baseURL": url, "apiKey": "sk-x"}))).await;
        if answer.status == 201 {
            // Stored, but never called.
            let router = stack.router().await;
            let refused = eventually("the router to load the provider", async || {
                let answer = router.post("/v1/providers/ssrf/test", &json!({})).await;
                (answer.status == 200).then(|| answer.json())
            })
            .await;
            assert_eq!(refused["healthy"], false, "{url}: {refused}");
            let why = refused["error"].as_str().unwrap();
            assert!(why.contains("not allowed") || why.contains("base URL"), "{url}: {why}");
            stack.api.delete("/api/providers/ssrf").await.expect(200);
        } else {
            assert_eq!(answer.status, 400, "{url}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn fc_82_private_networks_can_be_denied() {
    let stack = Stack::builder().launch(Launch::default().env("DENY_PRIVATE_UPSTREAMS", "true")).start().await;
    stack.add_provider("lan", "http://10.0.0.1:9/v1").await;
    let tested = stack.router().await.post("/v1/providers/lan/test", &json!({})).await.expect(200).json();
    assert!(tested["error"].as_str().is_some_and(|why| why.contains("10.0.0.1 is private")), "{tested}");
}

#[tokio::test]
async fn fc_80_the_environment_key_decrypts_secrets_of_all_services() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let stack = Stack::builder().launch(Launch::default().env("SIGNALBOX_KEY", key)).start().await;
    let fake = FakeProvider::start().await.unwrap();
    stack.add_provider("fake", &fake.url()).await;
    let answer = stack.router().await.post(CHAT, &chat("fake/m", false)).await.expect(200);
    assert!(answer.complete);
    assert_eq!(fake.calls_of("m")[0].header("authorization"), Some("Bearer sk-test-0123456789abcdef"));
    assert!(!stack.home.data().join("secret.key").exists(), "no other key was created");
}

#[tokio::test]
async fn a_key_file_that_is_deleted_under_the_services_is_put_back() {
    let stack = Stack::start().await;
    let fake = FakeProvider::start().await.unwrap();
    stack.add_provider("fake", &fake.url()).await;
    let file = stack.home.data().join("secret.key");
    let key = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    stack.api.post("/api/proxy/restart", &json!({})).await.expect(200);
    stack.running().await;
    assert_eq!(fs::read(&file).unwrap(), key);
    stack.router().await.post(CHAT, &chat("fake/m", false)).await.expect(200);
    assert_eq!(stack.router().await.get("/health").await.expect(200).json()["secrets"]["status"], "ok");
}

#[tokio::test]
async fn secrets_of_a_lost_key_are_named_and_can_be_stored_again() {
    let home = Home::new();
    let launch = || Stack::builder().launch(Launch::default().home(&home)).start();
    let mut stack = launch().await;
    let fake = FakeProvider::start().await.unwrap();
    stack.add_provider("fake", &fake.url()).await;
    stack.process.signal(Signal::SIGTERM);
    assert!(stack.process.wait_exit().await.success());
    fs::remove_file(home.data().join("secret.key")).unwrap();

    let stack = launch().await;
    let router = stack.router().await;
    let secrets = router.get("/health").await.expect(200).json()["secrets"].clone();
    let reason = secrets["reason"].as_str().unwrap_or_default();
    assert!(secrets["status"] == "degraded" && reason.contains("sealed with another key"), "{secrets}");
    let said = stack.process.stderr();
    assert!(said.contains("stored secrets were sealed with another key"), "{said}");
    let again = json!({"config": {"apiKey": "sk-test-0123456789abcdef", "baseURL": fake.url()}});
    stack.api.put("/api/providers/fake/config", &again).await.expect(200);
    eventually("health `ok`", async || {
        let health = router.get("/health").await.expect(200).json();
        (health["secrets"]["status"] == "ok").then_some(())
    })
    .await;
    router.post(CHAT, &chat("fake/m", false)).await.expect(200);
}

#[tokio::test]
async fn fc_83_a_request_loop_through_the_router_ends() {
    let stack = Stack::start().await;
    let router = stack.router().await;
    stack.add_provider("self", &format!("{}/v1", router.url())).await;
    stack.api.put("/api/settings/active_provider", &json!({"value": "self"})).await.expect(200);
    let answer = eventually("the active provider", async || {
        let answer = router.post(CHAT, &chat("in-a-circle", false)).await;
        (answer.status != 404).then_some(answer)
    })
    .await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.text().contains("is this server itself"), "{}", answer.text());
    let logged = stack.api.get("/api/requests?model=in-a-circle").await.expect(200).json();
    assert!(logged["total"].as_u64() <= Some(64), "{logged}");
    let tested = router.post("/v1/providers/self/test", &json!({})).await.expect(200).json();
    assert!(tested["error"].as_str().is_some_and(|why| why.contains("is this server itself")), "{tested}");
}

#[tokio::test]
async fn fc_84_every_wrong_key_gets_the_same_answer() {
    let stack = Stack::builder().client_key("sk-open-sesame-0123456789").start().await;
    let wrong = [
        "sk-open-sesame-012345678",
        "sk-open-sesame-01234567890",
        "x",
        "SK-OPEN-SESAME-0123456789",
        "sk-open-sesame-0123456789,",
    ];
    for client in [stack.api, stack.router().await, stack.qwen().await] {
        for key in wrong {
            let answer = client.with_key(Some(key)).get("/v1/models").await;
            assert_eq!(answer.status, 401, "{key}");
            assert!(!answer.text().contains("open-sesame"), "{}", answer.text());
        }
        assert_eq!(client.with_key(None).get("/v1/models").await.status, 401);
    }
}

#[tokio::test]
async fn fc_84_repeated_wrong_keys_are_rate_limited_per_address() {
    const KEY: &str = "sk-open-sesame-0123456789";
    let stack = Stack::builder().client_key(KEY).start().await;
    for client in [stack.api, stack.router().await, stack.qwen().await] {
        let guess = async || client.with_key(Some("sk-wrong")).get("/v1/models").await;
        let refused = eventually("a 429", async || Some(guess().await).filter(|answer| answer.status != 401)).await;
        assert_eq!(refused.status, 429, "{}", refused.text());
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=3).contains(&wait), "{wait}");
        assert_eq!(refused.json()["error"]["code"], "too_many_wrong_keys");
        let right = client.with_key(Some(KEY)).get("/v1/models").await;
        // qwen-proxy has no login at chat.qwen.ai; only authorised clients are told.
        assert!(right.status != 429 && !right.text().contains("_key"), "{}", right.text());
        assert_eq!(
            client.with_key(None).get("/v1/models").await.status,
            401,
            "a missing key does not count as a guess"
        );
    }
}

#[tokio::test]
async fn fc_85_settings_accept_only_valid_values() {
    let stack = Stack::builder().autostart(false).start().await;
    let before = stack.api.get("/api/settings").await.expect(200).json();
    for (key, value) in [
        ("server.port", json!(70_000)),
        ("server.port", json!(-1)),
        ("server.port", json!("many")),
        ("server.port", json!({"a": 1})),
        ("logging.level", json!("loud")),
    ] {
        let answer = stack.api.put(&format!("/api/settings/{key}"), &json!({"value": value})).await;
        assert!(matches!(answer.status, 400 | 404), "{key} {value}: {}", answer.text());
        // The bulk endpoint reports errors by key, as the Node.js version does.
        let bulk = stack.api.post("/api/settings/bulk", &json!({"settings": {key: value}})).await.expect(200).json();
        assert_eq!((&bulk["updated"], &bulk["errors"][0]["key"]), (&json!([]), &json!(key)), "{bulk}");
    }
    assert_eq!(stack.api.get("/api/settings").await.expect(200).json(), before, "nothing was written");
}

#[tokio::test]
async fn fc_86_concurrent_edits_leave_one_of_them_complete() {
    let stack = Stack::builder().autostart(false).start().await;
    stack.api.post("/api/providers", &provider("p", &json!({"baseURL": "http://p.test"}))).await.expect(201);
    let edits = (0..20).map(|edit| {
        let api = stack.api;
        tokio::spawn(async move {
            let body =
                json!({"name": format!("name {edit}"), "description": format!("about {edit}"), "priority": edit});
            api.request(Method::PUT, "/api/providers/p", body.to_string()).await.expect(200);
        })
    });
    for edit in edits.collect::<Vec<_>>() {
        edit.await.unwrap();
    }
    let row = stack.api.get("/api/providers/p").await.expect(200).json();
    let edit = row["priority"].as_i64().unwrap();
    assert_eq!((&row["name"], &row["description"]), (&format!("name {edit}").into(), &format!("about {edit}").into()));
    let audited = stack.api.get("/api/audit?resource=provider&resource_id=p&action=updated").await.expect(200).json();
    assert_eq!(audited["total"], 20, "every stored value is one of the written values");
}

#[tokio::test]
async fn fc_62_credentials_do_not_follow_a_redirect() {
    let stack = Stack::start().await;
    let (first, second) = (FakeProvider::start().await.unwrap(), FakeProvider::start().await.unwrap());
    let elsewhere = Turn::raw("text/plain", "moved");
    let elsewhere = elsewhere.header("location", &format!("{}/chat/completions", second.url()));
    first.script("m", Turn { status: 307, ..elsewhere });
    stack.add_provider("first", &first.url()).await;
    let answer = stack.router().await.post(CHAT, &chat("first/m", false)).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(first.calls_of("m").len(), 1);
    assert!(second.calls().is_empty(), "no other server received the request or the key");
}

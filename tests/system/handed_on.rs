//! api-server passes all settings to its services, and secrets in a way that other users cannot see.

use std::fs;

use serde_json::{Value, json};
use signalbox_fakes::FakeProvider;
use signalbox_harness::{Client, Home, Launch, Stack, eventually};

use crate::gateway::CHAT;

const KEY: &str = "sk-canary-client-0123456789";
const SECRETS: [(&str, &str); 4] = [
    ("CLIENT_KEYS", KEY),
    ("SIGNALBOX_KEY", "Y2FuYXJ5LXNlYWxpbmcta2V5LTAxMjM0NTY3ODlhYmM="),
    ("QWEN_TOKEN", "canary-qwen-token"),
    ("QWEN_COOKIES", "canary=qwen-cookies"),
];

#[tokio::test]
async fn secrets_reach_the_services_but_not_their_environment() {
    let launch = SECRETS.iter().fold(Launch::default(), |launch, (name, value)| launch.env(*name, *value));
    let stack = Stack::builder().launch(launch.env("API_TOKEN", KEY)).client_key(KEY).start().await;
    let status = stack.status().await;
    for service in ["providerRouter", "qwenProxy"] {
        let pid = status[service]["pid"].as_u64().unwrap();
        let seen = ["environ", "cmdline"].map(|file| fs::read(format!("/proc/{pid}/{file}")).unwrap());
        for text in seen.iter().map(|seen| String::from_utf8_lossy(seen)) {
            for (name, value) in SECRETS {
                assert!(!text.contains(value), "{service}: {name}");
            }
            assert!(!text.contains("signalbox.db"), "{service}: the database");
        }
    }
    let request = json!({"model": "echo", "messages": [{"role": "user", "content": "x"}]});
    let router = stack.router().await;
    router.post(CHAT, &request).await.expect(200);
    Client::new(router.port()).post(CHAT, &request).await.expect(401);
    Client::new(stack.qwen().await.port()).get("/v1/models").await.expect(401);
    // With the login of the environment.
    let health: Value = stack.qwen().await.get("/health").await.expect(200).json();
    assert!(!health.to_string().contains("missing"), "{health}");
    // The key was passed as well, so none had to be generated.
    assert!(!stack.home.data().join("secret.key").exists());
}

#[tokio::test]
async fn the_proxies_of_the_environment_reach_the_services_and_their_credentials_stay_secret() {
    let proxy = FakeProvider::start().await.unwrap();
    let url = format!("http://user:canary-proxy@{}", proxy.addr());
    let launch = Launch::default().env("HTTP_PROXY", &url).env("NO_PROXY", "direct.test");
    let stack = Stack::builder().launch(launch).start().await;
    let router = stack.router().await;
    // Only the proxy knows these names.
    let by_environment =
        json!({"id": "far", "name": "far", "type": "openai-compatible", "config": {"baseURL": "http://far.test/v1"}});
    let own = format!("http://other:canary-own@{}", proxy.addr());
    let by_itself = json!({"id": "own", "name": "own", "type": "openai-compatible", "config": {"baseURL": "http://direct.test/v1", "proxy": own}});
    for provider in [by_environment, by_itself] {
        let created = stack.api.post("/api/providers", &provider).await.expect(201).text();
        assert!(!created.contains("canary"), "{created}");
    }
    for (model, credentials) in [("far/m", "dXNlcjpjYW5hcnktcHJveHk="), ("own/m", "b3RoZXI6Y2FuYXJ5LW93bg==")] {
        let request = json!({"model": model, "messages": [{"role": "user", "content": "x"}]});
        // Until the router has the second provider, the first one is asked for its models, too.
        eventually("an answer through the proxy with these credentials", async || {
            let is_answered = router.post(CHAT, &request).await.status == 200;
            // The router also asks for the lists of models.
            let call = proxy.calls().into_iter().rfind(|call| call.method == "POST")?;
            let sent = call.header("proxy-authorization") == Some(&*format!("Basic {credentials}"));
            (is_answered && sent).then_some(())
        })
        .await;
    }
    let shown = stack.api.get("/api/providers/own/config").await.expect(200).text();
    assert!(!shown.contains("canary"), "{shown}");
    let pid = stack.status().await["providerRouter"]["pid"].as_u64().unwrap();
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environ).contains("canary"));
    // A proxy that is gone counts as a connection failure and is named without credentials.
    drop(proxy);
    let request = json!({"model": "far/m", "messages": [{"role": "user", "content": "x"}]});
    let refused = router.post(CHAT, &request).await.expect(502).text();
    assert!(refused.contains("proxy_connect") && !refused.contains("canary"), "{refused}");
}

#[tokio::test]
async fn variables_of_the_services_work_under_api_server() {
    let stack = Stack::builder().launch(Launch::default().env("CORS_ORIGIN", "https://page.example")).start().await;
    let preflight = "OPTIONS /v1/models HTTP/1.1\r\nhost: localhost\r\norigin: https://page.example\r\n\
                     access-control-request-method: GET\r\nconnection: close\r\n\r\n";
    let answer = String::from_utf8_lossy(&stack.qwen().await.raw(preflight.as_bytes()).await).to_ascii_lowercase();
    assert!(answer.contains("access-control-allow-origin: https://page.example"), "{answer}");
}

#[tokio::test]
async fn legacy_mode_reaches_the_router_through_api_server() {
    for (legacy, imported) in [("true", 404), ("false", 200)] {
        let home = Home::new();
        fs::create_dir_all(home.data()).unwrap();
        fs::write(home.data().join(".env"), "QWEN_API_KEY=canary-key").unwrap();
        let launch = Launch::default().home(&home).env("USE_LEGACY_CONFIG", legacy);
        let stack = Stack::builder().launch(launch).start().await;
        // The router imports the file before it listens.
        let found = stack.api.get("/api/providers/qwen-direct-default").await;
        assert_eq!(found.status, imported, "USE_LEGACY_CONFIG={legacy}: {}", found.text());
        assert!(!found.text().contains("canary"), "{}", found.text());
    }
}

#[tokio::test]
async fn the_access_log_of_the_services_is_configured_with_that_of_api_server() {
    let stack = Stack::builder().launch(Launch::default().env("LOG_ACCESS", "all")).start().await;
    let logs = stack.home.data().join("logs");
    for (client, log) in [(stack.router().await, "provider-router.log"), (stack.qwen().await, "qwen-proxy.log")] {
        let id = client.get("/health/live").await.expect(200).header("x-request-id").to_owned();
        eventually("the access line in the log of the service", async || {
            let text = fs::read_to_string(logs.join(log)).unwrap_or_default();
            text.lines().any(|line| line.contains("signalbox_access") && line.contains(&id)).then_some(())
        })
        .await;
    }
}

/// Returns the access line of a request in a log.
async fn access_line(log: impl Fn() -> String, id: &str) -> String {
    eventually("the access line", async || {
        log().lines().find(|line| line.contains("signalbox_access") && line.contains(id)).map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_to_all_services() {
    const REQUEST: &str = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\
                           x-forwarded-for: 6.6.6.6, 192.0.2.7\r\nconnection: close\r\n\r\n";
    for (proxies, expected) in [("127.0.0.0/8, ::1", "192.0.2.7"), ("", "127.0.0.1")] {
        let launch = Launch::default().env("LOG_ACCESS", "all").env("TRUSTED_PROXIES", proxies);
        let stack = Stack::builder().launch(launch).start().await;
        let logs = stack.home.data().join("logs");
        let read = |name: &str| fs::read_to_string(logs.join(name)).unwrap_or_default();
        for (client, service) in
            [(stack.router().await, "provider-router"), (stack.qwen().await, "qwen-proxy"), (stack.api, "api")]
        {
            let answer = String::from_utf8_lossy(&client.raw(REQUEST.as_bytes()).await).to_ascii_lowercase();
            let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().trim().to_owned();
            let log = || if service == "api" { stack.process.stderr() } else { read(&format!("{service}.log")) };
            let line = access_line(log, &id).await;
            assert!(line.contains(&format!("client={expected}")), "{service}: {line}");
        }
    }
}

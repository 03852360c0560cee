//! api-server passes all settings to its services, and secrets in a way that other users cannot see.

use std::fs;

use serde_json::{Value, json};
use signalbox_harness::{Client, Launch, Stack, eventually};

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
async fn variables_of_the_services_work_under_api_server() {
    let stack = Stack::builder().launch(Launch::default().env("CORS_ORIGIN", "https://page.example")).start().await;
    let preflight = "OPTIONS /v1/models HTTP/1.1\r\nhost: localhost\r\norigin: https://page.example\r\n\
                     access-control-request-method: GET\r\nconnection: close\r\n\r\n";
    let answer = String::from_utf8_lossy(&stack.qwen().await.raw(preflight.as_bytes()).await).to_ascii_lowercase();
    assert!(answer.contains("access-control-allow-origin: https://page.example"), "{answer}");
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

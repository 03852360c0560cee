//! Authorisation and effect of requests to shut a service down.

use serde_json::{Value, json};
use signalbox_harness::{Client, Home, Launch, Router, Stack, eventually};

use crate::gateway::error_of;

const SHUTDOWN: &str = "/v1/admin/shutdown";
const KEY: &str = "sk-open-sesame-0123456789";

/// Returns the status of a request with these header lines.
async fn ask(client: &Client, headers: &str) -> u16 {
    let request = format!("POST {SHUTDOWN} HTTP/1.1\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n");
    let answer = String::from_utf8_lossy(&client.raw(request.as_bytes()).await).into_owned();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn only_the_control_token_authorises_shutdown() {
    let home = Home::new();
    let mut router = Router::start(Launch::default().home(&home).env("CLIENT_KEYS", KEY)).await;
    let client = Client::new(router.client.port()).with_key(Some(KEY));
    assert_eq!(error_of(&client.post(SHUTDOWN, &json!({})).await, 401)["code"], "control_token_required");
    assert_eq!(
        ask(&client, &format!("host: localhost\r\nx-api-key: {KEY}\r\nx-forwarded-for: 127.0.0.1\r\n")).await,
        401
    );
    client.get("/v1/models").await.expect(200);
    assert!(router.process.is_running());

    let token = "sbx-a-token-chosen-by-the-user";
    let file = home.data().join("control.token");
    std::fs::write(&file, token).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(ask(&client, &format!("host: localhost\r\nauthorization: Bearer {token}x\r\n")).await, 401);
    assert_eq!(ask(&client, &format!("host: localhost\r\nauthorization: Bearer {token}\r\n")).await, 200);
    assert!(router.process.wait_exit().await.success(), "{}", router.process.stderr());
}

#[tokio::test]
async fn shutdown_requests_through_a_proxy_are_rejected() {
    let stack = Stack::start().await;
    for client in [stack.router().await, stack.qwen().await, Client::new(stack.api.port())] {
        for proxy in ["x-forwarded-for: 127.0.0.1", "forwarded: for=127.0.0.1", "via: 1.1 box", "x-real-ip: 127.0.0.1"]
        {
            assert_eq!(ask(&client, &format!("host: localhost\r\n{proxy}\r\n")).await, 403, "{proxy}");
        }
    }
    stack.running().await;
}

#[tokio::test]
async fn repeated_shutdown_requests_do_not_exhaust_the_restart_limit() {
    let limits = "[services]\nrestart_limit = 2\nrestart_delay = \"10ms\"\n";
    let stack = Stack::builder().launch(Launch::default().config("api-server", limits)).start().await;
    let pid = |status: &Value| status["providerRouter"]["pid"].as_u64();
    for _ in 0..7 {
        let before = pid(&stack.running().await);
        stack.router().await.post(SHUTDOWN, &json!({})).await.expect(200);
        eventually("another router", async || {
            let status = stack.status().await;
            (status["status"] == "running" && pid(&status) != before).then_some(())
        })
        .await;
    }
}

//! Only holders of the control token may make changes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;
use serde_json::json;
use signalbox_harness::{Client, CommandLine, Home, Launch, Stack};

use super::ask;

/// Reads the token of a home.
fn token_of(home: &Home) -> String {
    fs::read_to_string(home.data().join("control.token")).unwrap().trim().to_owned()
}

/// Returns the status of a `GET` with these headers.
async fn get(client: &Client, path: &str, headers: &str) -> u16 {
    ask(client, "GET", path, &format!("host: localhost\r\n{headers}")).await.0
}

/// Returns the answer of Socket.IO, over polling, to a handshake with this authentication.
async fn introduce(client: &Client, auth: &str) -> String {
    let request = |method: &str, sid: &str, body: &str| {
        let length = body.len();
        let path = format!("/socket.io/?EIO=4&transport=polling{sid}");
        format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let text = async |request: String| String::from_utf8_lossy(&client.raw(request.as_bytes()).await).into_owned();
    let opened = text(request("GET", "", "")).await;
    let sid = opened.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let sid = format!("&sid={sid}");
    text(request("POST", &sid, &format!("40{auth}"))).await;
    loop {
        let answer = text(request("GET", &sid, "")).await;
        let packets = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        // A ping may come before it.
        if packets != "2" {
            return packets.to_owned();
        }
    }
}

#[tokio::test]
async fn fc_79_with_require_token_every_route_needs_the_token() {
    let home = Home::new();
    // With the most verbose log level.
    let launch = Launch::default().home(&home).arg("--require-token").arg("--log-level").arg("trace");
    let mut stack = Stack::builder().launch(launch).autostart(false).start().await;
    let token = token_of(&home);
    let mode = fs::metadata(home.data().join("control.token")).unwrap().permissions().mode();
    assert_eq!((mode & 0o777, token.len() > 40), (0o600, true));

    let bearer = format!("authorization: Bearer {token}\r\n");
    for path in ["/api/providers", "/api/proxy/status", "/api/audit", "/docs", "/nothing"] {
        for headers in
            ["", "authorization: Bearer sbx-wrong\r\n", "x-api-key: \r\n", "authorization: Basic c2J4LXdyb25n\r\n"]
        {
            assert_eq!(get(&stack.api, path, headers).await, 401, "{path} {headers}");
        }
        assert_ne!(get(&stack.api, path, &bearer).await, 401, "{path}");
    }
    assert_eq!(get(&stack.api, "/api/health", "").await, 200, "probes have no token");
    assert_eq!(get(&stack.api, "/docs", &format!("x-api-key: {token}\r\n")).await, 200);
    let preflight = "host: localhost\r\norigin: http://localhost:5173\r\n";
    assert_eq!(ask(&stack.api, "OPTIONS", "/api/providers", preflight).await.0, 204, "preflights have none either");

    // A person who opens a page gets a password prompt of the browser; a script does not.
    for (mode, challenge) in [("navigate", "www-authenticate: basic "), ("cors", "www-authenticate: bearer")] {
        let request =
            format!("GET /docs HTTP/1.1\r\nhost: localhost\r\nsec-fetch-mode: {mode}\r\nconnection: close\r\n\r\n");
        let answer = String::from_utf8_lossy(&stack.api.raw(request.as_bytes()).await).to_ascii_lowercase();
        assert!(answer.contains(challenge), "{answer}");
    }

    for (auth, told) in [("", "44"), ("{\"token\":\"sbx-wrong\"}", "44"), (&format!("{{\"token\":\"{token}\"}}"), "40")]
    {
        let answer = introduce(&stack.api, auth).await;
        assert!(answer.split('\u{1e}').any(|packet| packet.starts_with(told)), "{auth}: {answer}");
    }

    // Commands in the same directory find the token themselves, and print it on request.
    let shell = CommandLine::new(&home);
    assert!(shell.api_server(&["status"]).await.expect(0).stdout.contains("RUNNING"));
    assert_eq!(shell.api_server(&["token"]).await.expect(0).stdout.trim(), token);
    let other_shell = CommandLine::new(&home).env("API_TOKEN", "another-token-of-mine");
    let stranger = other_shell.api_server(&["status"]).await;
    assert!(format!("{stranger:?}").contains("API_TOKEN"), "{stranger:?}");

    // The token is only in its file.
    stack.process.signal(Signal::SIGTERM);
    assert!(stack.process.wait_exit().await.success());
    assert!(stack.process.stderr().contains("TRACE") || stack.process.stderr().contains("DEBUG"));
    assert!(!stack.process.stderr().contains(&token));
    for file in fs::read_dir(home.data().join("logs")).into_iter().flatten() {
        assert!(!fs::read_to_string(file.unwrap().path()).unwrap_or_default().contains(&token));
    }
}

#[tokio::test]
async fn with_require_token_a_shutdown_of_the_services_needs_the_token() {
    let home = Home::new();
    let launch = Launch::default().home(&home).arg("--require-token");
    let mut stack = Stack::builder().launch(launch).autostart(false).start().await;
    let token: &'static str = token_of(&home).leak();
    stack.api = stack.api.with_key(Some(token));
    stack.api.post("/api/proxy/start", &json!({})).await.expect(200);
    stack.running().await;
    let services = [stack.router().await, stack.qwen().await];
    for service in services {
        for key in [None, Some("sbx-wrong")] {
            let refused = service.with_key(key).post("/v1/admin/shutdown", &json!({})).await;
            assert_eq!(refused.status, 401, "{}", refused.text());
        }
    }
    for service in services {
        service.get("/health/live").await.expect(200);
        service.with_key(Some(token)).post("/v1/admin/shutdown", &json!({})).await.expect(200);
    }
}

#[tokio::test]
async fn client_keys_do_not_authorise_the_control_api() {
    let home = Home::new();
    let launch = Launch::default().home(&home).env("CLIENT_KEYS", "sk-client-0123456789");
    let stack = Stack::builder().launch(launch).autostart(false).start().await;
    for key in ["", "authorization: Bearer sk-client-0123456789\r\n"] {
        assert_eq!(get(&stack.api, "/api/providers", key).await, 401, "{key}");
    }
    let token = token_of(&home);
    assert_eq!(get(&stack.api, "/api/providers", &format!("authorization: Bearer {token}\r\n")).await, 200);
}

#[tokio::test]
async fn invalid_tokens_are_rejected_at_startup() {
    for (launch, code, told) in [
        (Launch::default().env("API_TOKEN", "canary"), 78, "api.token (API_TOKEN) must have at least 16"),
        (Launch::default().env("REQUIRE_TOKEN", "maybe"), 64, "require-token"),
    ] {
        let (exit, said) = launch.arg("--port").arg("0").run_to_exit("api-server").await;
        assert!(exit == Some(code) && said.contains(told) && !said.contains("canary"), "{exit:?} {said}");
    }
    let home = Home::new();
    fs::write(home.data().join("control.token"), "canary\n").unwrap();
    fs::set_permissions(home.data().join("control.token"), fs::Permissions::from_mode(0o600)).unwrap();
    let launch = Launch::default().home(&home).arg("--port").arg("0").arg("--require-token");
    let (exit, said) = launch.run_to_exit("api-server").await;
    assert!(exit == Some(78) && said.contains("control.token") && !said.contains("canary"), "{exit:?} {said}");
}

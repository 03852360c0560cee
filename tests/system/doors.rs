//! Access control of all three services: the host names they answer to, and the web pages that may use them.

mod browser;
mod entry;
mod token;

use std::fmt::Write as _;

use signalbox_harness::{Client, Launch, Router, Stack};

/// A path of no service: an accepted request gets 404.
const NOWHERE: &str = "/nothing/here";

const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// Host headers, with `PORT` for the service's port, and the status that they cause regardless of other headers.
const HOSTS: [(&str, Option<u16>); 15] = [
    ("localhost:PORT", None),
    ("LocalHost.:PORT", None),
    ("127.0.0.1:PORT", None),
    ("127.9.8.7", None),
    ("[::1]:PORT", None),
    ("box.lan:PORT", None),
    ("a.b.home.arpa", None),
    ("host.docker.internal:PORT", None),
    ("evil.test:PORT", Some(421)),
    ("docker.internal", Some(421)),
    ("localhost.evil.test", Some(421)),
    ("127.0.0.1.evil.test:PORT", Some(421)),
    ("home.arpa", Some(421)),
    ("192.168.7.7:PORT", Some(421)),
    ("localhost@evil.test", Some(400)),
];

/// Headers that a browser sends for a page, and whether the page is allowed.
const PAGES: [(&str, bool); 9] = [
    ("origin: http://localhost:5173\r\n", true),
    ("origin: https://127.0.0.1\r\n", true),
    ("origin: https://dashboard.example\r\nsec-fetch-site: cross-site\r\n", true),
    ("origin: https://evil.test\r\n", false),
    ("origin: http://localhost.evil.test:3001\r\n", false),
    ("origin: null\r\n", false),
    ("origin: chrome-extension://abcdefghijklmnopabcdefghijklmnop\r\n", false),
    ("sec-fetch-site: cross-site\r\n", false),
    ("sec-fetch-site: same-origin\r\n", true),
];

/// Sends a request and returns its status and the origin that may read the answer.
async fn ask(client: &Client, method: &str, path: &str, headers: &str) -> (u16, Option<String>) {
    let preflight = if method == "OPTIONS" { "access-control-request-method: POST\r\n" } else { "" };
    let request =
        format!("{method} {path} HTTP/1.1\r\n{headers}{preflight}connection: close\r\ncontent-length: 0\r\n\r\n");
    let answer = client.raw(request.as_bytes()).await;
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let readable = answer.lines().find_map(|line| line.strip_prefix("access-control-allow-origin: "));
    (status.unwrap_or_else(|| panic!("no answer to {request}: {answer}")), readable.map(str::to_owned))
}

/// Returns the expected result.
fn expected(service: &str, method: &str, fate: Option<u16>, page: &str, allowed: bool) -> (u16, Option<String>) {
    let origin = page.strip_prefix("origin: ").and_then(|rest| rest.split("\r\n").next());
    let readable = origin.filter(|_| allowed).map(str::to_owned);
    let status = match (fate, method) {
        (Some(fate), _) => fate,
        // As in the Node.js version.
        (None, "OPTIONS") if service == "qwen-proxy" => 200,
        (None, "OPTIONS") => 204,
        (None, "GET" | "HEAD") => 404,
        _ if allowed => 404,
        _ => 403,
    };
    (status, readable)
}

#[tokio::test]
async fn fc_76_i16_host_and_origin_checks_apply_to_every_service() {
    let launch = Launch::default()
        .env("ALLOWED_HOSTS", "box.lan, *.home.arpa")
        .env("ALLOWED_ORIGINS", "https://dashboard.example");
    let stack = Stack::builder().launch(launch).start().await;
    let services =
        [("api-server", stack.api), ("provider-router", stack.router().await), ("qwen-proxy", stack.qwen().await)];
    let (mut cells, mut wrong) = (0, String::new());
    for (service, client) in services {
        for (host, fate) in HOSTS {
            let host = host.replace("PORT", &client.port().to_string());
            for (page, allowed) in PAGES.into_iter().chain([("", true)]) {
                for method in METHODS {
                    let got = ask(&client, method, NOWHERE, &format!("host: {host}\r\n{page}")).await;
                    let expected = expected(service, method, fate, page, allowed);
                    if got != expected {
                        writeln!(wrong, "{service}: {method}, host {host}, {page:?}: {got:?}, not {expected:?}")
                            .unwrap();
                    }
                    cells += 1;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(cells, 3 * 15 * 10 * 7);
}

#[tokio::test]
async fn every_response_has_one_request_id() {
    let stack = Stack::start().await;
    let services =
        [("api-server", stack.api), ("provider-router", stack.router().await), ("qwen-proxy", stack.qwen().await)];
    for (service, client) in services {
        for (method, path, headers) in [
            ("GET", NOWHERE, "host: localhost\r\n"),
            ("GET", "/health", "host: localhost\r\n"),
            ("DELETE", "/health", "host: localhost\r\n"),
            ("GET", "/v1/chat/completions", "host: localhost\r\n"),
            ("POST", "/v1/chat/completions", "host: localhost\r\n"),
            ("POST", NOWHERE, "host: localhost\r\norigin: https://evil.test\r\n"),
            ("GET", NOWHERE, "host: evil.test\r\n"),
            ("OPTIONS", NOWHERE, "host: localhost\r\norigin: http://localhost:5173\r\n"),
        ] {
            let request =
                format!("{method} {path} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: 0\r\n\r\n");
            let answer = String::from_utf8(client.raw(request.as_bytes()).await).unwrap().to_ascii_lowercase();
            let ids = answer.lines().filter_map(|line| line.strip_prefix("x-request-id: "));
            let lengths: Vec<usize> = ids.map(str::len).collect();
            assert_eq!(lengths, [36], "{service}: {request}{answer}");
        }
    }
}

#[tokio::test]
async fn fc_77_websockets_open_only_for_allowed_origins() {
    let stack = Stack::builder().autostart(false).start().await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n";
    for (headers, status) in [
        ("host: localhost\r\n", 200),
        ("host: localhost\r\norigin: http://localhost:5173\r\n", 200),
        ("host: localhost\r\norigin: chrome-extension://abcdefghijklmnopabcdefghijklmnop\r\n", 200),
        ("host: localhost\r\norigin: https://evil.test\r\n", 403),
        ("host: localhost\r\norigin: null\r\n", 403),
        ("host: localhost\r\nsec-fetch-site: cross-site\r\n", 403),
        ("host: evil.test\r\norigin: http://evil.test\r\n", 421),
    ] {
        assert_eq!(ask(&stack.api, "GET", path, headers).await.0, status, "{headers}");
        if status != 200 {
            let websocket = "/socket.io/?EIO=4&transport=websocket";
            assert_eq!(ask(&stack.api, "GET", websocket, &format!("{headers}{upgrade}")).await.0, status, "{headers}");
        }
    }
}

#[tokio::test]
async fn host_refusals_contain_a_hint_and_invalid_settings_are_rejected() {
    let router = Router::start(Launch::default()).await;
    let answer = router.client.raw(b"GET /health HTTP/1.1\r\nhost: router.lan\r\nconnection: close\r\n\r\n").await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("421") && answer.contains("router.lan") && answer.contains("ALLOWED_HOSTS"), "{answer}");
    // The health check of a load balancer.
    let answer = router.client.raw(b"GET /health/live HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.0 200 "), "{}", String::from_utf8_lossy(&answer));

    for (program, name, value, told) in [
        ("provider-router", "ALLOWED_HOSTS", "http://box.lan", "server.allowed_hosts"),
        ("qwen-proxy", "ALLOWED_ORIGINS", "dashboard.example", "server.allowed_origins"),
        ("api-server", "ALLOWED_ORIGINS", "*", "any page could change providers"),
    ] {
        let launch = Launch::default().arg("--port").arg("0").env(name, value);
        let (code, said) = launch.run_to_exit(program).await;
        assert!(code == Some(78) && said.contains(told), "{program}: {code:?} {said}");
    }
}

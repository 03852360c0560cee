//! One table of requests for all three services: the same request is refused for the same reason.

use signalbox_harness::{Client, Stack};

use super::NOWHERE;

const KEY: &str = "sk-entry-0123456789abcdef";
const PAGE: &str = "origin: http://localhost:5173\r\n";
const EVIL: &str = "origin: https://evil.test\r\n";
const ASKS: &str = "access-control-request-method: POST\r\n";
const WRONG: &str = "authorization: Bearer sk-wrong\r\n";
const RIGHT: &str = "authorization: Bearer sk-entry-0123456789abcdef\r\n";

/// Status of an admitted preflight, which differs between the services.
const PREFLIGHT: u16 = 0;

/// Parts of a response that a client sees.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    /// The `type` of the error.
    kind: Option<String>,
    /// Whether the page may read it.
    readable: bool,
    /// Whether the client learns how to send its key, or when to try again.
    advised: bool,
}

async fn send(client: &Client, method: &str, path: &str, headers: &str) -> Seen {
    let host = if headers.contains("host: ") { "" } else { "host: localhost\r\n" };
    let request = format!("{method} {path} HTTP/1.1\r\n{host}{headers}connection: close\r\ncontent-length: 0\r\n\r\n");
    let answer = String::from_utf8(client.raw(request.as_bytes()).await).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    let body: Option<serde_json::Value> = serde_json::from_str(body).ok();
    Seen {
        status: head[9..12].parse().unwrap(),
        kind: body.and_then(|body| body["error"]["type"].as_str().map(str::to_owned)),
        readable: head.contains("access-control-allow-origin: "),
        advised: head.contains("\r\nwww-authenticate: ") || head.contains("\r\nretry-after: "),
    }
}

#[tokio::test]
async fn the_same_request_is_refused_alike_by_all_services() {
    let stack = Stack::builder().client_key(KEY).start().await;
    let services = [
        (stack.api, "/api/health", 204),
        (stack.router().await, "/health/live", 204),
        // As in the Node.js version.
        (stack.qwen().await, "/health/live", 200),
    ];
    let foreign = "host: elsewhere.test\r\n";
    let table = [
        // The host is checked first, then the origin, then the key.
        ("POST", [foreign, EVIL, WRONG], 421, Some("misdirected_request"), false, false),
        ("OPTIONS", [foreign, PAGE, ASKS], 421, Some("misdirected_request"), true, false),
        ("GET", ["host: a b\r\n", WRONG, ""], 400, Some("invalid_request_error"), false, false),
        ("POST", [EVIL, WRONG, ""], 403, Some("permission_error"), false, false),
        ("POST", [EVIL, RIGHT, ""], 403, Some("permission_error"), false, false),
        ("DELETE", ["sec-fetch-site: cross-site\r\n", RIGHT, ""], 403, Some("permission_error"), false, false),
        // Preflights carry no key, and foreign pages learn that they may send nothing.
        ("OPTIONS", [PAGE, ASKS, ""], PREFLIGHT, None, true, false),
        ("OPTIONS", [PAGE, ASKS, WRONG], PREFLIGHT, None, true, false),
        ("OPTIONS", [EVIL, ASKS, ""], PREFLIGHT, None, false, false),
        ("GET", ["", "", ""], 401, Some("authentication_error"), false, true),
        ("POST", [PAGE, "", ""], 401, Some("authentication_error"), true, true),
        ("PUT", [PAGE, WRONG, ""], 401, Some("authentication_error"), true, true),
        ("GET", [EVIL, WRONG, ""], 401, Some("authentication_error"), false, true),
    ];
    for (client, open, preflight) in services {
        for (method, headers, status, kind, readable, advised) in table {
            let status = if status == PREFLIGHT { preflight } else { status };
            let expected = Seen { status, kind: kind.map(str::to_owned), readable, advised };
            let seen = send(&client, method, NOWHERE, &headers.concat()).await;
            assert_eq!(seen, expected, "{}: {method} {headers:?}", client.port());
        }
        assert_eq!(send(&client, "GET", NOWHERE, &format!("{PAGE}{RIGHT}")).await.status, 404);
        for headers in ["", WRONG] {
            assert_eq!(send(&client, "GET", open, headers).await.status, 200, "{open} {headers}");
        }

        // Guesses have to wait; requests with the key do not.
        let mut seen = send(&client, "GET", NOWHERE, WRONG).await;
        for _ in 0..60 {
            if seen.status == 401 {
                seen = send(&client, "GET", NOWHERE, WRONG).await;
            }
        }
        let kind = Some("rate_limit_error".to_owned());
        assert_eq!(seen, Seen { status: 429, kind, readable: false, advised: true });
        assert_eq!(send(&client, "GET", NOWHERE, RIGHT).await.status, 404);
    }
}

//! Tests of access control: hosts, origins, tokens, and headers for browsers.

use axum::body::Body;
use http::{Method, Request};

use crate::site::{Answer, Site};

async fn send(site: &Site, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.send(request.body(Body::empty()).unwrap()).await
}

const OURS: (&str, &str) = ("host", "127.0.0.1:3002");

#[tokio::test]
async fn foreign_hosts_are_misdirected() {
    let site = Site::new().await;
    for host in ["127.0.0.1:3002", "localhost", "[::1]:3002", "127.3.2.1"] {
        send(&site, Method::GET, "/api/settings", &[("host", host)]).await.expect(200);
    }
    for headers in
        [&[("host", "evil.example:3002")][..], &[("host", "127.0.0.1.evil.example")], &[("host", "192.168.1.7:3002")]]
    {
        for path in ["/api/settings", "/api/health", "/no/route"] {
            let body = send(&site, Method::GET, path, headers).await.expect(421);
            assert_eq!(body["error"]["type"], "misdirected_request", "{headers:?}");
            assert!(body["error"]["message"].as_str().unwrap().contains("server.allowed_hosts"), "{body}");
        }
    }
    for headers in [&[("host", "127.0.0.1"), ("host", "127.0.0.1")][..], &[("host", "")], &[]] {
        let body = send(&site, Method::GET, "/api/health", headers).await.expect(400);
        assert_eq!(body["error"]["code"], "host_unclear", "{headers:?}");
    }
}

#[tokio::test]
async fn foreign_origins_change_nothing() {
    let site = Site::new().await;
    for (origin, status) in [
        ("http://localhost:5173", 200),
        ("http://127.0.0.1:3002", 200),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", 403),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
    ] {
        let answer = send(&site, Method::POST, "/api/providers/echo/enable", &[OURS, ("origin", origin)]).await;
        assert_eq!(answer.status, status, "{origin}");
        let readable = answer.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap());
        assert_eq!(readable, (status == 200).then_some(origin), "{origin}");
    }
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let headers = [OURS, ("origin", "https://evil.example")];
        let body = send(&site, method, "/api/providers/echo", &headers).await.expect(403);
        assert_eq!(body["error"]["type"], "permission_error");
    }
    // Reading is harmless: the browser withholds the response from the page.
    let read = send(&site, Method::GET, "/api/providers", &[OURS, ("origin", "https://evil.example")]).await;
    assert_eq!(read.status, 200);
    assert!(read.headers.get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn preflights_are_answered() {
    let site = Site::with(&["sk-key"], crate::site::test_children()).await;
    let headers = [
        OURS,
        ("origin", "http://localhost:5173"),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "content-type,authorization"),
    ];
    let answer = send(&site, Method::OPTIONS, "/api/providers/echo/config/k", &headers).await;
    assert_eq!(answer.status, 204);
    let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("access-control-allow-origin"), "http://localhost:5173");
    assert_eq!(header("access-control-allow-credentials"), "true");
    assert_eq!(header("access-control-allow-methods"), "GET, POST, PUT, PATCH, DELETE, OPTIONS");
    assert_eq!(header("access-control-allow-headers"), "content-type,authorization");
    assert_eq!(header("access-control-max-age"), "600");
    site.close().await;
}

#[tokio::test]
async fn keys_authorise_every_route_and_health_needs_none() {
    let site = Site::with(&["sk-one", "sk-two"], crate::site::test_children()).await;
    send(&site, Method::GET, "/api/health", &[OURS]).await.expect(200);
    for headers in [&[OURS][..], &[OURS, ("authorization", "Bearer sk-three")]] {
        for path in ["/api/providers", "/api/proxy/status", "/no/route"] {
            let body = send(&site, Method::GET, path, headers).await.expect(401);
            assert_eq!(body["error"]["type"], "authentication_error");
        }
    }
    send(&site, Method::GET, "/api/providers", &[OURS, ("authorization", "Bearer sk-one")]).await.expect(200);
    send(&site, Method::GET, "/api/providers", &[OURS, ("x-api-key", "sk-two")]).await.expect(200);
    site.close().await;
}

#[tokio::test]
async fn only_local_programs_may_request_shutdown() {
    let site = Site::new().await;
    // The address of the sender is unknown.
    let body = send(&site, Method::POST, "/v1/admin/shutdown", &[OURS]).await.expect(403);
    assert_eq!((&body["error"]["type"], &body["error"]["code"]), (&"permission_error".into(), &"not_local".into()));
}

#[tokio::test]
async fn pages_may_read_the_request_id() {
    let site = Site::new().await;
    let answer = send(&site, Method::GET, "/api/health", &[OURS, ("origin", "http://localhost:5173")]).await;
    let exposed = answer.headers["access-control-expose-headers"].to_str().unwrap().to_ascii_lowercase();
    let names: Vec<&str> = exposed.split(", ").collect();
    for name in ["x-request-id", "request-id", "retry-after"] {
        assert!(names.contains(&name), "{exposed}");
    }
}

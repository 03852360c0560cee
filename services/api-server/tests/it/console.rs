//! The console behind the access control of the server, and signing in.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::site::{Answer, Site};

const HOST: &str = "127.0.0.1:3002";
const BROWSER: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

fn page(path: &str, host: &str) -> Request<Body> {
    Request::get(path).header("host", host).header("accept", BROWSER).body(Body::empty()).unwrap()
}

async fn send(site: &Site, method: Method, path: &str, cookie: &str, body: Option<Value>) -> Answer {
    let request = Request::builder().method(method).uri(path).header("host", HOST).header("cookie", cookie);
    site.send(request.body(body.map_or_else(Body::empty, |body| body.to_string().into())).unwrap()).await
}

#[tokio::test]
async fn browsers_get_the_console_and_programs_the_api() {
    let site = Site::new().await;
    for path in ["/", "/requests", "/providers/openai"] {
        let (status, document) = site.text(page(path, HOST)).await;
        assert!(status == 200 && document.starts_with("<!doctype html>"), "{path}: {document}");
    }
    assert_eq!(site.get("/").await.code(404), "route_not_found");
    assert_eq!(site.get("/assets/none.js").await.code(404), "route_not_found");
    assert_eq!(site.post("/requests", json!({})).await.code(404), "route_not_found");
    for path in ["/api/none", "/v1/none"] {
        let (status, body) = site.text(page(path, HOST)).await;
        assert!(status == 404 && body.starts_with('{'), "{path}: {body}");
    }
    site.close().await;
}

#[tokio::test]
async fn the_console_is_not_served_to_foreign_hosts() {
    let site = Site::new().await;
    for path in ["/", "/favicon.svg"] {
        assert_eq!(site.text(page(path, "evil.example")).await.0, 421, "{path}");
    }
    site.close().await;
}

#[tokio::test]
async fn a_browser_signs_in_with_the_token_and_out_again() {
    let site = Site::with(&["sbx-right"], crate::site::test_children()).await;
    let sign_in =
        async |token: &str| send(&site, Method::POST, "/api/session", "", Some(json!({ "token": token }))).await;
    assert_eq!(site.text(page("/", HOST)).await.0, 200, "the page is public");
    assert_eq!(site.text(page("/docs", HOST)).await.0, 401, "the API is not");
    send(&site, Method::GET, "/api/providers", "", None).await.expect(401);

    let wrong = sign_in("sbx-wrong").await;
    assert!(wrong.status == 401 && !wrong.headers.contains_key("set-cookie"), "{}", wrong.body);
    let right = sign_in("sbx-right").await;
    let cookie = right.headers["set-cookie"].to_str().unwrap().to_owned();
    assert_eq!(right.headers["cache-control"], "no-store");
    assert_eq!(right.expect(200), json!({"signed_in": true, "token_required": true}));
    assert!(cookie.contains("; HttpOnly; SameSite=Strict; Path=/") && !cookie.contains("sbx-right"), "{cookie}");

    let cookie = cookie.split(';').next().unwrap();
    send(&site, Method::GET, "/api/providers", cookie, None).await.expect(200);
    for (name, value, status) in [
        ("origin", "http://127.0.0.1:3002", 201),
        ("origin", "http://localhost:9999", 401),
        ("sec-fetch-site", "same-site", 403),
    ] {
        let request = Request::post("/api/keys").header("host", HOST).header("cookie", cookie).header(name, value);
        let body = json!({"name": format!("{name} {value}")}).to_string();
        let made = site.send(request.body(body.into()).unwrap()).await;
        assert_eq!(made.status, status, "{name} {value}: {}", made.body);
    }
    // Reads from pages of other ports pass the guard of origins, but not the one of cookies.
    let read = Request::get("/api/keys").header("host", HOST).header("cookie", cookie);
    let read = site.send(read.header("sec-fetch-site", "same-site").body(Body::empty()).unwrap()).await;
    assert_eq!(read.status, 401, "{}", read.body);
    let about = send(&site, Method::GET, "/api/about", cookie, None).await.expect(200);
    assert_eq!((&about["token_required"], &about["instance"]), (&json!(true), &json!("box")));
    assert_eq!(about["surfaces"], json!(["chat", "messages", "responses"]));
    assert_eq!(about["base_url"], format!("http://127.0.0.1:{}", about["router_port"]));
    assert!(about["features"].as_array().unwrap().contains(&json!("log_search")), "{about}");

    let out = send(&site, Method::DELETE, "/api/session", cookie, None).await.expect(200);
    assert_eq!(out, json!({"signed_in": false, "token_required": true}));
    send(&site, Method::GET, "/api/providers", cookie, None).await.expect(401);
    site.close().await;
}

#[tokio::test]
async fn mistakes_in_a_sign_in_are_named() {
    let site = Site::with(&["sbx-right"], crate::site::test_children()).await;
    for body in [json!({}), json!({"token": 1}), json!({"token": "sbx-right", "user": "me"})] {
        let answer = send(&site, Method::POST, "/api/session", "", Some(body.clone())).await;
        assert!(!answer.headers.contains_key("set-cookie"), "{body}");
        assert_eq!(answer.mistakes().len(), 1, "{body}");
    }
    site.close().await;
}

#[tokio::test]
async fn without_a_token_signing_in_changes_nothing() {
    let site = Site::new().await;
    let answer = site.post("/api/session", json!({"token": "anything"})).await;
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(answer.expect(200), json!({"signed_in": false, "token_required": false}));
    site.close().await;
}

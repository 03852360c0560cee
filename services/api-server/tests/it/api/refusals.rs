//! Tests of refusals that all routes have in common.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::site::Site;

fn request(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(path).header("host", "localhost:3002").body(body.into()).unwrap()
}

fn error(message: &str, kind: &str) -> Value {
    json!({"error": {"message": message, "type": kind}})
}

#[tokio::test]
async fn unknown_routes_and_methods_answer_in_json() {
    let site = Site::new().await;
    let mut unknown = error(
        "Cannot GET /api/no/such/route: there is no such route. `/openapi.json` lists all routes",
        "not_found_error",
    );
    unknown["error"]["code"] = "route_not_found".into();
    assert_eq!(site.get("/api/no/such/route").await.expect(404), unknown);
    let answer = site.send(request(Method::DELETE, "/api/health", "")).await;
    assert_eq!(answer.headers["allow"], "GET,HEAD");
    assert_eq!(
        answer.expect(405),
        error("DELETE is not allowed here. The header `Allow` lists the methods that are", "method_not_allowed")
    );
}

#[tokio::test]
async fn bodies_are_json_objects_of_limited_size() {
    let site = Site::new().await;
    let answer = site.send(request(Method::POST, "/api/providers", "{\"id\":")).await.expect(400);
    assert_eq!(answer["error"]["type"], "entity.parse.failed");
    let answer = site.send(request(Method::POST, "/api/providers", "[1]")).await;
    assert_eq!(answer.mistakes(), ["body must be a JSON object"]);
    let deep = "[".repeat(100_000 / 2);
    assert_eq!(site.send(request(Method::POST, "/api/providers", deep)).await.status, 400);
    let long = format!("{{\"id\": \"{}\"}}", "x".repeat(64 * 1024));
    let refused = site.send(request(Method::POST, "/api/providers", long)).await.expect(413);
    assert_eq!(
        refused,
        error(
            "the request body is larger than 65536 bytes; send less, or raise the limit of the service",
            "entity.too.large"
        )
    );
}

#[tokio::test]
async fn a_non_json_content_type_is_415() {
    let site = Site::new().await;
    let send = async |kind: Option<&str>, body: &'static str| {
        let mut request = request(Method::PUT, "/api/settings/mine", body);
        if let Some(kind) = kind {
            request.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        site.send(request).await
    };
    let json = r#"{"value": "x"}"#;
    for kind in [
        None,
        Some("application/json"),
        Some("Application/JSON; charset=utf-8"),
        Some("application/merge-patch+json"),
        // The type curl sends by default.
        Some("application/x-www-form-urlencoded"),
    ] {
        send(kind, json).await.expect(200);
    }
    for (kind, body) in [
        ("text/plain", json),
        ("multipart/form-data; boundary=x", json),
        ("application/xml", json),
        ("text/json", json),
        ("application/x-www-form-urlencoded", "value=x"),
        ("application/x-www-form-urlencoded", "%7B%22value%22%3A%22x%22%7D="),
    ] {
        let body = send(Some(kind), body).await.expect(415);
        assert_eq!(body["error"]["type"], "unsupported_media_type", "{kind}");
        assert!(body["error"]["message"].as_str().unwrap().contains("application/json"), "{body}");
    }
    // An empty body has no type.
    let nothing = send(Some("text/plain"), "").await.expect(400);
    assert_eq!(nothing["message"], "Setting value is required");
}

#[tokio::test]
async fn a_body_is_read_as_the_other_services_read_it() {
    let site = Site::new().await;
    let send = async |coding: Option<&str>, path: &str, body: &str| {
        let mut request = Request::put(path).header("host", "127.0.0.1:3002");
        if let Some(coding) = coding {
            request = request.header("content-encoding", coding);
        }
        site.send(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    let (path, json) = ("/api/settings/mine", "{\"value\": \"x\"}");
    for coding in [None, Some("identity"), Some("Identity")] {
        send(coding, path, json).await.expect(200);
    }
    send(None, path, &format!("\u{feff}{json}")).await.expect(200);
    send(None, path, "\u{feff}").await.expect(400);
    for coding in ["gzip", "br, gzip", "x"] {
        let body = send(Some(coding), path, json).await.expect(415);
        let told =
            format!("request bodies must not be compressed (Content-Encoding: {coding}); send the body as it is");
        let error = json!({"message": told, "type": "unsupported_media_type", "code": "unsupported_content_encoding"});
        assert_eq!(body, json!({ "error": error }));
    }
    for (path, body, twice) in [
        (path, "{\"value\": 1, \"value\": 2}", "value"),
        ("/api/providers/echo/config", "{\"config\": {\"delay\": 1, \"d\\u0065lay\": 2}}", "config.delay"),
        ("/api/providers/echo", "{\"name\": \"a\",\n \"name\": \"b\"}", "name"),
    ] {
        let mistakes = send(None, path, body).await.mistakes();
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&format!("{twice}: declared twice")), "{mistakes:?}");
    }
}

#[tokio::test]
async fn each_mistake_names_its_field() {
    let site = Site::new().await;
    let route = json!({"model": "fast", "targets": [{"provider": "echo", "model": "echo"}]});
    site.post("/api/routes", route.clone()).await.expect(201);
    for (method, path, body, fields) in [
        ("POST", "/api/providers", json!({"name": 1, "x": 2}), "id name type x"),
        (
            "POST",
            "/api/providers",
            json!({"id": "n", "name": "N", "type": "openai", "config": {"baseURL": "x", "headers": {"a b": "c"}}}),
            "config.baseURL config.headers.a_b",
        ),
        ("PUT", "/api/providers/echo", json!({"enabled": 1}), "enabled"),
        ("PUT", "/api/providers/echo/config", json!({"config": {"timeout": "soon"}}), "config.timeout"),
        ("PATCH", "/api/providers/echo/config/timeout", json!({"value": "soon"}), "config.timeout"),
        ("POST", "/api/providers/echo/models", json!({"config": 1}), "model_id config"),
        ("POST", "/api/models", json!({"id": "a b", "name": "", "capabilities": [1]}), "id name capabilities"),
        (
            "POST",
            "/api/routes",
            json!({"model": "m", "targets": [{"provider": "none", "model": "m"}, 7]}),
            "targets[0].provider targets[1]",
        ),
        ("POST", "/api/keys", json!({"name": "", "limits": {"rpm": -1}}), "name limits.rpm"),
        ("POST", "/api/keys/k/rotate", json!({"overlap_seconds": "x"}), "overlap_seconds"),
        ("PUT", "/api/prices", json!({"v": 2, "prices": [{"id": "x"}]}), "*"),
        ("POST", "/api/qwen/credentials", json!({"token": "", "expiresAt": "x"}), "token cookies expiresAt"),
        ("POST", "/api/proxy/start", json!({"service": "x", "force": true}), "service force"),
        ("POST", "/api/requests/1/replay", json!({"provider": 1, "times": "x"}), "*"),
        ("POST", "/api/config/apply?format=json", json!({"providers": {"p": {"priority": "x"}}}), "*"),
        ("GET", "/api/requests?limit=0&offset=-1&min_ms=x&has_error=7", Value::Null, "limit offset min_ms has_error"),
        ("GET", "/api/metrics/series?step=1", Value::Null, "step"),
        ("GET", "/api/audit?outcome=x", Value::Null, "outcome"),
        ("GET", "/api/usage?by=x", Value::Null, "by"),
    ] {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let refused = site.send(request(method.parse().unwrap(), path, body)).await.expect(400);
        let (errors, details) = (&refused["error"]["errors"], refused["error"]["details"].as_array().unwrap());
        let messages: Vec<&Value> = details.iter().map(|detail| &detail["message"]).collect();
        assert_eq!(json!(messages), *errors, "{method} {path}");
        let found: Vec<String> =
            details.iter().map(|detail| detail["field"].as_str().unwrap().replace(' ', "_")).collect();
        assert!(!found.is_empty() && found.iter().all(|field| !field.is_empty()), "{method} {path}: {refused}");
        if fields != "*" {
            let (mut found, mut expected) = (found, fields.split(' ').map(str::to_owned).collect::<Vec<_>>());
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{method} {path}: {refused}");
        }
    }
    // A value that another resource has is a mistake of its field, too.
    for (path, body, field) in [
        ("/api/providers", json!({"id": "echo", "name": "N", "type": "echo"}), "id"),
        ("/api/models", json!({"id": "echo", "name": "N"}), "id"),
        ("/api/routes", route, "model"),
    ] {
        let refused = site.post(path, body).await.expect(409);
        assert_eq!(refused["error"]["details"][0]["field"], field, "{refused}");
        assert_eq!(refused["error"]["details"][0]["message"], refused["error"]["message"]);
    }
    site.close().await;
}

#[tokio::test]
async fn without_the_database_the_answer_is_503() {
    let site = Site::new().await;
    site.store.close().await;
    for path in ["/api/providers", "/api/models/echo", "/api/settings", "/api/requests", "/api/sessions/s"] {
        let answer = site.get(path).await;
        assert_eq!(answer.headers["retry-after"], "1");
        let body = answer.expect(503);
        assert_eq!(body["error"]["type"], "database_unavailable", "{path}");
    }
    site.get("/api/health").await.expect(200);
}

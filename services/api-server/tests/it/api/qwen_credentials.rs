//! Tests of `/api/qwen/credentials`.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use super::log::now;
use crate::site::{Site, on_both};

on_both!(
    there_is_none_at_first,
    one_is_put_and_replaced,
    one_that_has_expired_is_still_there,
    several_are_kept_and_one_is_active,
    all_are_deleted,
    mistakes_are_listed,
    the_secrets_stay_inside,
);

const PATH: &str = "/api/qwen/credentials";

/// Returns an expiry in Unix seconds, an hour ahead.
fn soon() -> i64 {
    now() / 1000 + 3600
}

fn login(label: &str) -> Value {
    json!({"token": "canary-token", "cookies": "token=canary-cookie; b=2", "expiresAt": soon(), "label": label})
}

/// Returns the labels in the order of the list, with the active one marked.
async fn labels(site: &Site) -> Vec<String> {
    let body = site.get(PATH).await.expect(200);
    let label = |row: &Value| {
        let mark = if row["active"] == true { "*" } else { "" };
        format!("{mark}{}", row["label"].as_str().unwrap())
    };
    body["credentials"].as_array().unwrap().iter().map(label).collect()
}

async fn id_of(site: &Site, label: &str) -> i64 {
    let body = site.get(PATH).await.expect(200);
    let rows = body["credentials"].as_array().unwrap();
    rows.iter().find(|row| row["label"] == label).unwrap()["id"].as_i64().unwrap()
}

async fn there_is_none_at_first(site: &Site) {
    let none = json!({"hasCredentials": false, "expiresAt": null, "isValid": false, "credentials": []});
    assert_eq!(site.get(PATH).await.expect(200), none);
    let deleted = json!({"success": true, "message": "No credentials to delete", "deleted": 0});
    assert_eq!(site.delete(PATH).await.expect(200), deleted);
    let status = site.get("/api/proxy/status").await.expect(200);
    assert_eq!(status["credentials"], json!({"valid": false, "expiresAt": null}));
}

async fn one_is_put_and_replaced(site: &Site) {
    let first = soon();
    let body = json!({"token": "t", "cookies": "a=1", "expiresAt": first});
    let put = site.post(PATH, body).await.expect(200);
    let id = put["id"].as_i64().unwrap();
    assert_eq!(
        put,
        json!({"success": true, "message": "Qwen credentials updated successfully", "id": id, "expiresAt": first})
    );
    let got = site.get(PATH).await.expect(200);
    assert_eq!((&got["hasCredentials"], &got["isValid"]), (&true.into(), &true.into()));
    assert_eq!(got["expiresAt"], first);
    let seconds = 1_000_000_000..100_000_000_000;
    for time in ["createdAt", "updatedAt"] {
        assert!(seconds.contains(&got[time].as_i64().unwrap()), "{got}");
    }
    let status = site.get("/api/proxy/status").await.expect(200);
    assert_eq!(status["credentials"], json!({"valid": true, "expiresAt": first}));

    let again = site.post(PATH, json!({"token": "u", "cookies": "a=2", "expiresAt": null})).await.expect(200);
    assert_eq!(again["expiresAt"], Value::Null);
    let got = site.get(PATH).await.expect(200);
    assert_eq!((&got["expiresAt"], &got["isValid"]), (&Value::Null, &true.into()));
    assert_eq!(labels(site).await, ["*default"]);
}

async fn one_that_has_expired_is_still_there(site: &Site) {
    site.post(PATH, json!({"token": "t", "cookies": "a=1", "expiresAt": 1_000_000_000})).await.expect(200);
    let got = site.get(PATH).await.expect(200);
    assert_eq!((&got["hasCredentials"], &got["isValid"]), (&true.into(), &false.into()));
    assert_eq!(got["expiresAt"], 1_000_000_000);
    let status = site.get("/api/proxy/status").await.expect(200);
    assert_eq!(status["credentials"], json!({"valid": false, "expiresAt": 1_000_000_000}));
}

async fn several_are_kept_and_one_is_active(site: &Site) {
    for label in ["home", "work"] {
        site.post(PATH, login(label)).await.expect(200);
    }
    assert_eq!(labels(site).await, ["*work", "home"]);
    let (home, work) = (id_of(site, "home").await, id_of(site, "work").await);
    assert_eq!(
        site.post(&format!("{PATH}/{home}/activate"), json!({})).await.expect(200),
        json!({"success": true, "message": "Qwen credentials activated", "id": home})
    );
    assert_eq!(labels(site).await, ["*home", "work"]);
    site.delete(&format!("{PATH}/{home}")).await.expect(200);
    assert_eq!(labels(site).await, ["*work"], "another one takes its place");
    assert_eq!(site.get(PATH).await.expect(200)["hasCredentials"], true);
    for path in [format!("{PATH}/{home}"), format!("{PATH}/0")] {
        assert_eq!(site.delete(&path).await.code(404), "credential_not_found");
    }
    assert_eq!(site.post(&format!("{PATH}/{home}/activate"), json!({})).await.code(404), "credential_not_found");
    assert_eq!(site.delete(&format!("{PATH}/x")).await.code(404), "route_not_found");
    site.post(&format!("{PATH}/{work}/activate"), json!({})).await.expect(200);
    assert_eq!(labels(site).await, ["*work"]);
}

async fn all_are_deleted(site: &Site) {
    for label in ["home", "work"] {
        site.post(PATH, login(label)).await.expect(200);
    }
    let deleted = json!({"success": true, "message": "Qwen credentials deleted", "deleted": 2});
    assert_eq!(site.delete(PATH).await.expect(200), deleted);
    assert_eq!(site.get(PATH).await.expect(200)["hasCredentials"], false);
}

async fn mistakes_are_listed(site: &Site) {
    let missing =
        ["token is required and must be a non-empty string", "cookies is required and must be a non-empty string"];
    assert_eq!(site.post(PATH, json!({})).await.mistakes(), missing);
    assert_eq!(site.post(PATH, json!({"token": " ", "cookies": 1})).await.mistakes(), missing);
    for (expires_at, mistake) in [
        (json!("soon"), "expiresAt must be an integer (Unix timestamp)"),
        (json!(1.5), "expiresAt must be an integer (Unix timestamp)"),
        (json!(0), "expiresAt must be a positive number"),
        (json!(-1), "expiresAt must be a positive number"),
        (json!(now()), "expiresAt must be in seconds, not in milliseconds"),
    ] {
        let body = json!({"token": "t", "cookies": "a=1", "expiresAt": expires_at});
        assert_eq!(site.post(PATH, body).await.mistakes(), [mistake], "{expires_at}");
    }
    let unsendable = json!({"token": "t\n", "cookies": "a=\u{e9}", "label": ""});
    assert_eq!(
        site.post(PATH, unsendable).await.mistakes(),
        [
            "token must be printable ASCII on one line",
            "cookies must be printable ASCII on one line",
            "label must be a non-empty string"
        ]
    );
    assert_eq!(site.get(PATH).await.expect(200)["credentials"], json!([]));
}

async fn the_secrets_stay_inside(site: &Site) {
    let answers = [
        site.post(PATH, login("default")).await,
        site.get(PATH).await,
        site.get("/api/proxy/status").await,
        site.post(PATH, json!({"token": "canary-token", "cookies": "canary\n"})).await,
        site.delete(PATH).await,
    ];
    for answer in answers {
        assert!(!answer.body.to_string().contains("canary"), "{}", answer.body);
    }
}

#[tokio::test]
async fn an_extension_may_only_store_a_login() {
    let site = Site::new().await;
    let send = async |method: Method, path: &str, body: Value| {
        let request = Request::builder().method(method).uri(path).header("host", "localhost:3002");
        let request = request.header("origin", "chrome-extension://abcdefghijklmnopabcdefghijklmnop");
        site.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let answer = send(Method::POST, PATH, login("default")).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "chrome-extension://abcdefghijklmnopabcdefghijklmnop");
    let id = answer.expect(200)["id"].as_i64().unwrap();
    for (method, path) in [
        (Method::DELETE, PATH.to_owned()),
        (Method::DELETE, format!("{PATH}/{id}")),
        (Method::POST, "/api/proxy/stop".to_owned()),
        (Method::POST, format!("{PATH}/{id}/activate")),
        (Method::PUT, "/api/providers/echo".to_owned()),
    ] {
        let answer = send(method, &path, json!({})).await;
        assert!(answer.headers.get("access-control-allow-origin").is_none(), "{path}");
        assert_eq!(answer.expect(403)["error"]["type"], "permission_error", "{path}");
    }
    site.close().await;
}

#[tokio::test]
async fn without_the_database_the_code_names_the_operation() {
    let site = Site::new().await;
    site.store.close().await;
    for (answer, code) in [
        (site.post(PATH, login("default")).await, "credentials_set_failed"),
        (site.get(PATH).await, "credentials_get_failed"),
        (site.delete(PATH).await, "credentials_delete_failed"),
    ] {
        let error = answer.expect(503)["error"].take();
        assert_eq!((&error["type"], &error["code"]), (&"database_unavailable".into(), &code.into()));
    }
    site.close().await;
}

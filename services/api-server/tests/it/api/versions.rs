//! Tests of `ETag` and `If-Match`.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::site::{Answer, Site, on_both};

on_both!(
    a_change_is_made_only_to_the_version_it_is_meant_for,
    a_deletion_is_made_only_of_the_version_it_is_meant_for,
    the_version_of_a_provider_covers_its_configuration,
    changes_elsewhere_do_not_matter,
    a_wrong_header_names_no_version,
);

async fn change(site: &Site, method: Method, path: &str, if_match: Option<&str>, body: &Value) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:3002");
    if let Some(tag) = if_match {
        request = request.header("if-match", tag);
    }
    site.send(request.body(Body::from(body.to_string())).unwrap()).await
}

fn tag(answer: &Answer) -> String {
    answer.headers["etag"].to_str().unwrap().to_owned()
}

async fn a_change_is_made_only_to_the_version_it_is_meant_for(site: &Site) {
    let key = site.post("/api/keys", json!({"name": "k"})).await.expect(201)["id"].as_str().unwrap().to_owned();
    let route = json!({"model": "fast", "targets": [{"provider": "echo", "model": "echo"}]});
    let route_id = site.post("/api/routes", route).await.expect(201)["id"].as_str().unwrap().to_owned();
    let routed =
        |retries: i64| json!({"model": "fast", "retries": retries, "targets": [{"provider": "echo", "model": "echo"}]});
    let pairs: [(String, Value, Value); 6] = [
        ("/api/providers/echo".to_owned(), json!({"priority": 1}), json!({"priority": 2})),
        ("/api/models/echo".to_owned(), json!({"description": "a"}), json!({"description": "b"})),
        (format!("/api/routes/{route_id}"), routed(1), routed(2)),
        (format!("/api/keys/{key}"), json!({"name": "k", "owner": "a"}), json!({"name": "k", "owner": "b"})),
        ("/api/settings/server.timeout".to_owned(), json!({"value": 5000}), json!({"value": 6000})),
        ("/api/settings/mine".to_owned(), json!({"value": "a"}), json!({"value": "b"})),
    ];
    for (path, first, second) in pairs {
        let read = site.get(&path).await;
        let before = if read.status == 404 { "\"0\"".to_owned() } else { tag(&read) };
        let done = change(site, Method::PUT, &path, Some(&before), &first).await;
        assert_eq!(done.status, 200, "{path}: {}", done.body);
        let present = tag(&done);
        assert_eq!(tag(&site.get(&path).await), present, "{path}: a change tells the new version");
        let refused = change(site, Method::PUT, &path, Some(&before), &second).await;
        assert_eq!(tag(&refused), present, "{path}");
        let body = refused.expect(412);
        let error = &body["error"];
        assert_eq!((&error["code"], &error["type"]), (&json!("version_changed"), &json!("precondition_failed")));
        assert_eq!(error["version"], present.as_str(), "{path}");
        assert_eq!(tag(&site.get(&path).await), present, "{path}: nothing was written");
        let list = format!("{before}, {present}");
        change(site, Method::PUT, &path, Some(&list), &second).await.expect(200);
        // Without the header, or for any version, a change is made.
        change(site, Method::PUT, &path, Some("*"), &first).await.expect(200);
        change(site, Method::PUT, &path, None, &second).await.expect(200);
    }
    // The time of change, as a list has it, is a version, too.
    let answer = site.get("/api/models/echo").await;
    let time = answer.body["model"]["updated_at"].as_i64().unwrap().to_string();
    change(site, Method::PUT, "/api/models/echo", Some(&time), &json!({"name": "Echo 2"})).await.expect(200);
    let missing = change(site, Method::PUT, "/api/models/none", Some("\"1\""), &json!({"name": "x"})).await;
    assert_eq!(missing.code(404), "model_not_found");
}

async fn a_deletion_is_made_only_of_the_version_it_is_meant_for(site: &Site) {
    let key = site.post("/api/keys", json!({"name": "k"})).await.expect(201)["id"].as_str().unwrap().to_owned();
    let target = json!([{"provider": "echo", "model": "echo"}]);
    let route = json!({"model": "fast", "targets": target});
    let route_id = site.post("/api/routes", route).await.expect(201)["id"].as_str().unwrap().to_owned();
    site.put("/api/settings/mine", json!({"value": "a"})).await.expect(200);
    site.put("/api/providers/echo/config", json!({"config": {"delay": 5}})).await.expect(200);
    let nothing = Value::Null;
    for (path, of, second) in [
        (format!("/api/routes/{route_id}"), None, json!({"model": "fast", "retries": 1, "targets": target})),
        (format!("/api/keys/{key}"), None, json!({"name": "k", "owner": "a"})),
        ("/api/settings/mine".to_owned(), None, json!({"value": "b"})),
        ("/api/providers/echo/config/delay".to_owned(), Some("/api/providers/echo"), json!({"name": "Echo 2"})),
        ("/api/models/echo".to_owned(), None, json!({"description": "a"})),
        ("/api/providers/echo".to_owned(), None, json!({"priority": 1})),
    ] {
        let of = of.unwrap_or(&path).to_owned();
        let before = tag(&site.get(&of).await);
        change(site, Method::PUT, &of, None, &second).await.expect(200);
        let refused = change(site, Method::DELETE, &path, Some(&before), &nothing).await;
        let present = tag(&site.get(&of).await);
        assert_eq!(tag(&refused), present, "{path}");
        assert_eq!(refused.code(412), "version_changed", "{path}");
        change(site, Method::DELETE, &path, Some(&present), &nothing).await.expect(200);
        if of == path && !path.starts_with("/api/settings") {
            let missing = change(site, Method::DELETE, &path, Some(&present), &nothing).await;
            assert_eq!(missing.status, 404, "{path}");
        }
    }
    // A setting that is not set has a version, too.
    let unset = change(site, Method::DELETE, "/api/settings/mine", Some("\"1\""), &nothing).await;
    assert_eq!(unset.code(412), "version_changed");
    change(site, Method::DELETE, "/api/settings/mine", None, &nothing).await.expect(200);
}

async fn the_version_of_a_provider_covers_its_configuration(site: &Site) {
    let config = "/api/providers/echo/config";
    let before = tag(&site.get("/api/providers/echo").await);
    assert_eq!(tag(&site.get(config).await), before, "both show the same");
    let put = json!({"config": {"delay": 5}});
    let done = change(site, Method::PUT, config, Some(&before), &put).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let present = tag(&done);
    assert_ne!(present, before);
    for (method, path, body) in [
        (Method::PUT, config, put),
        (Method::PATCH, "/api/providers/echo/config/delay", json!({"value": 7})),
        (Method::PUT, "/api/providers/echo", json!({"name": "Other"})),
    ] {
        let refused = change(site, method.clone(), path, Some(&before), &body).await;
        assert_eq!((refused.status, tag(&refused)), (412, present.clone()), "{method} {path}");
    }
    let patched =
        change(site, Method::PATCH, "/api/providers/echo/config/delay", Some(&present), &json!({"value": 7})).await;
    assert_eq!((patched.status, tag(&patched)), (200, tag(&site.get(config).await)));
}

async fn changes_elsewhere_do_not_matter(site: &Site) {
    let before = tag(&site.get("/api/models/echo").await);
    site.put("/api/providers/echo", json!({"priority": 9})).await.expect(200);
    site.put("/api/settings/mine", json!({"value": 1})).await.expect(200);
    change(site, Method::PUT, "/api/models/echo", Some(&before), &json!({"name": "E"})).await.expect(200);
    // Of several changes to the same version at the same time, one is made.
    let present = tag(&site.get("/api/models/echo").await);
    let names = ["a", "b", "c", "d", "e"].map(|name| json!({ "name": name }));
    let changes = names.iter().map(|name| change(site, Method::PUT, "/api/models/echo", Some(&present), name));
    let statuses: Vec<u16> = futures_util::future::join_all(changes).await.iter().map(|done| done.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 412)), "{statuses:?}");
}

async fn a_wrong_header_names_no_version(site: &Site) {
    let before = site.get("/api/models/echo").await;
    for value in ["", "\"\"", ",", "W/\"1\"", "yesterday"] {
        let refused = change(site, Method::PUT, "/api/models/echo", Some(value), &json!({"name": "E"})).await;
        assert_eq!(tag(&refused), tag(&before), "{value}");
        let body = refused.expect(412);
        assert!(body["error"]["message"].as_str().unwrap().contains("or the value is wrong"), "{body}");
    }
    assert_eq!(site.get("/api/models/echo").await.body, before.body);
}

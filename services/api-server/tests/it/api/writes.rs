//! Tests of writes to every resource: all mistakes are reported at once, no field is ignored, and no change is partial.

use http::Method;
use serde_json::{Value, json};

use crate::site::{Site, on_both};

on_both!(every_mistake_is_told_and_nothing_is_changed, an_empty_change_is_a_mistake);

/// Creates an entry of every kind, to be modified.
async fn furnish(site: &Site) {
    let provider =
        json!({"id": "mine", "name": "Mine", "type": "openai", "config": {"apiKey": "sk-1", "timeout": 5000}});
    site.post("/api/providers", provider).await.expect(201);
    site.post("/api/models", json!({"id": "m", "name": "M"})).await.expect(201);
    site.post("/api/providers/mine/models", json!({"model_id": "m"})).await.expect(201);
    site.put("/api/settings/mine", json!({"value": "x"})).await.expect(200);
    site.post("/api/qwen/credentials", json!({"token": "t", "cookies": "c=1"})).await.expect(200);
}

/// Returns everything that writes can change.
async fn everything(site: &Site) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["/api/config/export?format=json", "/api/providers/mine/config?mask=false", "/api/qwen/credentials"] {
        all.push(site.get(path).await.expect(200));
    }
    all
}

#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
async fn every_mistake_is_told_and_nothing_is_changed(site: &Site) {
    furnish(site).await;
    let before = everything(site).await;
    let name = "name is required and must be a non-empty string";
    let kind = "type is required and must be a string";
    let id = "id is required and must be a non-empty string";
    let slug = "id must contain only lowercase letters, numbers, and hyphens";
    let plain = "config.headers.a must not contain line breaks or other control characters";
    let key = "config keys must have 1 to 128 characters";
    let (enabled, priority) = ("enabled must be a boolean", "priority must be an integer");
    let described = "description must be a string or null";
    let wrong =
        json!({"name": 7, "type": "", "enabled": 1, "priority": "high", "description": [], "port": 1, "Name": "x"});
    let half = json!({"config": {"timeout": 9000, "": 1, "headers": {"a": "b\r\nc"}, "apiKey": null}, "mask": 1});
    let of_half = [key, "config.apiKey must not be null: delete the key instead", plain];
    for (method, path, body, mistakes) in [
        (Method::POST, "/api/providers", json!({}), vec![id, name, kind]),
        (
            Method::POST,
            "/api/providers",
            json!({"id": "A b", "name": "New", "type": "openai", "config": {"headers": {"a": "b\nc"}}, "base_url": "x"}),
            vec![slug, plain, "unknown field: base_url"],
        ),
        (
            Method::PUT,
            "/api/providers/mine",
            wrong,
            vec![name, kind, enabled, priority, described, "unknown field: Name", "unknown field: port"],
        ),
        (Method::PUT, "/api/providers/mine/config", half, [&of_half[..], &["unknown field: mask"]].concat()),
        (
            Method::PUT,
            "/api/mine/config",
            json!({"timeout": 1}),
            vec!["config must be an object", "unknown field: timeout"],
        ),
        (
            Method::PATCH,
            "/api/providers/mine/config/timeout",
            json!({"is_sensitive": "no", "key": "x"}),
            vec!["value is required", "is_sensitive must be a boolean", "unknown field: key"],
        ),
        (
            Method::POST,
            "/api/providers/mine/models",
            json!({"is_default": 1, "config": [], "model": "m"}),
            vec![
                "model_id is required and must be a non-empty string",
                "is_default must be a boolean",
                "config must be an object or null",
                "unknown field: model",
            ],
        ),
        (
            Method::POST,
            "/api/models",
            json!({"id": "a b", "capabilities": [1], "description": 7, "provider": "mine"}),
            vec![
                "id must contain only letters, numbers, and the characters - . _ : / @ +, at most 128 of them",
                name,
                described,
                "all capabilities must be strings",
                "unknown field: provider",
            ],
        ),
        (
            Method::PUT,
            "/api/models/m",
            json!({"name": "", "capabilities": {}, "enabled": true}),
            vec![name, "capabilities must be an array", "unknown field: enabled"],
        ),
        (
            Method::POST,
            "/api/qwen/credentials",
            json!({"token": "", "expiresAt": "soon", "expires": 1}),
            vec![
                "token is required and must be a non-empty string",
                "cookies is required and must be a non-empty string",
                "expiresAt must be an integer (Unix timestamp)",
                "unknown field: expires",
            ],
        ),
    ] {
        let mut found = site.call(method.clone(), path, Some(body)).await.mistakes();
        let mut expected: Vec<String> = mistakes.into_iter().map(str::to_owned).collect();
        // Mistakes come in the order in which fields are checked.
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{method} {path}");
    }
    // Settings report all mistakes in one sentence.
    let refused = site.put("/api/settings/server.port", json!({"value": 0, "restart": true})).await.expect(400);
    assert_eq!(
        refused,
        json!({
            "error": "Validation failed",
            "message": "Port must be between 1 and 65535; unknown field: restart",
            "details": [
                {"field": "value", "message": "Port must be between 1 and 65535"},
                {"field": "restart", "message": "unknown field: restart"},
            ],
        })
    );
    let document = "[providers.mine]\ntype = 7\n[models.\"a b\"]\n[settings]\n\"server.port\" = 0\n[extra]\n";
    let request = http::Request::post("/api/config/apply").header("host", "localhost").body(document.into()).unwrap();
    assert!(site.send(request).await.mistakes().len() >= 3);
    assert_eq!(everything(site).await, before);
}

async fn an_empty_change_is_a_mistake(site: &Site) {
    furnish(site).await;
    for path in ["/api/providers/mine", "/api/models/m"] {
        let mistakes = site.put(path, json!({})).await.mistakes();
        assert!(mistakes[0].starts_with("No valid fields to update; send at least one of name, "), "{mistakes:?}");
    }
}

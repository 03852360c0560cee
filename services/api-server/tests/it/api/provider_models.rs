//! Tests of `/api/providers/:id/models`, and of its alias `/api/:id/models`.

use serde_json::{Value, json};

use crate::site::{Site, on_both};

on_both!(a_model_is_linked_made_default_and_unlinked, what_is_missing_is_told, both_paths_are_the_same);

fn linked(id: &str, is_default: bool, config: &Value) -> Value {
    let seeded_by = if id == "echo" { "echo" } else { "qwen-proxy-default" };
    let description = format!("{id} - Discovered from {seeded_by}");
    json!({"id": id, "name": id, "description": description, "capabilities": "[\"chat\"]", "created_at": 0, "updated_at": 0,
           "is_default": is_default, "provider_config": config})
}

async fn a_model_is_linked_made_default_and_unlinked(site: &Site) {
    let config = json!({"upstream_model": "qwen-max"});
    let mut link =
        site.post("/api/providers/echo/models", json!({"model_id": "qwen3-max", "config": config})).await.expect(201);
    assert!(link["id"].take().is_i64());
    assert_eq!(
        link,
        json!({"id": null, "provider_id": "echo", "model_id": "qwen3-max", "is_default": false, "config": config,
               "created_at": 0, "updated_at": 0})
    );
    let again = site.post("/api/providers/echo/models", json!({"model_id": "qwen3-max"})).await;
    assert_eq!(again.code(409), "model_already_linked");

    assert_eq!(
        site.put("/api/providers/echo/models/qwen3-max/default", json!({})).await.expect(200),
        json!({"provider_id": "echo", "default_model": linked("qwen3-max", true, &config),
               "message": "Default model updated"})
    );
    assert_eq!(
        site.get("/api/providers/echo/models").await.expect(200),
        json!({"provider_id": "echo", "total": 2,
               "models": [linked("qwen3-max", true, &config), linked("echo", false, &Value::Null)]})
    );
    let unlinked = json!({"success": true, "message": "Model unlinked from provider"});
    assert_eq!(site.delete("/api/providers/echo/models/qwen3-max").await.expect(200), unlinked);
    assert_eq!(site.delete("/api/providers/echo/models/qwen3-max").await.code(404), "model_not_linked");
}

async fn what_is_missing_is_told(site: &Site) {
    let model = json!({"model_id": "echo"});
    assert_eq!(site.get("/api/providers/no/models").await.code(404), "provider_not_found");
    assert_eq!(site.post("/api/providers/no/models", model).await.code(404), "provider_not_found");
    let unknown = site.post("/api/providers/echo/models", json!({"model_id": "no"})).await;
    assert_eq!(unknown.code(404), "model_not_found");
    let unlinked = site.put("/api/providers/echo/models/qwen3-max/default", json!({})).await;
    assert_eq!(unlinked.code(404), "model_not_linked");
    assert_eq!(
        site.post("/api/providers/echo/models", json!({"is_default": 1, "config": 1})).await.mistakes(),
        [
            "model_id is required and must be a non-empty string",
            "is_default must be a boolean",
            "config must be an object or null"
        ]
    );
}

async fn both_paths_are_the_same(site: &Site) {
    site.post("/api/echo/models", json!({"model_id": "qwen3-max"})).await.expect(201);
    site.put("/api/echo/models/qwen3-max/default", json!({})).await.expect(200);
    let (short, long) = (site.get("/api/echo/models").await, site.get("/api/providers/echo/models").await);
    assert_eq!(short.expect(200), long.expect(200));
    site.delete("/api/echo/models/qwen3-max").await.expect(200);
}

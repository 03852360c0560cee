//! Tests of `/api/models`.

use serde_json::json;

use crate::site::{Site, on_both};

on_both!(
    one_is_made_read_changed_and_deleted,
    names_with_slashes_are_names,
    lists_are_filtered_and_paged,
    every_mistake_is_reported,
);

async fn one_is_made_read_changed_and_deleted(site: &Site) {
    let body = json!({"id": "gpt-4.1", "name": "GPT", "capabilities": ["chat", "vision"]});
    let mut model = json!({"id": "gpt-4.1", "name": "GPT", "description": "", "capabilities": "[\"chat\",\"vision\"]",
                           "created_at": 0, "updated_at": 0, "status": "active"});
    assert_eq!(site.post("/api/models", body.clone()).await.expect(201), json!({"model": model}));
    assert_eq!(site.post("/api/models", body).await.code(409), "model_exists");

    // The response format is accepted as input.
    let form = json!({"id": "gpt-4.1", "status": "active", "description": "d", "capabilities": "[\"chat\"]"});
    model["description"] = "d".into();
    model["capabilities"] = "[\"chat\"]".into();
    assert_eq!(site.put("/api/models/gpt-4.1", form).await.expect(200), json!({"model": model}));

    site.post("/api/providers/echo/models", json!({"model_id": "gpt-4.1", "config": {"a": 1}})).await.expect(201);
    let body = site.get("/api/models/gpt-4.1").await.expect(200);
    let provider = &body["model"]["providers"][0];
    assert_eq!((&provider["id"], &provider["is_default"]), (&"echo".into(), &false.into()));
    assert_eq!((&provider["type"], &provider["model_config"]), (&"echo".into(), &json!({"a": 1})));

    let deleted = json!({"success": true, "message": "Model deleted"});
    assert_eq!(site.delete("/api/models/gpt-4.1").await.expect(200), deleted);
    for answer in [site.get("/api/models/gpt-4.1").await, site.delete("/api/models/gpt-4.1").await] {
        assert_eq!(answer.code(404), "model_not_found");
    }
    assert_eq!(site.put("/api/models/gpt-4.1", json!({"name": "n"})).await.code(404), "model_not_found");
}

async fn names_with_slashes_are_names(site: &Site) {
    site.post("/api/models", json!({"id": "qwen/qwen3:free", "name": "Free"})).await.expect(201);
    let body = site.get("/api/models/qwen%2Fqwen3%3Afree").await.expect(200);
    assert_eq!(body["model"]["name"], "Free");
}

async fn lists_are_filtered_and_paged(site: &Site) {
    site.post("/api/models", json!({"id": "a", "name": "A", "capabilities": ["vision"]})).await.expect(201);
    let ids = async |query: &str| {
        let body = site.get(&format!("/api/models{query}")).await.expect(200);
        let ids = body["models"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>().join(" "), body["total"].as_i64().unwrap())
    };
    assert_eq!(ids("").await, ("a echo qwen3-max".to_owned(), 3));
    assert_eq!(ids("?limit=1&offset=2").await, ("qwen3-max".to_owned(), 3));
    assert_eq!(ids("?capability=vision").await, ("a".to_owned(), 1));
    assert_eq!(ids("?provider=echo").await, ("echo".to_owned(), 1));
    assert_eq!(ids("?provider=echo&capability=vision").await, (String::new(), 0));
    let linked = site.get("/api/models?provider=echo").await.expect(200)["models"][0].clone();
    assert_eq!((&linked["is_default"], &linked["provider_config"]), (&true.into(), &serde_json::Value::Null));
}

async fn every_mistake_is_reported(site: &Site) {
    assert_eq!(
        site.post("/api/models", json!({"id": "a b", "capabilities": "chat", "description": 1, "y": 0}))
            .await
            .mistakes(),
        [
            "id must contain only letters, numbers, and the characters - . _ : / @ +, at most 128 of them",
            "name is required and must be a non-empty string",
            "description must be a string or null",
            "capabilities must be an array",
            "unknown field: y",
        ]
    );
    assert_eq!(
        site.post("/api/models", json!({"id": "sync", "name": "s"})).await.mistakes(),
        ["id must be another one: `sync` belongs to the route /api/models/sync"]
    );
    assert_eq!(
        site.put("/api/models/echo", json!({"capabilities": [1]})).await.mistakes(),
        ["all capabilities must be strings"]
    );
    assert_eq!(
        site.put("/api/models/echo", json!({})).await.mistakes(),
        ["No valid fields to update; send at least one of name, description and capabilities"]
    );
}

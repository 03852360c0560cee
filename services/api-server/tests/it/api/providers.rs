//! Tests of `/api/providers`.

use serde_json::{Value, json};

use crate::site::{Site, on_both};

on_both!(
    a_new_database_has_three,
    one_is_made_read_changed_and_deleted,
    every_mistake_is_reported,
    an_incomplete_one_is_made_with_a_warning,
    an_incomplete_one_is_not_declared,
    some_ids_and_names_are_refused_in_every_way,
    a_type_has_its_default_model,
    ids_and_names_are_unique,
    lists_are_filtered_and_paged,
    an_unknown_one_is_missing_everywhere,
    without_the_router_nothing_is_loaded,
);

fn acme() -> Value {
    json!({"id": "acme", "name": "Acme", "type": "openai", "priority": 7, "description": "theirs",
           "config": {"baseURL": "http://127.0.0.1:1/v1", "apiKey": "sk-canary", "timeout": 5000}})
}

async fn a_new_database_has_three(site: &Site) {
    let body = site.get("/api/providers").await.expect(200);
    assert_eq!(body["total"], 3);
    assert_eq!(
        body["providers"][0],
        json!({"id": "lm-studio-default", "name": "LM Studio Default", "type": "lm-studio", "enabled": false,
               "priority": 10, "description": null, "created_at": 0, "updated_at": 0, "runtime_status": "not_loaded"})
    );
}

async fn one_is_made_read_changed_and_deleted(site: &Site) {
    let made = json!({"id": "acme", "name": "Acme", "type": "openai", "enabled": true, "priority": 7,
                      "description": "theirs", "created_at": 0, "updated_at": 0});
    let config = json!({"baseURL": "http://127.0.0.1:1/v1", "apiKey": "***MASKED***", "timeout": 5000});
    let mut whole = made.clone();
    whole["config"] = config;
    assert_eq!(site.post("/api/providers", acme()).await.expect(201), whole);

    whole["models"] = json!([]);
    whole["runtime_status"] = "not_loaded".into();
    assert_eq!(site.get("/api/providers/acme").await.expect(200), whole);

    let mut changed = made;
    changed["name"] = "Acme 2".into();
    changed["description"] = Value::Null;
    // Forms send back the fields they have read.
    let form = json!({"id": "acme", "created_at": 1, "name": "Acme 2", "description": null});
    assert_eq!(site.put("/api/providers/acme", form).await.expect(200), changed);

    changed["enabled"] = false.into();
    changed["message"] = "Provider disabled".into();
    assert_eq!(site.post("/api/providers/acme/disable", json!({})).await.expect(200), changed);
    changed["enabled"] = true.into();
    changed["message"] = "Provider enabled".into();
    assert_eq!(site.post("/api/providers/acme/enable", json!({})).await.expect(200), changed);

    let deleted = json!({"success": true, "message": "Provider deleted"});
    assert_eq!(site.delete("/api/providers/acme").await.expect(200), deleted);
    let message = "Provider not found: acme. List the providers to see which exist";
    let missing = json!({"error": {"message": message, "type": "not_found_error", "code": "provider_not_found"}});
    assert_eq!(site.get("/api/providers/acme").await.expect(404), missing);
}

async fn every_mistake_is_reported(site: &Site) {
    let body =
        json!({"id": "No!", "type": 7, "enabled": "yes", "priority": 1.5, "description": [], "config": 1, "x": 1});
    assert_eq!(
        site.post("/api/providers", body).await.mistakes(),
        [
            "id must contain only lowercase letters, numbers, and hyphens",
            "name is required and must be a non-empty string",
            "type is required and must be a string",
            "enabled must be a boolean",
            "priority must be an integer",
            "description must be a string or null",
            "config must be an object",
            "unknown field: x",
        ]
    );
    assert_eq!(
        site.put("/api/providers/echo", json!({})).await.mistakes(),
        ["No valid fields to update; send at least one of name, type, enabled, priority and description"]
    );
    // Accepting this would discard it silently.
    let config = json!({"name": "n", "config": {"baseURL": "x"}});
    assert_eq!(site.put("/api/providers/echo", config).await.mistakes(), ["unknown field: config"]);
    let null = json!({"id": "a", "name": "a", "type": "a", "config": {"baseURL": null}});
    assert_eq!(
        site.post("/api/providers", null).await.mistakes(),
        ["config.baseURL must not be null: delete the key instead"]
    );
    assert_eq!(site.get("/api/providers").await.expect(200)["total"], 3);
}

async fn an_incomplete_one_is_made_with_a_warning(site: &Site) {
    let openai = json!({"id": "a", "name": "a", "type": "openai", "config": {"timeout": 5000}});
    let lacks_key = json!(["config.apiKey is missing: a provider of the type openai cannot work without it"]);
    assert_eq!(site.post("/api/providers", openai).await.expect(201)["warnings"], lacks_key);
    let merged = site.put("/api/providers/a/config", json!({"config": {"timeout": 6000}})).await.expect(200);
    assert_eq!(merged["warnings"], lacks_key);
    assert_eq!(site.post("/api/providers/a/enable", json!({})).await.expect(200)["warnings"], lacks_key);
    assert!(site.post("/api/providers/a/disable", json!({})).await.expect(200)["warnings"].is_null());
    let merged = site.put("/api/providers/a/config", json!({"config": {"apiKey": "sk-1"}})).await.expect(200);
    assert!(merged["warnings"].is_null(), "{merged}");
    let own = site.post("/api/providers", json!({"id": "b", "name": "b", "type": "my-own"})).await.expect(201);
    let lacks_url = "config.baseURL is missing: a provider of the type my-own cannot work without it";
    assert_eq!(own["warnings"], json!([lacks_url]));
    for (id, kind) in [("c", "lm-studio"), ("d", "qwen-proxy"), ("e", "echo")] {
        let made = site.post("/api/providers", json!({"id": id, "name": id, "type": kind})).await.expect(201);
        assert!(made["warnings"].is_null(), "{made}");
    }
}

async fn an_incomplete_one_is_not_declared(site: &Site) {
    let apply = async |document: Value| site.post("/api/config/apply?format=json", document).await;
    let lacking = json!({"providers": {"a": {"type": "openai"}, "b": {"type": "my-own", "config": {"apiKey": "k"}}}});
    assert_eq!(
        apply(lacking).await.mistakes(),
        [
            "providers.a.config.apiKey: is required for providers of type openai",
            "providers.b.config.baseURL: is required for providers of type my-own"
        ]
    );
    // Stored providers stay, and incomplete ones can be applied unchanged.
    site.post("/api/providers", json!({"id": "a", "name": "a", "type": "openai"})).await.expect(201);
    let same = json!({"providers": {"a": {"type": "openai"}}});
    assert_eq!(apply(same).await.expect(200)["unchanged"], json!(["providers.a"]));
    let changed = json!({"providers": {"a": {"type": "openai", "priority": 1}}});
    assert_eq!(apply(changed.clone()).await.mistakes().len(), 1);
    site.put("/api/providers/a/config", json!({"config": {"apiKey": "sk-1"}})).await.expect(200);
    apply(changed).await.expect(200);
}

async fn some_ids_and_names_are_refused_in_every_way(site: &Site) {
    let told = "must be another one: `types` belongs to the route /api/providers/types";
    let body = json!({"id": "types", "name": "a", "type": "echo"});
    assert_eq!(site.post("/api/providers", body).await.mistakes(), [format!("id {told}")]);
    let document = json!({"providers": {"types": {"type": "echo"}}});
    let applied = site.post("/api/config/apply?format=json", document).await.mistakes();
    assert_eq!(applied, [format!("providers.types: an id {told}")]);
    for blank in ["\u{200b}", "\u{feff} \u{200b}"] {
        let body = json!({"id": "a", "name": blank, "type": "echo"});
        let mistakes = site.post("/api/providers", body).await.mistakes();
        assert_eq!(mistakes, ["name is required and must be a non-empty string"], "{blank:?}");
        let document = json!({"providers": {"a": {"type": "echo", "name": blank}}});
        let applied = site.post("/api/config/apply?format=json", document).await.mistakes();
        assert_eq!(applied, ["providers.a.name: must be a non-empty string"], "{blank:?}");
    }
}

async fn a_type_has_its_default_model(site: &Site) {
    let types = site.get("/api/providers/types").await.expect(200);
    for kind in types["types"].as_array().unwrap() {
        assert_eq!(kind["configSchema"]["defaultModel"]["type"], "string", "{kind}");
        assert!(kind["optionalConfig"].as_array().unwrap().contains(&json!("defaultModel")), "{kind}");
    }
}

async fn ids_and_names_are_unique(site: &Site) {
    site.post("/api/providers", acme()).await.expect(201);
    let taken = |field: &str| {
        let message =
            format!("A provider with this {field} already exists; choose another one, or update that provider");
        json!({"error": {"message": message, "type": "conflict_error", "code": "provider_exists",
                         "details": [{"field": field, "message": message}]}})
    };
    let mut twin = acme();
    twin["name"] = "Other".into();
    assert_eq!(site.post("/api/providers", twin).await.expect(409), taken("id"));
    let mut namesake = acme();
    namesake["id"] = "other".into();
    assert_eq!(site.post("/api/providers", namesake).await.expect(409), taken("name"));
    assert_eq!(site.put("/api/providers/echo", json!({"name": "Acme"})).await.expect(409), taken("name"));
}

async fn lists_are_filtered_and_paged(site: &Site) {
    let ids = async |query: &str| {
        let body = site.get(&format!("/api/providers{query}")).await.expect(200);
        let ids = body["providers"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), body["total"].as_i64().unwrap())
    };
    assert_eq!(ids("?type=echo").await, (vec!["echo".to_owned()], 1));
    assert_eq!(ids("?enabled=no").await, (vec!["lm-studio-default".to_owned()], 1));
    assert_eq!(ids("?enabled=true&type=lm-studio").await, (vec![], 0));
    assert_eq!(ids("?limit=1&offset=1").await, (vec!["qwen-proxy-default".to_owned()], 3));
    assert_eq!(
        site.get("/api/providers?limit=0&offset=-1").await.mistakes(),
        ["limit must be between 1 and 1000", "offset must be a non-negative number"]
    );
}

async fn an_unknown_one_is_missing_everywhere(site: &Site) {
    assert_eq!(site.get("/api/providers/no").await.code(404), "provider_not_found");
    assert_eq!(site.put("/api/providers/no", json!({"name": "n"})).await.code(404), "provider_not_found");
    assert_eq!(site.delete("/api/providers/no").await.code(404), "provider_not_found");
    for path in ["enable", "disable"] {
        assert_eq!(site.post(&format!("/api/providers/no/{path}"), json!({})).await.code(404), "provider_not_found");
    }
}

async fn without_the_router_nothing_is_loaded(site: &Site) {
    site.post("/api/providers", acme()).await.expect(201);
    assert_eq!(site.post("/api/providers/acme/test", json!({})).await.code(400), "provider_not_loaded");
    assert_eq!(site.post("/api/providers/acme/reload", json!({})).await.code(503), "router_unavailable");
    site.post("/api/providers/acme/disable", json!({})).await.expect(200);
    assert_eq!(site.post("/api/providers/acme/reload", json!({})).await.code(400), "provider_disabled");
    for verb in ["test", "reload"] {
        let missing = site.post(&format!("/api/providers/missing/{verb}"), json!({})).await;
        assert_eq!(missing.code(404), "provider_not_found", "{verb}");
    }
}

#[tokio::test]
async fn each_provider_type_describes_its_form() {
    let site = Site::new().await;
    let body = site.get("/api/providers/types").await.expect(200);
    let types = body["types"].as_array().unwrap();
    assert_eq!(body["total"], types.len());
    let openai = types.iter().find(|kind| kind["value"] == "openai").unwrap();
    assert_eq!(openai["requiredConfig"], json!(["apiKey"]));
    assert_eq!(openai["configSchema"]["apiKey"]["sensitive"], true);
    assert_eq!(openai["configSchema"]["baseURL"]["default"], "https://api.openai.com/v1");
    for kind in types {
        let fields = kind["configSchema"].as_object().unwrap();
        let named = ["requiredConfig", "optionalConfig"].map(|list| kind[list].as_array().unwrap().clone()).concat();
        assert_eq!(named.len(), fields.len(), "{kind}");
        assert!(named.iter().all(|name| fields.contains_key(name.as_str().unwrap())), "{kind}");
    }
    site.close().await;
}

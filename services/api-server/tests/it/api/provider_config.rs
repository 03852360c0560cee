//! Tests of `/api/providers/:id/config`, and of its alias `/api/:id/config`.

use serde_json::json;

use crate::site::{Site, on_both};

on_both!(
    values_are_merged_and_secrets_masked,
    the_mask_never_overwrites_a_secret,
    keys_are_patched_and_deleted,
    both_paths_are_the_same,
    what_is_missing_is_told,
);

const CONFIG: &str = "/api/providers/echo/config";

async fn values_are_merged_and_secrets_masked(site: &Site) {
    let body = json!({"config": {"baseURL": "http://x", "timeout": 5000, "token": "12345", "cookies": "a=b",
                                 "headers": {"x-key": "v"}, "strict": true}});
    let masked = json!({"baseURL": "http://x", "timeout": 5000, "token": "***MASKED***", "cookies": "***MASKED***",
                        "headers": "***MASKED***", "strict": true});
    let answer = json!({"provider_id": "echo", "config": masked, "updated_count": 6});
    assert_eq!(site.put(CONFIG, body).await.expect(200), answer);
    site.put(CONFIG, json!({"config": {"timeout": 7000}})).await.expect(200);

    let answer = json!({"provider_id": "echo", "masked": false,
        "config": {"baseURL": "http://x", "timeout": 7000, "token": "12345", "cookies": "a=b",
                   "headers": {"x-key": "v"}, "strict": true}});
    assert_eq!(site.get(&format!("{CONFIG}?mask=false")).await.expect(200), answer);
    assert_eq!(site.get(CONFIG).await.expect(200)["config"]["token"], "***MASKED***");
}

async fn the_mask_never_overwrites_a_secret(site: &Site) {
    site.put(CONFIG, json!({"config": {"apiKey": "sk-1", "baseURL": "http://x"}})).await.expect(200);
    let mut form = site.get(CONFIG).await.expect(200)["config"].clone();
    form["baseURL"] = "http://y".into();
    assert_eq!(site.put(CONFIG, json!({"config": form})).await.expect(200)["updated_count"], 1);
    let patched = site.patch(&format!("{CONFIG}/apiKey"), json!({"value": "***MASKED***"})).await.expect(200);
    assert_eq!((&patched["value"], &patched["is_sensitive"]), (&"***MASKED***".into(), &true.into()));

    let config = site.get(&format!("{CONFIG}?mask=false")).await.expect(200)["config"].clone();
    assert_eq!(config, json!({"apiKey": "sk-1", "baseURL": "http://y"}));
    let unknown = site.patch(&format!("{CONFIG}/secret"), json!({"value": "***MASKED***"})).await;
    assert_eq!(unknown.code(404), "config_key_not_found");
}

async fn keys_are_patched_and_deleted(site: &Site) {
    let patched = site.patch(&format!("{CONFIG}/region"), json!({"value": "eu", "is_sensitive": true})).await;
    assert_eq!(
        patched.expect(200),
        json!({"provider_id": "echo", "key": "region", "value": "***MASKED***", "is_sensitive": true, "updated_at": 0})
    );
    // A secret stays secret.
    let again = site.patch(&format!("{CONFIG}/region"), json!({"value": "us"})).await.expect(200);
    assert_eq!(again["is_sensitive"], true);
    assert_eq!(
        site.patch(&format!("{CONFIG}/region"), json!({"is_sensitive": 1})).await.mistakes(),
        ["value is required", "is_sensitive must be a boolean"]
    );
    let deleted = json!({"success": true, "message": "Configuration key deleted"});
    assert_eq!(site.delete(&format!("{CONFIG}/region")).await.expect(200), deleted);
    assert_eq!(site.delete(&format!("{CONFIG}/region")).await.code(404), "config_key_not_found");
}

async fn both_paths_are_the_same(site: &Site) {
    site.put("/api/echo/config", json!({"config": {"defaultModel": "m"}})).await.expect(200);
    let (short, long) = (site.get("/api/echo/config").await, site.get(CONFIG).await);
    assert_eq!(short.expect(200), long.expect(200));
    site.patch("/api/echo/config/a", json!({"value": 1})).await.expect(200);
    site.delete("/api/echo/config/a").await.expect(200);
}

async fn what_is_missing_is_told(site: &Site) {
    assert_eq!(site.get("/api/providers/no/config").await.code(404), "provider_not_found");
    assert_eq!(site.put("/api/providers/no/config", json!({"config": {}})).await.code(404), "provider_not_found");
    assert_eq!(site.patch("/api/no/config/k", json!({"value": 1})).await.code(404), "provider_not_found");
    assert_eq!(site.delete("/api/no/config/k").await.code(404), "provider_not_found");
    assert_eq!(site.put(CONFIG, json!({})).await.mistakes(), ["config must be an object"]);
    assert_eq!(site.put(CONFIG, json!({"config": [1]})).await.mistakes(), ["config must be an object"]);
    assert_eq!(site.get(&format!("{CONFIG}?mask=maybe")).await.mistakes(), ["mask must be true or false"]);
}

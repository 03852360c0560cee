//! Tests of `/api/settings`.

use serde_json::{Value, json};

use crate::site::{Site, on_both};

on_both!(
    defaults_are_shown,
    one_is_put_read_and_reset,
    many_are_put_as_far_as_they_are_valid,
    refusals_are_flat,
    the_active_provider_has_to_exist,
    long_keys_are_counted_by_character,
    known_settings_are_described
);

async fn defaults_are_shown(site: &Site) {
    assert_eq!(
        site.get("/api/settings").await.expect(200),
        json!({"category": "all", "settings": {
            "active_provider": "echo", "server.port": 3001, "server.host": "127.0.0.1", "server.timeout": 120_000,
            "server.answer_headers": true, "logging.level": "info",
            "logging.logRequests": true, "logging.logResponses": true, "system.autoStart": false,
            "system.minimizeToTray": true, "system.checkUpdates": true}})
    );
    let server = json!({"category": "server", "settings": {
        "server.port": 3001, "server.host": "127.0.0.1", "server.timeout": 120_000,
        "server.answer_headers": true}});
    assert_eq!(site.get("/api/settings?category=server").await.expect(200), server);
}

async fn one_is_put_read_and_reset(site: &Site) {
    let default = json!({"key": "server.port", "value": 3001, "category": "server", "requiresRestart": true,
                         "isDefault": true});
    assert_eq!(site.get("/api/settings/server.port").await.expect(200), default);
    assert_eq!(
        site.put("/api/settings/server.port", json!({"value": 4001.0})).await.expect(200),
        json!({"key": "server.port", "value": 4001, "requiresRestart": true, "updated_at": 0,
               "message": "Setting updated. Server restart required to apply changes."})
    );
    let changed = site.get("/api/settings/server.port").await.expect(200);
    assert_eq!((&changed["value"], &changed["isDefault"]), (&4001.into(), &false.into()));
    assert_eq!(
        site.delete("/api/settings/server.port").await.expect(200),
        json!({"key": "server.port", "value": 3001, "message": "Setting reset to default value.",
               "requiresRestart": true})
    );
    assert_eq!(site.get("/api/settings/server.port").await.expect(200), default);

    let active = site.put("/api/settings/active_model", json!({"value": "m"})).await.expect(200);
    assert_eq!(active["message"], "Setting updated successfully.");
    assert_eq!(active["deprecated"], true);
    for key in ["active_model", "system.autoStart"] {
        let shown = site.get(&format!("/api/settings/{key}")).await.expect(200);
        assert!(shown["deprecated"] == true && shown["deprecation"].as_str().unwrap().starts_with("It has no effect"));
    }
    assert_eq!(site.delete("/api/settings/active_model").await.expect(200)["value"], serde_json::Value::Null);
}

async fn many_are_put_as_far_as_they_are_valid(site: &Site) {
    let body = json!({"settings": {"server.port": 0, "logging.logRequests": false, "my.key": {"a": 1}}});
    assert_eq!(
        site.post("/api/settings/bulk", body).await.expect(200),
        json!({"updated": ["logging.logRequests", "my.key"], "requiresRestart": false,
               "errors": [{"key": "server.port", "error": "Port must be between 1 and 65535"}],
               "details": [{"field": "settings.server.port", "message": "Port must be between 1 and 65535"}],
               "message": "2 settings updated successfully."})
    );
    assert_eq!(site.get("/api/settings/logging.logRequests").await.expect(200)["value"], false);
    assert_eq!(site.get("/api/settings/my.key").await.expect(200)["value"], "{\"a\":1}");
    let restart = site.post("/api/settings/bulk", json!({"settings": {"server.host": "localhost"}})).await.expect(200);
    assert_eq!(restart["message"], "1 settings updated. Server restart required.");
}

async fn refusals_are_flat(site: &Site) {
    let message =
        "The setting no.such has no value and no default. Write one with PUT, or list the settings that have one";
    let missing = json!({"error": "Setting not found", "key": "no.such", "message": message});
    assert_eq!(site.get("/api/settings/no.such").await.expect(404), missing);
    for (path, value, field, message) in [
        ("logging.level", json!({"value": "loud"}), "value", "Log level must be one of: debug, info, warn, error"),
        ("a", json!({}), "value", "Setting value is required"),
        ("a%0Ab", json!({"value": 1}), "key", "Setting key must not contain line breaks or other control characters"),
        ("a", json!({"value": 1, "b": 2}), "b", "unknown field: b"),
    ] {
        let refused = site.put(&format!("/api/settings/{path}"), value).await.expect(400);
        assert_eq!(refused, invalid(field, message));
    }
    let refused = site.post("/api/settings/bulk", json!({"settings": []})).await.expect(400);
    assert_eq!(refused, invalid("settings", "settings must be an object"));
}

/// Returns the response to one mistake.
fn invalid(field: &str, message: &str) -> Value {
    let details = json!([{"field": field, "message": message}]);
    json!({"error": "Validation failed", "message": message, "details": details})
}

async fn the_active_provider_has_to_exist(site: &Site) {
    let path = "/api/settings/active_provider";
    let told = |id: &str| format!("active_provider must be the id of a provider, and there is none with the id `{id}`");
    for nobody in ["nosuch", "Echo", " ", ""] {
        let refused = site.put(path, json!({"value": nobody})).await.expect(400);
        assert_eq!(refused, invalid("value", &told(nobody)));
        let body = json!({"settings": {"active_provider": nobody, "mine": "x"}});
        let bulk = site.post("/api/settings/bulk", body).await.expect(200);
        assert_eq!(bulk["updated"], json!(["mine"]));
        assert_eq!(bulk["errors"], json!([{"key": "active_provider", "error": told(nobody)}]));
        let document = json!({"settings": {"active_provider": nobody}});
        let mistakes = site.post("/api/config/apply?format=json", document).await.mistakes();
        assert_eq!(mistakes, [format!("settings.active_provider: {}", told(nobody))]);
    }
    assert_eq!(site.get(path).await.expect(200)["value"], "echo");
    site.put(path, json!({"value": "lm-studio-default"})).await.expect(200);
    // The document may declare the provider, too; a provider that it prunes does not count.
    let both = json!({"providers": {"new": {"type": "echo"}}, "settings": {"active_provider": "new"}});
    site.post("/api/config/apply?format=json", both).await.expect(200);
    let pruned = json!({"providers": {"new": {"type": "echo", "name": "N"}}, "settings": {"active_provider": "echo"}});
    let mistakes = site.post("/api/config/apply?format=json&prune=true", pruned).await.mistakes();
    assert_eq!(mistakes, [format!("settings.active_provider: {}", told("echo"))]);
    assert_eq!(site.get(path).await.expect(200)["value"], "new");
}

async fn long_keys_are_counted_by_character(site: &Site) {
    for (length, status) in [(128, 200), (129, 400)] {
        let key = "%C3%A9".repeat(length);
        site.put(&format!("/api/settings/{key}"), json!({"value": 1})).await.expect(status);
        site.put("/api/providers/echo/config", json!({"config": {"é".repeat(length): 1}})).await.expect(status);
    }
}

async fn known_settings_are_described(site: &Site) {
    let schema = site.get("/api/settings/schema").await.expect(200);
    let known = schema["settings"].as_array().unwrap();
    let of = |key: &str| known.iter().find(|known| known["key"] == key).unwrap().clone();
    let mut port = of("server.port");
    assert!(port["description"].take().is_string());
    let expected = json!({
        "key": "server.port", "category": "server", "type": "integer", "minimum": 1, "maximum": 65_535,
        "default": 3001, "description": null, "requiresRestart": true,
    });
    assert_eq!(port, expected);
    assert_eq!(of("logging.level")["enum"], json!(["trace", "debug", "info", "warn", "error"]));
    let timeout = of("server.timeout");
    assert_eq!(
        (&timeout["unit"], &timeout["default"], &timeout["maximum"]),
        (&json!("ms"), &json!(120_000), &json!(600_000))
    );
    let old = of("system.autoStart");
    assert!(old["deprecated"] == true && old["deprecation"].is_string(), "{old}");
    // All settings that are shown by default are among them.
    for key in site.get("/api/settings").await.expect(200)["settings"].as_object().unwrap().keys() {
        of(key);
    }
    let nothing = json!({"pending": [], "services": []});
    site.put("/api/settings/server.port", json!({"value": 4000})).await.expect(200);
    assert_eq!(site.get("/api/settings/pending").await.expect(200), nothing, "no router runs");
}

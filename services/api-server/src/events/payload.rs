//! Shapes of the events. Lists appear under two names, for two generations of dashboards.

use serde::Serialize;
use serde_json::{Map, Value, json};
use signalbox_core::schema::Provider;
use signalbox_core::secret::{MASK, is_sensitive_key};
use signalbox_management::ModelView;

use super::changes::Action;

pub(super) const PROXY_STATUS: &str = "proxy:status";
pub(super) const LIFECYCLE: &str = "lifecycle:update";
pub(super) const PROVIDERS: &str = "providers:updated";
pub(super) const MODELS: &str = "models:updated";
pub(super) const CREDENTIALS: &str = "credentials:updated";
pub(super) const SETTINGS: &str = "settings:updated";
pub(super) const REQUESTS: &str = "requests:new";
pub(super) const LOG_SUBSCRIBED: &str = "logs:subscribed";
pub(super) const LOG_LINE: &str = "logs:line";
pub(super) const LOG_ERROR: &str = "logs:error";

/// Returns the present time as ISO 8601.
pub(super) fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Wraps the complete status in `status`.
pub(super) fn proxy_status(mut status: Value) -> Value {
    let now = timestamp();
    status["timestamp"] = now.as_str().into();
    json!({ "status": status, "timestamp": now })
}

/// Returns the complete status for a new listener: its `credentials` also tell whether there is a login and whether it
/// has expired.
pub(super) fn snapshot(mut status: Value) -> Value {
    let credentials = &mut status["credentials"];
    let valid = credentials["valid"] == true;
    // A login without an expiry is valid. If it is neither valid nor has an expiry, there is none.
    let exists = valid || !credentials["expiresAt"].is_null();
    credentials["hasCredentials"] = exists.into();
    credentials["isExpired"] = (exists && !valid).into();
    proxy_status(status)
}

/// Returns the complete status with both children on top, and with `lifecycle` if the router changed.
///
/// `lifecycle` is absent if only qwen-proxy changed, because dashboards take it for the router's.
pub(super) fn lifecycle(mut status: Value, router_changed: bool) -> Value {
    if router_changed {
        let router = &status["providerRouter"];
        let lifecycle = json!({
            "process": "providerRouter",
            "state": router["state"],
            "port": if matches!(router["state"].as_str(), Some("stopping" | "stopped")) { &Value::Null } else { &router["port"] },
            "running": router["running"],
            "error": router["error"],
        });
        status["lifecycle"] = lifecycle;
    }
    status["timestamp"] = timestamp().into();
    status
}

pub(super) fn providers(action: Action, id: &str, providers: &[Provider]) -> Value {
    let enabled = providers.iter().filter(|provider| provider.enabled).count();
    let mut event = list("providers", action, "providerId", id, providers);
    event.insert("enabled".to_owned(), enabled.into());
    event.into()
}

pub(super) fn models(action: Action, id: &str, models: &[ModelView]) -> Value {
    list("models", action, "modelId", id, models).into()
}

/// Builds a credentials event. `expires_at` is in Unix seconds.
pub(super) fn credentials(action: Action, valid: bool, expires_at: Option<i64>) -> Value {
    json!({
        "action": action,
        "credentials": { "valid": valid, "expiresAt": expires_at },
        "timestamp": timestamp(),
    })
}

/// Builds a settings event. `value` is `None` if the setting was reset to its default.
pub(super) fn setting(action: Action, key: &str, value: Option<&str>, requires_restart: bool) -> Value {
    let value = value.map(|value| if is_sensitive_key(key) { MASK } else { value });
    json!({
        "action": action,
        "key": key,
        "value": value,
        "requiresRestart": requires_restart,
        "timestamp": timestamp(),
    })
}

/// Builds an event for `count` requests since the last such event, with the newest of them in `requests`.
pub(super) fn requests(count: i64, requests: &[Value]) -> Value {
    json!({ "count": count, "requests": requests, "timestamp": timestamp() })
}

fn list(name: &str, action: Action, id_name: &str, id: &str, items: &[impl Serialize]) -> Map<String, Value> {
    let (total, items) = (items.len(), json!(items));
    let fields = [
        ("action", json!(action)),
        (id_name, id.into()),
        (name, items.clone()),
        ("items", items),
        ("total", total.into()),
        ("timestamp", timestamp().into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: &str) -> Value {
        json!({"status": "running", "providerRouter": {"state": state, "port": 3001, "running": state == "running", "error": null},
               "qwenProxy": {"state": "running"}})
    }

    #[test]
    fn the_status_is_wrapped() {
        let event = proxy_status(status("running"));
        assert_eq!(event["status"]["providerRouter"]["port"], 3001);
        assert_eq!(event["timestamp"], event["status"]["timestamp"]);
    }

    #[test]
    fn the_first_login_event_has_more_fields() {
        for (valid, expires_at, exists, expired) in [
            (false, Value::Null, false, false),
            (true, Value::Null, true, false),
            (true, json!(9), true, false),
            (false, json!(9), true, true),
        ] {
            let status = json!({"credentials": {"valid": valid, "expiresAt": expires_at}});
            let told = snapshot(status)["status"]["credentials"].clone();
            let expected =
                json!({"valid": valid, "expiresAt": expires_at, "hasCredentials": exists, "isExpired": expired});
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn only_the_router_has_lifecycle_events() {
        let router = lifecycle(status("running"), true);
        assert_eq!(
            router["lifecycle"],
            json!({"process": "providerRouter", "state": "running", "port": 3001, "running": true, "error": null})
        );
        assert_eq!(router["qwenProxy"]["state"], "running");
        assert_eq!(lifecycle(status("stopped"), true)["lifecycle"]["port"], Value::Null);
        assert!(lifecycle(status("running"), false).get("lifecycle").is_none());
    }

    #[test]
    fn secrets_of_settings_are_masked() {
        assert_eq!(setting(Action::Updated, "webhook.secret", Some("s"), false)["value"], MASK);
        assert_eq!(setting(Action::Updated, "server.port", Some("1"), true)["value"], "1");
    }
}

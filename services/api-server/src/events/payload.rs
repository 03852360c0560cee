//! Shapes of the events.

use serde::Serialize;
use serde_json::{Value, json};
use signalbox_core::schema::Provider;
use signalbox_core::secret::{MASK, is_sensitive_key};
use signalbox_management::ModelView;
use signalbox_management::live::{BreakerChange, PromptCacheFall};
use signalbox_store::requests::NewRequest;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::changes::Action;

pub(super) const PROXY_STATUS: &str = "proxy:status";
pub(super) const LIFECYCLE: &str = "lifecycle:update";
pub(super) const PROVIDERS: &str = "providers:updated";
pub(super) const MODELS: &str = "models:updated";
pub(super) const CREDENTIALS: &str = "credentials:updated";
pub(super) const SETTINGS: &str = "settings:updated";
pub(super) const ROUTES: &str = "routes:updated";
pub(super) const KEYS: &str = "keys:updated";
pub(super) const PRICES: &str = "prices:updated";
pub(super) const BREAKERS: &str = "breakers:changed";
pub(super) const PROMPT_CACHE: &str = "prompt-cache:fell";
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

/// `providers:updated`: a provider has changed. Lists appear under two names, for two generations of dashboards.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProvidersUpdated<'a> {
    action: Action,
    provider_id: &'a str,
    providers: &'a [Provider],
    items: &'a [Provider],
    total: usize,
    /// Number of enabled providers.
    enabled: usize,
    timestamp: String,
}

/// `models:updated`: a model has changed. Lists appear under two names, for two generations of dashboards.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelsUpdated<'a> {
    action: Action,
    model_id: &'a str,
    models: &'a [ModelView],
    items: &'a [ModelView],
    total: usize,
    timestamp: String,
}

/// `routes:updated`: a route has changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoutesUpdated<'a> {
    action: Action,
    route_id: &'a str,
    /// Number of routes.
    total: usize,
    timestamp: String,
}

/// `keys:updated`: a client key has changed, was rotated or revoked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeysUpdated<'a> {
    action: Action,
    key_id: &'a str,
    /// Number of keys.
    total: usize,
    timestamp: String,
}

/// `prices:updated`: the operator's prices have changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PricesUpdated {
    action: Action,
    timestamp: String,
}

/// `credentials:updated`: the logins at chat.qwen.ai have changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialsUpdated {
    action: Action,
    credentials: ActiveLogin,
    timestamp: String,
}

/// The active login.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ActiveLogin {
    valid: bool,
    /// Unix seconds.
    expires_at: Option<i64>,
}

/// `settings:updated`: a setting has changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingsUpdated<'a> {
    action: Action,
    key: &'a str,
    /// Null if the setting was reset to its default; a mask if it is a secret.
    value: Option<&'a str>,
    requires_restart: bool,
    timestamp: String,
}

/// `requests:new`: requests have arrived.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestsNew<'a> {
    /// Number of requests since the last such event.
    count: i64,
    /// The newest of them.
    requests: &'a [NamedRequest],
    timestamp: String,
}

/// A request without its bodies, which the API has.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct NamedRequest {
    id: i64,
    request_id: String,
    session_id: String,
    timestamp: i64,
    model: String,
    stream: bool,
    status: &'static str,
    provider_id: Option<String>,
}

/// `breakers:changed`: breakers of targets have opened, closed, or let a request through.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BreakersChanged<'a> {
    /// Number of changes since the last such event.
    count: u64,
    /// The newest of them, at most 50, the newest last.
    changes: &'a [BreakerChange],
    /// Number of alerts of any kind that the router could not keep.
    missed: u64,
    timestamp: String,
}

/// `prompt-cache:fell`: providers had less of prompts in their caches than of the turns before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PromptCacheFell<'a> {
    /// Number of falls since the last such event.
    count: u64,
    /// The newest of them, at most 50, the newest last.
    falls: &'a [PromptCacheFall],
    timestamp: String,
}

/// Returns the shapes of events, from which pages generate their types, with the schemas that they refer to.
pub(crate) fn schemas() -> Vec<(String, RefOr<Schema>)> {
    fn add<T: ToSchema>(all: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(all);
        all.push((T::name().into_owned(), T::schema()));
    }
    let mut all = Vec::new();
    add::<ProvidersUpdated<'static>>(&mut all);
    add::<ModelsUpdated<'static>>(&mut all);
    add::<RoutesUpdated<'static>>(&mut all);
    add::<KeysUpdated<'static>>(&mut all);
    add::<PricesUpdated>(&mut all);
    add::<CredentialsUpdated>(&mut all);
    add::<SettingsUpdated<'static>>(&mut all);
    add::<RequestsNew<'static>>(&mut all);
    add::<BreakersChanged<'static>>(&mut all);
    add::<PromptCacheFell<'static>>(&mut all);
    all
}

pub(super) fn providers(action: Action, id: &str, providers: &[Provider]) -> Value {
    value(&ProvidersUpdated {
        action,
        provider_id: id,
        providers,
        items: providers,
        total: providers.len(),
        enabled: providers.iter().filter(|provider| provider.enabled).count(),
        timestamp: timestamp(),
    })
}

pub(super) fn models(action: Action, id: &str, models: &[ModelView]) -> Value {
    value(&ModelsUpdated { action, model_id: id, models, items: models, total: models.len(), timestamp: timestamp() })
}

pub(super) fn route(action: Action, id: &str, total: usize) -> Value {
    value(&RoutesUpdated { action, route_id: id, total, timestamp: timestamp() })
}

pub(super) fn key(action: Action, id: &str, total: usize) -> Value {
    value(&KeysUpdated { action, key_id: id, total, timestamp: timestamp() })
}

pub(super) fn prices(action: Action) -> Value {
    value(&PricesUpdated { action, timestamp: timestamp() })
}

/// Builds a credentials event. `expires_at` is in Unix seconds.
pub(super) fn credentials(action: Action, valid: bool, expires_at: Option<i64>) -> Value {
    value(&CredentialsUpdated { action, credentials: ActiveLogin { valid, expires_at }, timestamp: timestamp() })
}

/// Removes the lists of providers and models, which are most of a status.
pub(super) fn without_catalogue(mut event: Value) -> Value {
    let is_wrapped = event.get("status").is_some_and(Value::is_object);
    let status = if is_wrapped { &mut event["status"] } else { &mut event };
    if let Some(fields) = status.as_object_mut() {
        fields.remove("providers");
        fields.remove("models");
    }
    event
}

/// Builds a settings event. `set` is `None` if the setting was reset to its default.
pub(super) fn setting(action: Action, key: &str, set: Option<&str>, requires_restart: bool) -> Value {
    let shown = set.map(|value| if is_sensitive_key(key) { MASK } else { value });
    value(&SettingsUpdated { action, key, value: shown, requires_restart, timestamp: timestamp() })
}

/// Builds an event for `count` requests since the last such event, with the newest of them in `requests`.
pub(super) fn requests(count: i64, requests: &[NamedRequest]) -> Value {
    value(&RequestsNew { count, requests, timestamp: timestamp() })
}

/// Builds an event for `count` changes of breakers, with the newest of them.
pub(super) fn breakers(count: u64, changes: &[BreakerChange], missed: u64) -> Value {
    value(&BreakersChanged { count, changes, missed, timestamp: timestamp() })
}

/// Builds an event for `count` falls of cached shares, with the newest of them.
pub(super) fn prompt_cache(count: u64, falls: &[PromptCacheFall]) -> Value {
    value(&PromptCacheFell { count, falls, timestamp: timestamp() })
}

/// Numbers, strings and lists can always be serialised.
fn value(event: &impl Serialize) -> Value {
    serde_json::to_value(event).unwrap_or_default()
}

// === impl NamedRequest ===

impl From<&NewRequest> for NamedRequest {
    fn from(request: &NewRequest) -> Self {
        Self {
            id: request.id,
            request_id: request.request_id.clone(),
            session_id: request.session_id.clone(),
            timestamp: request.timestamp,
            model: request.model.clone(),
            stream: request.stream,
            status: request.status.as_str(),
            provider_id: request.provider_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn events_have_the_fields_of_their_schemas() {
        let schemas = schemas();
        let check = |name: &str, event: Value| {
            let (_, schema) = schemas.iter().find(|(known, _)| known == name).unwrap();
            let schema = serde_json::to_value(schema).unwrap();
            let described: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
            let sent: BTreeSet<&String> = event.as_object().unwrap().keys().collect();
            assert_eq!(sent, described, "{name}");
        };
        check("ProvidersUpdated", providers(Action::Created, "p", &[]));
        check("ModelsUpdated", models(Action::Created, "m", &[]));
        check("RoutesUpdated", route(Action::Enabled, "r", 1));
        check("KeysUpdated", key(Action::Deleted, "k", 0));
        check("PricesUpdated", prices(Action::Updated));
        check("CredentialsUpdated", credentials(Action::Updated, true, None));
        check("SettingsUpdated", setting(Action::Updated, "logging.level", None, false));
        check("RequestsNew", requests(1, &[]));
        check("BreakersChanged", breakers(1, &[], 0));
        check("PromptCacheFell", prompt_cache(1, &[]));
    }

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
    fn the_catalogue_can_be_left_out() {
        let whole = json!({"status": "running", "providers": {"items": []}, "models": {"items": []}, "message": "m"});
        let short = without_catalogue(lifecycle(whole.clone(), false));
        assert_eq!((&short["status"], &short["message"]), (&json!("running"), &json!("m")));
        assert!(short.get("providers").is_none() && short.get("models").is_none(), "{short}");
        let short = without_catalogue(proxy_status(whole));
        assert_eq!(short["status"]["message"], "m");
        assert!(short["status"].get("providers").is_none() && short["status"].get("models").is_none(), "{short}");
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

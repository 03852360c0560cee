//! The known settings: their types, defaults and rules. Other keys are stored unchanged.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;
use serde_json::Value;
use signalbox_core::text::{NOT_A_LINE, NOT_PROSE, is_blank, is_line, is_prose};
use signalbox_daemon::config::LogLevel;
use signalbox_store::settings::{BUDGET_AMOUNT, BUDGET_OWNERS, BUDGET_PERIOD, BUDGET_UNPRICED};
use utoipa::ToSchema;

use super::budget;
use crate::App;
use crate::form::integer_of;

/// A known setting.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) key: &'static str,
    rule: Rule,
    pub(super) restart: bool,
    pub(super) description: &'static str,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = SettingForm)]
pub(super) struct Form {
    /// `integer`, `number`, `boolean`, `string` or `object`.
    pub(super) r#type: &'static str,
    /// The least number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) minimum: Option<i64>,
    /// The greatest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) maximum: Option<i64>,
    /// The allowed words.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    pub(super) r#enum: &'static [&'static str],
    /// `ms` for milliseconds, `usd` for dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) unit: Option<&'static str>,
}

/// The rule for a value, which also determines its default.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// A port; defaults to the port in the router's configuration.
    Port,
    /// A host; defaults to the host in the router's configuration.
    Host,
    /// A timeout in milliseconds.
    Timeout,
    Level,
    Switch {
        default: bool,
    },
    /// Any text; no default.
    Text,
    /// A budget of all requests together; no default.
    Amount,
    Period,
    /// Budgets of owners; no default.
    Owners,
    Unpriced,
}

/// All known settings.
pub(super) static ALL: [Known; 17] = [
    Known {
        key: "server.port",
        rule: Rule::Port,
        restart: true,
        description: "Port on which the router answers clients.",
    },
    Known {
        key: "server.host",
        rule: Rule::Host,
        restart: true,
        description: "Address on which the router listens. Addresses beyond this machine need a client key.",
    },
    Known {
        key: "server.timeout",
        rule: Rule::Timeout,
        restart: false,
        description: "Longest silence of a provider, before its answer and within it.",
    },
    Known {
        key: "server.answer_headers",
        rule: Rule::Switch { default: true },
        restart: false,
        description: "Whether answers name the provider, the model and the number of attempts in their headers.",
    },
    Known {
        key: "logging.level",
        rule: Rule::Level,
        restart: false,
        description: "Level of the logs of all services.",
    },
    Known {
        key: "logging.logRequests",
        rule: Rule::Switch { default: true },
        restart: false,
        description: "Whether the log keeps the bodies of requests.",
    },
    Known {
        key: "logging.logResponses",
        rule: Rule::Switch { default: true },
        restart: false,
        description: "Whether the log keeps the answers.",
    },
    Known {
        key: "system.autoStart",
        rule: Rule::Switch { default: false },
        restart: false,
        description: "Without effect: whether the services start with the system.",
    },
    Known {
        key: "system.minimizeToTray",
        rule: Rule::Switch { default: true },
        restart: false,
        description: "Without effect: whether the window is minimised to the tray.",
    },
    Known {
        key: "system.checkUpdates",
        rule: Rule::Switch { default: true },
        restart: false,
        description: "Without effect: whether updates are looked for.",
    },
    Known {
        key: "database.path",
        rule: Rule::Text,
        restart: true,
        description: "Without effect: file of the database.",
    },
    Known {
        key: "active_provider",
        rule: Rule::Text,
        restart: false,
        description: "Provider that is asked first for each model that it serves.",
    },
    Known {
        key: "active_model",
        rule: Rule::Text,
        restart: false,
        description: "Without effect: model of requests that name none.",
    },
    Known {
        key: BUDGET_AMOUNT,
        rule: Rule::Amount,
        restart: false,
        description: "Dollars that all requests together may cost in each period; 0 for no limit.",
    },
    Known { key: BUDGET_PERIOD, rule: Rule::Period, restart: false, description: "Period of the budget, in UTC." },
    Known {
        key: BUDGET_OWNERS,
        rule: Rule::Owners,
        restart: false,
        description: "Budgets of the owners of client keys, by owner: amount_usd and period.",
    },
    Known {
        key: BUDGET_UNPRICED,
        rule: Rule::Unpriced,
        restart: false,
        description: "Whether requests with an unknown price are allowed where a budget applies.",
    },
];

/// Maximum characters of a key.
const MAX_KEY: usize = 128;

/// The levels of logs.
const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// The allowed timeouts in milliseconds.
const TIMEOUT_RANGE_MS: std::ops::RangeInclusive<i64> = 1000..=600_000;

/// Returns whether a change of this setting takes effect only after a restart.
pub fn requires_restart(key: &str) -> bool {
    Known::of(key).is_some_and(|known| known.restart)
}

/// Returns the reason why a setting of the Node.js version has no effect any more, and its replacement.
pub(crate) fn deprecation(key: &str) -> Option<&'static str> {
    match key {
        "system.autoStart" => Some("It has no effect. Use `api-server service install` to start the services at boot."),
        "system.minimizeToTray" => Some("It has no effect: there is no tray icon."),
        "system.checkUpdates" => Some("It has no effect: Signalbox does not check for updates."),
        "database.path" => Some("It has no effect. Set the database at start with --db-path or --database-url."),
        "active_model" => Some("It has no effect. A request without a model uses the default of the active provider."),
        _ => None,
    }
}

/// Converts a stored value to the type of its key. The Node.js version stored numbers as doubles.
pub fn typed(key: &str, text: String) -> Value {
    match Known::of(key).map(|known| known.rule) {
        Some(Rule::Port | Rule::Timeout) => {
            let number: Option<Value> = serde_json::from_str(&text).ok();
            number.as_ref().and_then(integer_of).map_or(Value::String(text), Value::from)
        }
        Some(Rule::Switch { .. }) => text.parse().map_or(Value::String(text), Value::Bool),
        Some(Rule::Amount | Rule::Owners) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Some(Rule::Host | Rule::Level | Rule::Text | Rule::Period | Rule::Unpriced) | None => Value::String(text),
    }
}

/// Converts a value to the text to store: integers without decimals, booleans as `true` and `false`.
///
/// # Errors
/// Returns a description of the mistake if the key or the value is invalid.
pub fn text_of(key: &str, value: &Value) -> Result<String, String> {
    check_key(key)?;
    if value.is_null() {
        return Err("Setting value is required".to_owned());
    }
    match Known::of(key).map(|known| known.rule) {
        Some(Rule::Port) => port(value),
        Some(Rule::Host) => host(value),
        Some(Rule::Timeout) => timeout(value),
        Some(Rule::Level) => level(value),
        Some(Rule::Switch { .. }) => switch(key, value),
        Some(Rule::Amount) => budget::amount(value),
        Some(Rule::Period) => budget::period(value),
        Some(Rule::Owners) => budget::owners(value),
        Some(Rule::Unpriced) => budget::unpriced(value),
        Some(Rule::Text) if !value.is_string() => Err(format!("{key} must be a string")),
        Some(Rule::Text) => line(key, plain(value)),
        None if value.is_string() => prose(plain(value)),
        None => Ok(plain(value)),
    }
}

/// Checks the name of a setting.
pub(super) fn check_key(key: &str) -> Result<(), String> {
    if is_blank(key) {
        return Err("Setting key is required".to_owned());
    }
    if key.chars().count() > MAX_KEY {
        return Err(format!("Setting key must have at most {MAX_KEY} characters"));
    }
    if is_line(key) { Ok(()) } else { Err(format!("Setting key {NOT_A_LINE}")) }
}

fn line(key: &str, text: String) -> Result<String, String> {
    if is_line(&text) { Ok(text) } else { Err(format!("{key} {NOT_A_LINE}")) }
}

/// Checks the value of an unknown key, which may have several lines.
fn prose(text: String) -> Result<String, String> {
    if is_prose(&text) { Ok(text) } else { Err(format!("Setting value {NOT_PROSE}")) }
}

fn port(value: &Value) -> Result<String, String> {
    let port = integer(value).ok_or("Port must be an integer")?;
    if !(1..=65_535).contains(&port) {
        return Err("Port must be between 1 and 65535".to_owned());
    }
    Ok(port.to_string())
}

fn timeout(value: &Value) -> Result<String, String> {
    let timeout = integer(value).ok_or("Timeout must be an integer")?;
    if !TIMEOUT_RANGE_MS.contains(&timeout) {
        return Err("Timeout must be between 1000ms and 600000ms".to_owned());
    }
    Ok(timeout.to_string())
}

fn level(value: &Value) -> Result<String, String> {
    match value.as_str() {
        Some(level) if level.parse::<LogLevel>().is_ok() => Ok(level.to_owned()),
        // The error text of the Node.js version, which had no `trace`; its clients may match it.
        _ => Err("Log level must be one of: debug, info, warn, error".to_owned()),
    }
}

fn switch(key: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::Bool(value) => Ok(value.to_string()),
        Value::String(text) if text == "true" || text == "false" => Ok(text.clone()),
        _ => Err(format!("{key} must be a boolean")),
    }
}

fn host(value: &Value) -> Result<String, String> {
    let host =
        value.as_str().map(str::trim).filter(|host| !host.is_empty()).ok_or("Host must be a non-empty string")?;
    if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return match host.parse::<Ipv4Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) if host.split('.').count() == 4 => {
                Err("Invalid IP address. Each octet must be between 0-255.".to_owned())
            }
            Err(_) => Err("Invalid host format".to_owned()),
        };
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return Ok(address.to_string());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() <= 253 && host.split('.').all(label) {
        Ok(host.to_owned())
    } else {
        Err("Invalid host format".to_owned())
    }
}

/// Returns an integer, which may be given as text, because forms send text.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => integer_of(other),
    }
}

/// Returns a text unchanged, and every other value as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(_) => integer_of(value).map_or_else(|| value.to_string(), |integer| integer.to_string()),
        other => other.to_string(),
    }
}

// === impl Known ===

impl Known {
    pub(super) fn of(key: &str) -> Option<&'static Self> {
        ALL.iter().find(|known| known.key == key)
    }

    /// Returns the form of values.
    pub(super) fn form(&self) -> Form {
        let of = |r#type| Form { r#type, ..Form::default() };
        let word = |words| Form { r#enum: words, ..of("string") };
        let number = |form: Form, minimum, maximum| Form { minimum: Some(minimum), maximum: Some(maximum), ..form };
        match self.rule {
            Rule::Port => number(of("integer"), 1, 65_535),
            Rule::Timeout => {
                let form = number(of("integer"), *TIMEOUT_RANGE_MS.start(), *TIMEOUT_RANGE_MS.end());
                Form { unit: Some("ms"), ..form }
            }
            Rule::Amount => Form { unit: Some("usd"), ..number(of("number"), 0, budget::MAX_AMOUNT) },
            Rule::Switch { .. } => of("boolean"),
            Rule::Host | Rule::Text => of("string"),
            Rule::Owners => of("object"),
            Rule::Level => word(&LEVELS),
            Rule::Period => word(&budget::PERIODS),
            Rule::Unpriced => word(&budget::UNPRICED),
        }
    }

    pub(super) fn default(&self, app: &App) -> Option<Value> {
        match self.rule {
            Rule::Port => Some(app.router_port.into()),
            Rule::Host => Some(app.router_host.as_str().into()),
            Rule::Timeout => Some(120_000.into()),
            Rule::Level => Some("info".into()),
            Rule::Switch { default } => Some(default.into()),
            Rule::Text | Rule::Amount | Rule::Period | Rule::Owners | Rule::Unpriced => None,
        }
    }
}

#[cfg(test)]
mod tests;

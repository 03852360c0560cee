//! The known settings: their types, defaults and rules. Other keys are stored unchanged.

use std::net::Ipv4Addr;

use serde_json::Value;
use signalbox_core::text::{NOT_A_LINE, NOT_PROSE, is_blank, is_line, is_prose};
use signalbox_daemon::config::LogLevel;
use signalbox_store::settings::{BUDGET_AMOUNT, BUDGET_OWNERS, BUDGET_PERIOD, BUDGET_UNPRICED};

use super::budget;
use crate::App;
use crate::form::integer_of;

/// A known setting.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) key: &'static str,
    rule: Rule,
    restart: bool,
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
pub(super) const ALL: [Known; 17] = [
    Known { key: "server.port", rule: Rule::Port, restart: true },
    Known { key: "server.host", rule: Rule::Host, restart: true },
    Known { key: "server.timeout", rule: Rule::Timeout, restart: false },
    Known { key: "server.answer_headers", rule: Rule::Switch { default: true }, restart: false },
    Known { key: "logging.level", rule: Rule::Level, restart: false },
    Known { key: "logging.logRequests", rule: Rule::Switch { default: true }, restart: false },
    Known { key: "logging.logResponses", rule: Rule::Switch { default: true }, restart: false },
    Known { key: "system.autoStart", rule: Rule::Switch { default: false }, restart: false },
    Known { key: "system.minimizeToTray", rule: Rule::Switch { default: true }, restart: false },
    Known { key: "system.checkUpdates", rule: Rule::Switch { default: true }, restart: false },
    Known { key: "database.path", rule: Rule::Text, restart: true },
    Known { key: "active_provider", rule: Rule::Text, restart: false },
    Known { key: "active_model", rule: Rule::Text, restart: false },
    Known { key: BUDGET_AMOUNT, rule: Rule::Amount, restart: false },
    Known { key: BUDGET_PERIOD, rule: Rule::Period, restart: false },
    Known { key: BUDGET_OWNERS, rule: Rule::Owners, restart: false },
    Known { key: BUDGET_UNPRICED, rule: Rule::Unpriced, restart: false },
];

/// Maximum characters of a key.
const MAX_KEY: usize = 128;

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
    if is_blank(key) {
        return Err("Setting key is required".to_owned());
    }
    if key.chars().count() > MAX_KEY {
        return Err(format!("Setting key must have at most {MAX_KEY} characters"));
    }
    if !is_line(key) {
        return Err(format!("Setting key {NOT_A_LINE}"));
    }
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
        /// A copy of the table with a static address.
        static TABLE: [Known; 17] = ALL;
        TABLE.iter().find(|known| known.key == key)
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
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_mistake_has_its_message() {
        for (key, value, message) in [
            ("server.port", json!("x"), "Port must be an integer"),
            ("server.port", json!(3001.5), "Port must be an integer"),
            ("server.port", json!(0), "Port must be between 1 and 65535"),
            ("server.port", json!(65536), "Port must be between 1 and 65535"),
            ("server.host", json!(" "), "Host must be a non-empty string"),
            ("server.host", json!(1), "Host must be a non-empty string"),
            ("server.host", json!("a b"), "Invalid host format"),
            ("server.host", json!("1.2.3"), "Invalid host format"),
            ("server.host", json!("256.0.0.1"), "Invalid IP address. Each octet must be between 0-255."),
            ("server.timeout", json!("soon"), "Timeout must be an integer"),
            ("server.timeout", json!(999), "Timeout must be between 1000ms and 600000ms"),
            ("logging.level", json!("loud"), "Log level must be one of: debug, info, warn, error"),
            ("logging.logRequests", json!("maybe"), "logging.logRequests must be a boolean"),
            ("active_model", json!(7), "active_model must be a string"),
            ("budget.period", json!("year"), "budget.period must be one of: day, week, month, total"),
            (
                "active_provider",
                json!("a\nb"),
                "active_provider must not contain line breaks or other control characters",
            ),
            ("a\nb", json!(1), "Setting key must not contain line breaks or other control characters"),
            (
                "anything",
                json!("a\0b"),
                "Setting value must not contain control characters other than tabs and line breaks",
            ),
            ("anything", json!(null), "Setting value is required"),
            (" ", json!(1), "Setting key is required"),
        ] {
            assert_eq!(text_of(key, &value).unwrap_err(), message, "{key} {value}");
        }
    }

    #[test]
    fn values_are_stored_as_plain_text() {
        for (key, value, text) in [
            ("server.port", json!(3001.0), "3001"),
            ("server.port", json!("3001"), "3001"),
            ("server.host", json!("localhost"), "localhost"),
            ("server.host", json!("0.0.0.0"), "0.0.0.0"),
            ("server.host", json!("my-box.lan"), "my-box.lan"),
            ("system.autoStart", json!(true), "true"),
            ("anything", json!(2.0), "2"),
            ("anything", json!(2.5), "2.5"),
            ("anything", json!({"a": [1]}), "{\"a\":[1]}"),
            ("anything", json!("two\nlines"), "two\nlines"),
            ("logging.level", json!("trace"), "trace"),
        ] {
            assert_eq!(text_of(key, &value).unwrap(), text, "{key} {value}");
        }
    }

    #[test]
    fn only_known_keys_are_deprecated() {
        let deprecated: Vec<&str> =
            ALL.iter().map(|known| known.key).filter(|key| deprecation(key).is_some()).collect();
        let expected =
            ["system.autoStart", "system.minimizeToTray", "system.checkUpdates", "database.path", "active_model"];
        assert_eq!(deprecated, expected);
    }

    #[test]
    fn known_keys_are_returned_with_their_type() {
        assert_eq!(typed("server.port", "3001.0".to_owned()), json!(3001));
        assert_eq!(typed("logging.logRequests", "false".to_owned()), json!(false));
        assert_eq!(typed("anything", "7".to_owned()), json!("7"));
        assert_eq!(typed("budget.amount_usd", "12.5".to_owned()), json!(12.5));
        assert_eq!(typed("budget.owners", "{}".to_owned()), json!({}));
    }
}

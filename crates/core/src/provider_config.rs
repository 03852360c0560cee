//! Validates the row and the configuration of a provider.
//!
//! The REST API, configuration documents, the command line and the import of old installations all use these functions,
//! so that a value accepted by one of them is accepted by the others and by the router. Every function is pure; the
//! caller's [`AddressRule`] decides which addresses may be called.
//!
//! # Invariants
//! - The router can load every accepted value.
//! - Validating an accepted value again returns it unchanged.
//! - No message contains a value, which may be a secret; names of headers and keys are quoted.

mod api_keys;
mod base_url;
mod proxy;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use api_keys::{API_KEYS, DEFAULT_KEY, MAX_KEY_NAME, MAX_KEYS, check_key_name, masked, with_stored};

use crate::Api;
pub use crate::mistake::Mistake;
use crate::rate_limits;
use crate::secret::is_sensitive_key;
use crate::text::{NOT_A_LINE, is_line, quoted};

/// Maximum characters of a configuration key.
pub const MAX_KEY: usize = 128;

/// Maximum milliseconds of `timeout` and `delay`: one day.
pub const MAX_MILLIS: u64 = 86_400_000;

/// Maximum characters of a provider type.
const MAX_TYPE: usize = 64;

/// Maximum bytes of a header name.
const MAX_HEADER_NAME: usize = 256;

/// Headers that are specific to one connection or frame its messages. The HTTP client sets or removes them.
const CONNECTION_HEADERS: [&str; 8] =
    ["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"];

/// Decides whether a well-formed base URL may be called; the error is the reason why not.
pub type AddressRule<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// Checks the type of a provider.
///
/// # Errors
/// Returns the mistake if the type is invalid.
pub fn check_type(kind: &str) -> Result<(), Mistake> {
    let mistake = |what: &str| Err(Mistake { path: "type".to_owned(), what: what.to_owned() });
    let is_word = (1..=MAX_TYPE).contains(&kind.len())
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_word {
        return mistake("must be one word of letters, digits and hyphens, such as openai or openai-compatible");
    }
    if kind == "qwen-direct" {
        return mistake(
            "qwen-direct is not available: use dashscope with an API key, or qwen-proxy with a login at chat.qwen.ai",
        );
    }
    Ok(())
}

/// Checks the name of a configuration key.
///
/// # Errors
/// Returns the mistake if the name is invalid.
pub fn check_key(key: &str) -> Result<(), Mistake> {
    if !is_line(key) {
        return Err(Mistake { path: path_of(key), what: NOT_A_LINE.to_owned() });
    }
    if key.trim().is_empty() || key.chars().count() > MAX_KEY {
        let what = format!("keys must have 1 to {MAX_KEY} characters");
        return Err(Mistake { path: "config".to_owned(), what });
    }
    Ok(())
}

/// Checks the value of a key and returns it in the form to store: trimmed, and numbers as numbers.
///
/// # Errors
/// Returns all mistakes; more than one is possible only for `headers` and `apiKeys`.
pub fn check_value(key: &str, value: Value, address: AddressRule<'_>) -> Result<Value, Vec<Mistake>> {
    let checked = match key {
        "baseURL" => text(value).and_then(|url| base_url::check(url, address)),
        "apiKey" => api_key(value),
        API_KEYS => return api_keys::check(value),
        "proxy" => text(value).and_then(|proxy| proxy::check(proxy, address)),
        "caFile" | "clientCert" | "clientKey" => text(value).and_then(file),
        "timeout" | "delay" => millis(&value),
        "logBodies" => log_bodies(value),
        "apis" => apis(value),
        "streamUsage" => stream_usage(value),
        "defaultModel" => text(value).and_then(line),
        "headers" => return headers(value),
        "limits" => return limits(value),
        _ => other(value),
    };
    checked.map_err(|what| vec![Mistake { path: path_of(key), what }])
}

/// Checks the configuration of the link between a provider and a model.
///
/// # Errors
/// Returns the first mistake.
pub fn check_link(config: &Map<String, Value>) -> Result<(), Mistake> {
    let mistake = |path: &str, what: &str| Err(Mistake { path: path.to_owned(), what: what.to_owned() });
    match config.get("upstream_model") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) if !name.trim().is_empty() && is_line(name) => {}
        Some(_) => {
            return mistake("config.upstream_model", "must be the provider's name for the model, as text on one line");
        }
    }
    if config.iter().all(|(key, value)| is_line(key) && is_sendable(value)) {
        Ok(())
    } else {
        mistake("config", NOT_A_LINE)
    }
}

/// Returns the path of an arbitrary key, quoted for an error message.
fn path_of(key: &str) -> String {
    format!("config.{}", quoted(key))
}

/// Returns a trimmed text; refuses other types.
fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Null => Err(NULL.to_owned()),
        _ => Err("must be text".to_owned()),
    }
}

const NULL: &str = "must not be null: delete the key instead";

fn line(text: String) -> Result<Value, String> {
    if is_line(&text) { Ok(text.into()) } else { Err(NOT_A_LINE.to_owned()) }
}

/// Checks an API key. An empty one means that there is no key.
fn api_key(value: Value) -> Result<Value, String> {
    // A key of digits may be given as a number; secrets are read back as text.
    let key = match value {
        Value::Number(number) => number.to_string(),
        other => text(other)?,
    };
    let first = key.split_ascii_whitespace().next().unwrap_or_default();
    if first.eq_ignore_ascii_case("bearer") {
        return Err("must be the key alone: remove the word Bearer, which is added automatically".to_owned());
    }
    not_a_reference(&key)?;
    if ['"', '\''].iter().any(|quote| key.len() > 1 && key.starts_with(*quote) && key.ends_with(*quote)) {
        return Err("must be the key alone: remove the quotes around it".to_owned());
    }
    // Lists, exports and the audit log show asterisks in place of a key.
    if key.starts_with("***") {
        return Err("must be the key itself: asterisks stand for a key that is not shown".to_owned());
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be one word of ASCII characters, without blanks or line breaks".to_owned());
    }
    Ok(key.into())
}

/// Checks the path of a file. The services may have other working directories than their user.
fn file(path: String) -> Result<Value, String> {
    not_a_reference(&path)?;
    if path.is_empty() || is_line(&path) && std::path::Path::new(&path).is_absolute() {
        Ok(path.into())
    } else {
        Err("must be the absolute path of a PEM file on the machine of the router".to_owned())
    }
}

fn millis(value: &Value) -> Result<Value, String> {
    let number = match value {
        Value::Null => return Err(NULL.to_owned()),
        Value::Number(number) => number.as_u64().or_else(|| integral(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| (1..=MAX_MILLIS).contains(number)).map(Value::from).ok_or_else(|| {
        format!("must be a whole number of milliseconds from 1 to {MAX_MILLIS}, such as 120000 for two minutes")
    })
}

/// Converts an integral float. JSON has only one number type, and some writers append `.0` to integers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn integral(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..1e15).contains(&number)).then_some(number as u64)
}

fn log_bodies(value: Value) -> Result<Value, String> {
    let word = text(value)?;
    if matches!(&*word, "" | "full" | "redact" | "off") {
        Ok(word.into())
    } else {
        Err("must be full, redact or off".to_owned())
    }
}

fn apis(value: Value) -> Result<Value, String> {
    let listed = text(value)?;
    match Api::parse_list(&listed) {
        Ok(_) => Ok(listed.into()),
        Err(_) if listed.is_empty() => Ok(listed.into()),
        Err(_) => Err("must list chat, messages and responses, separated by commas".to_owned()),
    }
}

fn stream_usage(value: Value) -> Result<Value, String> {
    let word = text(value)?;
    if matches!(&*word, "" | "ask" | "client") { Ok(word.into()) } else { Err("must be ask or client".to_owned()) }
}

fn other(value: Value) -> Result<Value, String> {
    match value {
        Value::Null => Err(NULL.to_owned()),
        value if is_sendable(&value) => Ok(value),
        _ => Err(NOT_A_LINE.to_owned()),
    }
}

/// Checks the object of headers. The object may be given as JSON text; an empty text means that there are no headers.
fn headers(value: Value) -> Result<Value, Vec<Mistake>> {
    let given = match value {
        Value::String(text) if text.trim().is_empty() => Some(Map::new()),
        Value::String(text) => serde_json::from_str(&text).ok(),
        Value::Object(given) => Some(given),
        Value::Null => return Err(vec![Mistake { path: path_of("headers"), what: NULL.to_owned() }]),
        _ => None,
    };
    let Some(given) = given else {
        let what = "must be an object of header names and text values, such as {\"X-Team\": \"blue\"}".to_owned();
        return Err(vec![Mistake { path: path_of("headers"), what }]);
    };
    let (mut headers, mut mistakes, mut names) = (Map::new(), Vec::new(), BTreeSet::new());
    for (name, value) in given {
        let checked = header_name(&name).and_then(|()| {
            if names.insert(name.to_ascii_lowercase()) {
                header_value(value)
            } else {
                Err("is given twice: header names are case-insensitive".to_owned())
            }
        });
        match checked {
            Ok(value) => drop(headers.insert(name, value.into())),
            Err(what) => mistakes.push(Mistake { path: format!("config.headers.{}", quoted(&name)), what }),
        }
    }
    if mistakes.is_empty() { Ok(headers.into()) } else { Err(mistakes) }
}

/// Checks the limits of a provider. The object may be given as JSON text; an empty text means that there are none.
fn limits(value: Value) -> Result<Value, Vec<Mistake>> {
    let path = path_of("limits");
    let given = match value {
        Value::String(text) if text.trim().is_empty() => Some(Map::new()),
        Value::String(text) => serde_json::from_str(&text).ok(),
        Value::Object(given) => Some(given),
        Value::Null => return Err(vec![Mistake { path, what: NULL.to_owned() }]),
        _ => None,
    };
    match given {
        Some(given) => rate_limits::of_provider(path, given),
        None => {
            let what = "must be an object with rpm, tpm and concurrency, such as {\"rpm\": 60}".to_owned();
            Err(vec![Mistake { path, what }])
        }
    }
}

/// Checks the name of a header (a token of RFC 9110).
fn header_name(name: &str) -> Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !(1..=MAX_HEADER_NAME).contains(&name.len()) || !name.bytes().all(is_token) {
        return Err("must have a header name: letters, digits and hyphens, without blanks or colons".to_owned());
    }
    let lower = name.to_ascii_lowercase();
    if CONNECTION_HEADERS.contains(&&*lower) || lower.starts_with("proxy-") {
        return Err("must be left out: the router sets this header for each request".to_owned());
    }
    Ok(())
}

fn header_value(value: Value) -> Result<String, String> {
    let Value::String(text) = value else { return Err("must be text".to_owned()) };
    let text = text.trim();
    not_a_reference(text)?;
    if is_line(text) { Ok(text.to_owned()) } else { Err(NOT_A_LINE.to_owned()) }
}

/// Refuses an unresolved reference to a secret, which would be sent to the provider literally.
fn not_a_reference(text: &str) -> Result<(), String> {
    if text.contains("${env:") || text.contains("${file:") {
        return Err(
            "must not be a reference: only `api-server config apply` resolves those, `provider-router provider` takes \
            --set-env or --set-file"
                .to_owned(),
        );
    }
    Ok(())
}

/// Returns whether every text in a value is a single line. Most texts are sent in headers and URLs, where a line break
/// would start a new field.
fn is_sendable(value: &Value) -> bool {
    match value {
        Value::String(text) => is_line(text),
        Value::Array(items) => items.iter().all(is_sendable),
        Value::Object(fields) => fields.iter().all(|(name, value)| is_line(name) && is_sendable(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Converts a text to the value of a key, for sources that only have texts: command-line flags and variable files.
///
/// `kind` is the type of the field as in [`crate::provider_type::Field::kind`]; `None` for a key that is in no form.
#[must_use]
pub fn value_of_text(key: &str, kind: Option<&str>, text: &str) -> Value {
    match kind {
        // Keeps the text: `check_value` parses numbers and objects in texts.
        Some(_) => text.into(),
        // An unknown secret is a text, even if it looks like a number.
        None if is_sensitive_key(key) => text.into(),
        None => serde_json::from_str(text).ok().filter(|value: &Value| !value.is_null()).unwrap_or_else(|| text.into()),
    }
}

#[cfg(test)]
mod tests;

//! The JSON formats in which services report errors.

use serde_json::{Map, Value};

use super::cut;

/// An error report in one of these formats:
///
/// | Format | Used by |
/// |---|---|
/// | `{"success":false,"data":{"code","details"}}`, `{"ret":[…]}` | chat.qwen.ai |
/// | `{"error":{"code","message"}}`, `{"error":"…"}`, `{"choices":[{"error":…}]}` | OpenAI and gateways to it |
/// | `[{"error":…}]` | Google |
/// | `{"code","message"}`, `{"object":"error",…}`, `{"detail":…}`, `{"error_message":…}`, `{"base_resp":{"status_code","status_msg"}}` | DashScope, vLLM, FastAPI and others |
#[derive(Debug)]
pub(super) struct Report<'a> {
    /// Value that contains the code and the message.
    source: &'a Value,
    /// The whole object, which may contain the message as well.
    top: &'a Map<String, Value>,
}

/// Members that may contain the message, in order of preference.
const MESSAGE_FIELDS: [&str; 9] =
    ["details", "message", "msg", "detail", "status_msg", "error_message", "error_msg", "code", "ret"];

/// Parses a JSON text. An unpaired surrogate loses only that character, not the text.
pub(super) fn parse(text: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\u{FEFF}');
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&without_surrogates(text))).ok()
}

/// Replaces each escape of an unpaired surrogate by U+FFFD.
fn without_surrogates(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let escape = rest.get(at..at + 6).unwrap_or_default();
        let is_half = escape.starts_with("\\u") && matches!(escape.as_bytes().get(2), Some(b'd' | b'D'));
        let is_half = is_half && matches!(escape.as_bytes().get(3), Some(b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F'));
        // Skip an escaped backslash, which does not begin another escape.
        let length = if is_half { 6 } else { rest.len().min(at + 2) - at };
        let end = (at + length..=rest.len()).find(|end| rest.is_char_boundary(*end)).unwrap_or(rest.len());
        plain.push_str(if is_half { &rest[..at] } else { &rest[..end] });
        plain.push_str(if is_half { "\\ufffd" } else { "" });
        rest = &rest[end..];
    }
    plain + rest
}

/// Returns `true` if a member has a value other than `null`, `""`, `false`, `0`, `[]` or `{}`.
fn is_set(value: &&Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

// === impl Report ===

impl<'a> Report<'a> {
    /// Interprets `value` as an error report; `None` if it reports no error.
    pub(super) fn read(value: &'a Value) -> Option<Self> {
        let value = if value.is_array() { value.get(0).filter(|first| first.get("error").is_some())? } else { value };
        let top = value.as_object()?;
        let set = |name: &str| top.get(name).filter(is_set);
        let choice = value.pointer("/choices/0");
        if let Some(source) = set("error").or_else(|| choice?.get("error").filter(is_set)) {
            return Some(Self { source, top });
        }
        let is_false = |value: &Value| *value == Value::Bool(false) || value.as_str() == Some("false");
        if top.get("success").is_some_and(is_false) {
            return Some(Self { source: set("data").unwrap_or(value), top });
        }
        if let Some(ret) = set("ret").filter(|ret| !ret.to_string().contains("SUCCESS")) {
            return Some(Self { source: ret, top });
        }
        if choice.and_then(|choice| choice.get("finish_reason")).and_then(Value::as_str) == Some("error") {
            return Some(Self { source: value, top });
        }
        if let Some(base) = set("base_resp").filter(|base| base.get("status_code").as_ref().is_some_and(is_set)) {
            return Some(Self { source: base, top });
        }
        let is_answer = ["choices", "data", "response.created", "usage"].into_iter().any(|name| set(name).is_some());
        let names_error = ["error_message", "error_msg", "detail"].into_iter().any(|name| set(name).is_some())
            || set("message").is_some() && ["code", "status_code", "type"].into_iter().any(|name| set(name).is_some())
            || top.get("object").and_then(Value::as_str) == Some("error");
        (names_error && !is_answer).then_some(Self { source: value, top })
    }

    /// Returns the message for the user.
    pub(super) fn words(&self) -> Option<String> {
        let ret = || self.top.get("ret").and_then(words);
        words(self.source).or_else(ret).or_else(|| MESSAGE_FIELDS.iter().find_map(|name| words(self.top.get(*name)?)))
    }

    /// Returns the error code.
    pub(super) fn code(&self) -> Option<&'a str> {
        self.source.get("code").and_then(Value::as_str)
    }

    /// Returns the HTTP status contained in the report.
    pub(super) fn status(&self) -> Option<u16> {
        let names = ["code", "status_code", "status", "http_status"];
        let number = |value: &Value| match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let status = |place: &dyn Fn(&str) -> Option<&'a Value>| {
            names.iter().find_map(|name| number(place(name)?).filter(|status| (400..600).contains(status)))
        };
        let found = status(&|name| self.source.get(name)).or_else(|| status(&|name| self.top.get(name)))?;
        u16::try_from(found).ok()
    }

    /// Returns the number of hours the site asks to wait.
    pub(super) fn wait_hours(&self) -> Option<u64> {
        self.source.get("num").and_then(Value::as_u64)
    }
}

/// Returns the message in a value. The recursion depth is bounded by serde_json's limit on nesting.
fn words(value: &Value) -> Option<String> {
    let said = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(parts) => parts.iter().filter_map(words).collect::<Vec<_>>().join(", "),
        Value::Object(members) => MESSAGE_FIELDS.iter().find_map(|name| words(members.get(*name)?))?,
        Value::Null | Value::Bool(_) => return None,
    };
    (!said.is_empty()).then(|| cut(&said))
}

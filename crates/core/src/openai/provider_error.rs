//! Parses errors in every format that providers are known to send.
//!
//! OpenAI's format is `{"error": {"message", "type", "code"}}`. Other providers put a string or a number in place of
//! the object, wrap it in an array, or report errors with status 200 and fields of their own.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::ErrorObject;
use crate::json::Reader;

/// Maximum length of a value in bytes; a longer one is quoted as text without being parsed.
const MAX_PARSED_VALUE: usize = 1 << 20;

/// Fields that hold a message for the user, the most useful first.
const MESSAGE_FIELDS: [&str; 9] =
    ["message", "msg", "error_message", "error_msg", "errorMessage", "error_description", "detail", "reason", "title"];
/// Fields that hold a machine-readable reason.
const CODE_FIELDS: [&str; 4] = ["code", "error_code", "errorCode", "status"];
/// Fields that may hold an HTTP status.
const STATUS_FIELDS: [&str; 7] =
    ["code", "status", "status_code", "statusCode", "http_code", "http_status", "error_code"];
/// The other fields of a document that are read.
const OTHER_FIELDS: [&str; 8] = ["error", "errors", "base_resp", "type", "object", "success", "choices", "id"];

/// HTTP statuses of known reason words, for errors without a status. Compared without case and punctuation.
const STATUS_OF_REASON: [(&str, u16); 46] = [
    ("invalidapikey", 401),
    ("authenticationerror", 401),
    ("unauthenticated", 401),
    ("unauthorized", 401),
    ("billingerror", 402),
    ("insufficientbalance", 402),
    ("arrearage", 402),
    ("permissionerror", 403),
    ("permissiondenied", 403),
    ("accessdenied", 403),
    ("forbidden", 403),
    ("modelaccessdenied", 403),
    ("modelnotfound", 404),
    ("notfounderror", 404),
    ("notfound", 404),
    ("timeout", 408),
    ("requesttimeout", 408),
    ("conflicterror", 409),
    ("requesttoolarge", 413),
    ("insufficientquota", 429),
    ("ratelimitexceeded", 429),
    ("ratelimiterror", 429),
    ("ratelimit", 429),
    ("resourceexhausted", 429),
    ("toomanyrequests", 429),
    ("throttling", 429),
    ("throttlingratequota", 429),
    ("throttlingallocationquota", 429),
    ("throttlingburstrate", 429),
    ("limitrequests", 429),
    ("contextlengthexceeded", 400),
    ("contentpolicyviolation", 400),
    ("contentfilter", 400),
    ("datainspectionfailed", 400),
    ("invalidparameter", 400),
    ("invalidargument", 400),
    ("failedprecondition", 400),
    ("invalidrequesterror", 400),
    ("badrequesterror", 400),
    ("badrequest", 400),
    ("unavailable", 503),
    ("serviceunavailable", 503),
    ("overloaded", 503),
    ("overloadederror", 529),
    ("timeouterror", 504),
    ("deadlineexceeded", 504),
];

/// HTTP statuses of MiniMax's `base_resp.status_code`.
const STATUS_OF_MINIMAX: [(i64, u16); 11] = [
    (1000, 500),
    (1001, 504),
    (1002, 429),
    (1004, 401),
    (1008, 402),
    (1013, 500),
    (1026, 400),
    (1027, 400),
    (1039, 429),
    (2013, 400),
    (2049, 401),
];

/// An error as the provider reported it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderError {
    /// The provider's message, or its JSON if it has no message.
    pub message: String,
    /// The HTTP status, 400 to 599: as reported, or derived from the code or the type.
    pub status: Option<u16>,
    /// The reason, such as `insufficient_quota` or `RESOURCE_EXHAUSTED`; a number is kept as text.
    pub code: Option<String>,
    /// The class, such as `invalid_request_error`.
    pub kind: Option<String>,
    /// The request field that caused the error.
    pub param: Option<String>,
}

/// Reads the error in a body or an event; `None` if it contains none or is not JSON.
///
/// A document with choices is an error only if a field says so explicitly; any other document also if it has a message,
/// a detail or a code.
#[must_use]
pub fn provider_error(body: &[u8]) -> Option<ProviderError> {
    let mut reader = Reader::lenient(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body));
    if reader.peek()? == b'[' {
        let mut found = None;
        reader.array(|element| {
            if found.is_none() && element.peek()? == b'{' {
                found = of_document(&read_document(element)?);
                return Some(());
            }
            element.skip()
        })?;
        reader.end()?;
        return found;
    }
    let document = read_document(&mut reader)?;
    reader.end()?;
    of_document(&document)
}

/// Reads the error in the value of a field `error`; `None` if the value means that there is no error.
pub(super) fn of_field(raw: &[u8]) -> Option<ProviderError> {
    let error = parse_if_small(raw)?;
    let mut found = ProviderError::default();
    (reports_error(&error) && !is_empty(&error)).then(|| found.read(&error))?;
    Some(found.complete(&error))
}

/// Returns the JSON value of the field `error` of an object.
pub(super) fn error_field(json: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    Reader::lenient(json).fields(|name, value| {
        let raw = value.raw()?;
        if name == "error" {
            found = Some(raw);
        }
        Some(())
    })?;
    found
}

/// Reads the fields of a document that are relevant here.
fn read_document(reader: &mut Reader<'_>) -> Option<Map<String, Value>> {
    let mut document = Map::new();
    reader.fields(|name, value| {
        let (name, raw) = (&*name, value.raw()?);
        if name == "choices" {
            // Only whether there are any choices is relevant.
            let filled = raw.first() == Some(&b'[') && raw[1..].trim_ascii_start().first() != Some(&b']');
            document.insert(name.to_owned(), Value::Bool(filled));
        } else if MESSAGE_FIELDS.contains(&name)
            || CODE_FIELDS.contains(&name)
            || STATUS_FIELDS.contains(&name)
            || OTHER_FIELDS.contains(&name)
        {
            document.insert(name.to_owned(), parse_if_small(raw)?);
        }
        Some(())
    })?;
    Some(document)
}

fn parse_if_small(raw: &[u8]) -> Option<Value> {
    if raw.len() > MAX_PARSED_VALUE {
        return Some(Value::String(String::from_utf8_lossy(&raw[..MAX_PARSED_VALUE]).into_owned()));
    }
    Reader::lenient(raw).value()
}

fn of_document(document: &Map<String, Value>) -> Option<ProviderError> {
    let field = |name: &str| document.get(name).unwrap_or(&Value::Null);
    let answers = *field("choices") == Value::Bool(true);
    let mut found = ProviderError::default();
    let base = field("base_resp");
    if let Some(code) = base.get("status_code").and_then(integer).filter(|code| *code != 0) {
        found.status = STATUS_OF_MINIMAX.iter().find(|(known, _)| *known == code).map(|(_, status)| *status);
        found.code = Some(code.to_string());
        found.message = base.get("status_msg").and_then(message_of).unwrap_or_default();
        return Some(found.complete(base));
    }
    let error = field("error");
    if reports_error(error) && !(answers && is_empty(error)) {
        found.read(error);
    } else if answers || !is_an_error(document) {
        return None;
    }
    found.fill(document);
    Some(found.complete(&Value::Object(document.clone())))
}

/// Returns whether a document without choices and without a field `error` still reports an error.
fn is_an_error(document: &Map<String, Value>) -> bool {
    let field = |name: &str| document.get(name).unwrap_or(&Value::Null);
    let says = |name: &str| message_of(field(name)).is_some();
    if field("object") == "error" || field("type") == "error" || *field("success") == Value::Bool(false) {
        return true;
    }
    if ["error_message", "error_msg", "errorMessage", "detail", "errors"].into_iter().any(says) {
        return true;
    }
    // Events of other kinds have an id, an object or a type, and may also have a message.
    let is_other = ["object", "type", "id"].into_iter().any(|name| document.contains_key(name));
    let has_status = STATUS_FIELDS.into_iter().any(|name| status(field(name)).is_some());
    !is_other && (says("message") || (says("msg") && has_code(document)) || has_status)
}

fn has_code(document: &Map<String, Value>) -> bool {
    CODE_FIELDS.into_iter().filter_map(|name| document.get(name)).any(|code| !matches!(integer(code), Some(0 | 200)))
}

/// Returns whether the value of a field `error` reports an error.
fn reports_error(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        _ => true,
    }
}

fn is_empty(error: &Value) -> bool {
    match error {
        Value::Object(fields) => fields.values().all(|value| !reports_error(value)),
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

/// Returns the text of a value: a string, the joined texts of a list, or the message of an object.
fn message_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Array(elements) => {
            let all: Vec<String> = elements.iter().filter_map(message_of).collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        Value::Object(fields) => {
            let place = fields.get("loc").and_then(Value::as_array).map(|path| {
                let path: Vec<String> = path.iter().filter_map(text_of).collect();
                path.join(".")
            });
            let said =
                MESSAGE_FIELDS.into_iter().chain(["error"]).find_map(|name| fields.get(name).and_then(message_of))?;
            Some(place.map_or_else(|| said.clone(), |place| format!("{place}: {said}")))
        }
        _ => None,
    }
}

/// Returns a string or a number as text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns a whole number, which may be written as a string.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Returns an HTTP status between 400 and 599, which may be written as a string or a float.
fn status(value: &Value) -> Option<u16> {
    let number = integer(value).or_else(|| {
        let float = value.as_f64()?;
        (400..600).find(|status| f64::from(*status) == float).map(i64::from)
    })?;
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// Returns the HTTP status of a known reason word.
fn status_of_reason(word: &str) -> Option<u16> {
    let word: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let known = STATUS_OF_REASON.iter().find(|(known, _)| *known == word);
    known.map(|(_, status)| *status)
}

// === impl ProviderError ===

impl ProviderError {
    /// Converts the error to the format of OpenAI's clients.
    #[must_use]
    pub fn to_object(&self) -> ErrorObject {
        ErrorObject {
            message: self.message.clone(),
            kind: self.kind.clone().map_or(Cow::Borrowed("upstream_error"), Cow::Owned),
            param: self.param.clone().map(Cow::Owned),
            code: self.code.clone().map(Cow::Owned),
        }
    }

    /// Reads the value of a field `error`.
    fn read(&mut self, error: &Value) {
        match error {
            Value::Object(fields) => {
                self.fill(fields);
                if let Some(inner @ Value::Object(_)) = fields.get("error") {
                    self.read(inner);
                }
            }
            Value::Array(elements) => {
                if let Some(first @ Value::Object(_)) = elements.first() {
                    self.read(first);
                }
                self.message = message_of(error).unwrap_or_default();
            }
            Value::String(text) => text.trim().clone_into(&mut self.message),
            Value::Number(_) => {
                self.status = status(error);
                self.code = text_of(error);
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Fills the fields that are still unknown from an object.
    fn fill(&mut self, fields: &Map<String, Value>) {
        let first = |names: &[&str], of: &dyn Fn(&Value) -> Option<String>| {
            names.iter().find_map(|name| fields.get(*name).and_then(of))
        };
        if self.message.is_empty() {
            self.message = first(&MESSAGE_FIELDS, &message_of)
                .or_else(|| fields.get("errors").and_then(message_of))
                .unwrap_or_default();
        }
        self.status =
            self.status.or_else(|| STATUS_FIELDS.into_iter().find_map(|name| fields.get(name).and_then(status)));
        if self.code.as_ref().is_none_or(|code| code.parse::<i64>().is_ok()) {
            // A word is more useful than a number.
            let word = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            let better = first(&CODE_FIELDS, &word).filter(|word| word != "error");
            self.code = better.or_else(|| self.code.take()).or_else(|| first(&CODE_FIELDS, &text_of));
        }
        let kind = fields.get("type").and_then(text_of).filter(|kind| kind != "error");
        self.kind = self.kind.take().or(kind);
        self.param = self.param.take().or_else(|| fields.get("param").and_then(text_of));
    }

    /// Completes the error: falls back to its JSON as message, and derives a missing status from its code or type.
    fn complete(mut self, error: &Value) -> Self {
        if self.message.is_empty() {
            self.message = error.to_string();
        }
        let known = |word: &Option<String>| word.as_deref().and_then(status_of_reason);
        self.status = self.status.or_else(|| known(&self.code)).or_else(|| known(&self.kind));
        self
    }
}

#[cfg(test)]
mod tests;

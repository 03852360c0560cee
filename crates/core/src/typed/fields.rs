//! Fields of events and answers.

use serde_json::Value;

use crate::json::Reader;

/// Returns the word for the end of a response: the reason why it is incomplete, or its status.
pub(super) fn finish_reason(response: &Value, is_complete: bool) -> String {
    let reason = response["incomplete_details"]["reason"].as_str();
    let word = reason.or_else(|| response["status"].as_str());
    word.unwrap_or(if is_complete { "completed" } else { "incomplete" }).to_owned()
}

/// Adds the fields of a later object to an earlier one. Null keeps the earlier value.
pub(super) fn merge(into: &mut Value, more: &Value) {
    let Value::Object(more) = more else { return };
    if !into.is_object() {
        *into = Value::Object(serde_json::Map::new());
    }
    let Value::Object(into) = into else { return };
    for (name, value) in more.iter().filter(|(_, value)| !value.is_null()) {
        into.insert(name.clone(), value.clone());
    }
}

/// Returns the field `type` of an object.
pub(super) fn type_of(data: &[u8]) -> Option<String> {
    let mut kind = None;
    // `None` also means that the rest need not be read.
    let _ = Reader::lenient(data).fields(|name, value| {
        if name == "type" {
            kind = value.string().map(std::borrow::Cow::into_owned);
            return None;
        }
        value.skip()
    });
    kind
}

/// Reads an object of JSON, repaired if it has invalid characters.
pub(super) fn value(data: &[u8]) -> Option<Value> {
    Reader::lenient(data).value().filter(Value::is_object)
}

/// Takes a field out of an object; null if there is none.
pub(super) fn take(object: &mut Value, name: &str) -> Value {
    object.get_mut(name).map(Value::take).unwrap_or_default()
}

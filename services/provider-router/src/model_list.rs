//! Parser of providers' model lists, in all shapes in use. Performs no I/O.
//!
//! OpenAI's shape is `{"object": "list", "data": [{"id": …}]}`. Other shapes in use are a bare array (Together AI),
//! `data: null` (a server without models), `{"models": [{"name": …}]}` (Ollama; Google, whose names begin with
//! `models/`), plain names, and objects whose keys are the ids. An unreadable entry does not invalidate the rest of the
//! list: it is skipped and reported.

use std::collections::HashSet;

use serde_json::{Map, Value};
use signalbox_core::openai::Model;

/// Maximum number of models in a list.
pub const MAX_MODELS: usize = 5000;
/// Maximum bytes of a model id.
const MAX_ID: usize = 256;
/// Maximum characters of a provider's own message, or of an entry, that are quoted in an error.
const MAX_QUOTED: usize = 200;
/// Keys that may contain the entries.
const LIST_KEYS: [&str; 3] = ["data", "models", "result"];

/// Contents of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ParsedList {
    /// The models without duplicates, in the provider's order.
    pub models: Vec<Model>,
    /// The entries that are not models, each with the reason.
    pub skipped: Vec<String>,
    /// Whether the list has OpenAI's shape and nothing was skipped, so that it can be passed on unchanged.
    pub as_openai: bool,
}

/// Reason why an answer is not a list of models.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The answer is not JSON.
    #[error("its list is not JSON: {0}")]
    NotJson(String),
    /// The answer is an error, with the provider's message.
    #[error("it answered with an error: {0}")]
    Refused(String),
    /// The answer is other JSON.
    #[error("its answer is not a model list, but {0}")]
    Other(&'static str),
    /// None of the entries names a model.
    #[error("its answer is not a model list: none of its {0} entries has an id; the first is {1}")]
    Nameless(usize, String),
    /// The list is too long.
    #[error("it lists {0} models, more than {MAX_MODELS}")]
    TooMany(usize),
}

/// Parses a list. `owner` is the owner of models that do not name one.
///
/// # Errors
/// Returns [`ListError`] if the answer is not a list of models, or is too long.
pub fn read(list: &[u8], owner: &str) -> Result<ParsedList, ListError> {
    let list: Value = serde_json::from_slice(list).map_err(|error| ListError::NotJson(error.to_string()))?;
    let openai = list["object"] == "list" && list["data"].is_array();
    let entries = entries(list)?;
    if entries.len() > MAX_MODELS {
        return Err(ListError::TooMany(entries.len()));
    }
    let key = key_of_ids(&entries);
    let (mut listed, mut seen) = (ParsedList::default(), HashSet::new());
    for entry in &entries {
        match model(entry, key, owner) {
            Ok(model) => {
                if seen.insert(model.id.clone()) {
                    listed.models.push(model);
                }
            }
            Err(why) => listed.skipped.push(format!("{}: {why}", quoted(entry))),
        }
    }
    if let (true, Some(first)) = (listed.models.is_empty(), entries.first()) {
        return Err(ListError::Nameless(entries.len(), quoted(first)));
    }
    listed.as_openai = openai && listed.skipped.is_empty() && listed.models.len() == entries.len();
    Ok(listed)
}

/// Returns the entries of the list. If the list is an object keyed by id, these are its values, with their keys as ids.
fn entries(mut list: Value) -> Result<Vec<Value>, ListError> {
    let is_empty = |inside: &Value| inside.as_array().map_or_else(|| inside.is_null(), Vec::is_empty);
    // A key with entries takes precedence over an empty one: some servers send `"data": []` next to `"models"`.
    let full = LIST_KEYS.into_iter().find(|frame| list.get(frame).is_some_and(|inside| !is_empty(inside)));
    let frame = full.or_else(|| LIST_KEYS.into_iter().find(|frame| list.get(frame).is_some()));
    let framed = match frame {
        Some(frame) if list.get(frame).is_some_and(Value::is_null) && error_message(&list).is_none() => {
            return Ok(Vec::new());
        }
        Some(frame) => list.get_mut(frame).map(Value::take),
        None => None,
    };
    match framed.as_ref().unwrap_or(&list) {
        Value::Array(_) => {}
        Value::Object(keyed) if is_keyed(keyed, framed.is_some()) => {}
        _ => return Err(error_message(&list).map_or_else(|| ListError::Other(kind(&list)), ListError::Refused)),
    }
    Ok(match framed.unwrap_or(list) {
        Value::Array(entries) => entries,
        Value::Object(keyed) => keyed.into_iter().map(|(id, entry)| with_id(id, entry)).collect(),
        _ => Vec::new(),
    })
}

/// Returns whether the keys of an object are model ids: every value is an object, and none looks like an error.
fn is_keyed(object: &Map<String, Value>, framed: bool) -> bool {
    const NON_MODEL_KEYS: [&str; 7] = ["message", "msg", "code", "status", "status_code", "status_msg", "detail"];
    let describes = |entry: &Value| match entry {
        Value::Object(entry) => !NON_MODEL_KEYS.iter().any(|key| entry.contains_key(*key)),
        _ => false,
    };
    let named = |key: &str| !["error", "errors", "detail"].contains(&key);
    (framed || !object.is_empty()) && object.iter().all(|(key, entry)| named(key) && describes(entry))
}

fn with_id(id: String, mut entry: Value) -> Value {
    if let Value::Object(entry) = &mut entry
        && !entry.get("id").is_some_and(Value::is_string)
    {
        entry.insert("id".to_owned(), Value::String(id));
    }
    entry
}

/// Returns the key that contains the ids: `id` if any entry has it, else `model`, else `name`. With `id` present,
/// `name` is only a display name.
fn key_of_ids(entries: &[Value]) -> &'static str {
    let has = |key: &&str| entries.iter().any(|entry| entry.get(*key).is_some_and(Value::is_string));
    ["id", "model", "name"].into_iter().find(has).unwrap_or("id")
}

fn model(entry: &Value, key: &str, owner: &str) -> Result<Model, &'static str> {
    let id = match entry {
        Value::String(id) => id,
        Value::Object(entry) => match entry.get(key) {
            Some(Value::String(id)) => id,
            Some(_) => return Err("its id is not text"),
            None => return Err("it has no id"),
        },
        _ => return Err("it is neither an object nor a name"),
    };
    let owned_by = entry["owned_by"].as_str().filter(|owner| !owner.is_empty());
    // Google lists a model under a resource path; its API takes the part after `models/`.
    let googles = key == "name" || owned_by == Some("google");
    let id = id.strip_prefix("models/").filter(|_| googles).unwrap_or(id);
    if id.trim().is_empty() {
        return Err("its id is empty");
    }
    if id.len() > MAX_ID {
        return Err("its id is longer than 256 bytes");
    }
    if id.chars().any(char::is_control) {
        return Err("its id has control characters");
    }
    let created = &entry["created"];
    #[expect(clippy::cast_possible_truncation, reason = "seconds; saturates only for values that are no times")]
    let created = created.as_i64().or_else(|| created.as_f64().map(|seconds| seconds as i64));
    Ok(Model::new(id, created.unwrap_or_default(), owned_by.unwrap_or(owner)))
}

/// Returns the provider's own error message, if there is one.
fn error_message(answer: &Value) -> Option<String> {
    let places = [
        "/error/message",
        "/error",
        "/message",
        "/detail",
        "/detail/0/msg",
        "/errors/0/message",
        "/base_resp/status_msg",
    ];
    let text = places.into_iter().find_map(|place| answer.pointer(place)?.as_str());
    let text = text.map(|text| truncate(text.trim())).filter(|text| !text.is_empty());
    text.or_else(|| answer.get("error").filter(|error| !error.is_null()).map(quoted))
}

fn quoted(entry: &Value) -> String {
    let named = ["id", "name", "model"].into_iter().find_map(|key| entry.get(key)?.as_str());
    truncate(named.map_or_else(|| entry.to_string(), |name| Value::from(name).to_string()).as_str())
}

/// Returns the text without control characters, cut to [`MAX_QUOTED`] characters.
fn truncate(text: &str) -> String {
    let mut cut: String = text.chars().filter(|char| !char.is_control()).take(MAX_QUOTED + 1).collect();
    if let Some((at, _)) = cut.char_indices().nth(MAX_QUOTED) {
        cut.truncate(at);
        cut.push('…');
    }
    cut
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object without a list",
    }
}

#[cfg(test)]
mod tests;

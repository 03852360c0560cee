//! From a text to a [`Document`]: all mistakes at once, each with its path.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use signalbox_core::id::{is_resource_id, is_slug};
use signalbox_core::provider_type::is_sendable;
use signalbox_core::schema::{NewModel, NewProvider};
use signalbox_core::secret::MASK;

use super::reference::References;
use super::{Declared, Document, Format, Link, Provider};
use crate::api::settings;

/// No adapter has a key longer than this.
const MAX_KEY: usize = 128;

/// The fields that nobody has taken yet, and what was wrong with the others.
struct Fields<'a> {
    path: &'a str,
    fields: Map<String, Value>,
    mistakes: &'a mut Vec<String>,
}

/// Reads a document.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(text: &str, format: Format, references: &References) -> Result<Document, Vec<String>> {
    let value = format.parse(text).map_err(|error| vec![error])?;
    let mut mistakes = Vec::new();
    let document = document(value, references, &mut mistakes);
    if mistakes.is_empty() { Ok(document) } else { Err(mistakes) }
}

fn document(value: Value, references: &References, mistakes: &mut Vec<String>) -> Document {
    let Some(mut top) = object("the document", value, mistakes) else { return Document::default() };
    let mut section = |name: &str, mistakes: &mut Vec<String>| {
        top.remove(name).map(|value| object(name, value, mistakes).unwrap_or_default())
    };
    let providers = section("providers", mistakes);
    let models = section("models", mistakes);
    let settings = section("settings", mistakes);
    mistakes.extend(top.keys().map(|key| format!("{key}: unknown section; there are providers, models and settings")));
    Document {
        providers: providers.map(|all| {
            each("providers", all, mistakes, |path, id, value, mistakes| {
                provider(path, id, value, references, mistakes)
            })
        }),
        models: models.map(|all| each("models", all, mistakes, model)),
        settings: settings.map(|all| {
            each("settings", all, mistakes, |path, key, value, mistakes| setting(path, key, &value, mistakes))
        }),
    }
}

fn each<T>(
    section: &str,
    all: Map<String, Value>,
    mistakes: &mut Vec<String>,
    mut read: impl FnMut(&str, &str, Value, &mut Vec<String>) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut found = BTreeMap::new();
    for (id, value) in all {
        let path = format!("{section}.{id}");
        if let Some(one) = read(&path, &id, value, mistakes) {
            found.insert(id, one);
        }
    }
    found
}

fn provider(
    path: &str,
    id: &str,
    value: Value,
    references: &References,
    mistakes: &mut Vec<String>,
) -> Option<Provider> {
    if !is_slug(id) {
        mistakes.push(format!("{path}: an id has 1 to {MAX_KEY} lowercase letters, digits and hyphens"));
    }
    let mut fields = Fields { path, fields: object(path, value, mistakes)?, mistakes };
    let kind = fields.text("type");
    if kind.is_none() {
        fields.mistake("type", "is needed: openai, lm-studio, …");
    }
    let row = NewProvider {
        id: id.to_owned(),
        name: fields.text("name").unwrap_or_else(|| id.to_owned()),
        kind: kind.unwrap_or_default(),
        enabled: fields.boolean("enabled").unwrap_or(true),
        priority: fields.integer("priority").unwrap_or(0),
        description: fields.text("description"),
    };
    let (config, models) = (fields.object("config"), fields.object("models"));
    fields.finish();
    let config = each(&format!("{path}.config"), config, mistakes, |path, key, value, mistakes| {
        if key.trim().is_empty() || key.chars().count() > MAX_KEY {
            mistakes.push(format!("{path}: a key has 1 to {MAX_KEY} characters"));
        }
        declared(path, value, references, mistakes)
    });
    let models = each(&format!("{path}.models"), models, mistakes, |path, _, value, mistakes| {
        let mut fields = Fields { path, fields: object(path, value, mistakes)?, mistakes };
        let is_default = fields.boolean("default").unwrap_or(false);
        let config = fields.fields.contains_key("config").then(|| fields.object("config"));
        fields.finish();
        Some(Link { is_default, config })
    });
    if models.values().filter(|link| link.is_default).count() > 1 {
        mistakes.push(format!("{path}.models: only one of them can be the default"));
    }
    Some(Provider { row, config, models })
}

fn declared(path: &str, mut value: Value, references: &References, mistakes: &mut Vec<String>) -> Option<Declared> {
    if value == MASK {
        return Some(Declared::Kept);
    }
    if value.is_null() {
        mistakes.push(format!("{path}: must not be null; leave the key out"));
        return None;
    }
    match resolve(&mut value, references) {
        Ok(_) if !is_sendable(&value) => {
            mistakes.push(format!("{path}: must not contain line breaks or other control characters"));
            None
        }
        Ok(by_reference) => Some(Declared::Value { value, by_reference }),
        Err(why) => {
            mistakes.push(format!("{path}: {why}"));
            None
        }
    }
}

/// Replaces the references in all texts of a value; whether there were any.
fn resolve(value: &mut Value, references: &References) -> Result<bool, String> {
    let mut any = false;
    match value {
        Value::String(text) => (*text, any) = references.resolve(text)?,
        Value::Array(items) => {
            for item in items {
                any |= resolve(item, references)?;
            }
        }
        Value::Object(fields) => {
            for field in fields.values_mut() {
                any |= resolve(field, references)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(any)
}

fn model(path: &str, id: &str, value: Value, mistakes: &mut Vec<String>) -> Option<NewModel> {
    if !is_resource_id(id) {
        mistakes.push(format!("{path}: an id has 1 to {MAX_KEY} letters, digits and the characters - . _ : / @ +"));
    }
    let mut fields = Fields { path, fields: object(path, value, mistakes)?, mistakes };
    let model = NewModel {
        id: id.to_owned(),
        name: fields.text("name").unwrap_or_else(|| id.to_owned()),
        description: fields.text("description"),
        capabilities: fields.texts("capabilities"),
    };
    fields.finish();
    Some(model)
}

fn setting(path: &str, key: &str, value: &Value, mistakes: &mut Vec<String>) -> Option<String> {
    settings::text_of(key, value).map_err(|why| mistakes.push(format!("{path}: {why}"))).ok()
}

fn object(path: &str, value: Value, mistakes: &mut Vec<String>) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        // An empty section of YAML.
        Value::Null => Some(Map::new()),
        _ => {
            mistakes.push(format!("{path}: must be a table of names and values"));
            None
        }
    }
}

// === impl Fields ===

impl Fields<'_> {
    fn mistake(&mut self, field: &str, what: &str) {
        self.mistakes.push(format!("{}.{field}: {what}", self.path));
    }

    fn text(&mut self, field: &str) -> Option<String> {
        match self.fields.remove(field)? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            _ => {
                self.mistake(field, "must be a text that is not empty");
                None
            }
        }
    }

    fn boolean(&mut self, field: &str) -> Option<bool> {
        let value = self.fields.remove(field)?.as_bool();
        if value.is_none() {
            self.mistake(field, "must be true or false");
        }
        value
    }

    fn integer(&mut self, field: &str) -> Option<i64> {
        let value = self.fields.remove(field)?.as_i64();
        if value.is_none() {
            self.mistake(field, "must be a whole number");
        }
        value
    }

    fn texts(&mut self, field: &str) -> Vec<String> {
        let Some(value) = self.fields.remove(field) else { return Vec::new() };
        let texts: Option<Vec<String>> =
            value.as_array().and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        if texts.is_none() {
            self.mistake(field, "must be a list of texts");
        }
        texts.unwrap_or_default()
    }

    fn object(&mut self, field: &str) -> Map<String, Value> {
        let Some(value) = self.fields.remove(field) else { return Map::new() };
        object(&format!("{}.{field}", self.path), value, self.mistakes).unwrap_or_default()
    }

    /// What nobody took is wrong: it would be lost without a word.
    fn finish(self) {
        self.mistakes.extend(self.fields.keys().map(|field| format!("{}.{field}: unknown field", self.path)));
    }
}

//! Parser from text to [`Document`]: reports all mistakes at once, each with its path.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use signalbox_core::id::{check_model_id, check_provider_id};
use signalbox_core::key_document::{self, Expiry};
use signalbox_core::provider_config::{Mistake, check_key, check_link, check_type, check_value};
use signalbox_core::route_document;
use signalbox_core::schema::{ApiKeyFields, NewModel, NewProvider, NewRoute};
use signalbox_core::secret::MASK;
use signalbox_core::text::{NOT_A_LINE, NOT_PROSE, is_blank, is_line, is_prose, quoted};
use signalbox_management::settings;
use signalbox_pricing::{Layer, LayerKind};
use signalbox_upstream::{AddressPolicy, Target};

use super::reference::References;
use super::{Declared, Document, Format, Link, Provider};

/// Fields of an object that have not been read yet, and the mistakes found so far.
struct Fields<'a> {
    path: &'a str,
    fields: Map<String, Value>,
    mistakes: &'a mut Vec<String>,
}

/// Reads a document.
///
/// # Errors
/// All mistakes in it.
pub fn read(text: &str, format: Format, references: &References) -> Result<Document, Vec<String>> {
    let value = format.parse(text)?;
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
    let routes = top.remove("routes").map(|value| list("routes", value, mistakes, route));
    let keys = top.remove("keys").map(|value| list("keys", value, mistakes, key));
    let prices = top.remove("prices").map(|value| prices(value, mistakes));
    let sections = "use providers, models, settings, routes, keys or prices";
    mistakes.extend(top.keys().map(|key| format!("{}: unknown section; {sections}", quoted(key))));
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
        routes,
        keys,
        prices,
    }
}

/// Reads the tables of a list; the invalid ones are left out.
fn list<T>(
    section: &str,
    value: Value,
    mistakes: &mut Vec<String>,
    read: impl Fn(Map<String, Value>) -> Result<T, Vec<Mistake>>,
) -> Vec<T> {
    let items = match value {
        Value::Array(items) => items,
        // An empty section of YAML.
        Value::Null => Vec::new(),
        _ => {
            mistakes.push(format!("{section}: must be a list of tables: [[{section}]]"));
            return Vec::new();
        }
    };
    let each = |(at, item)| {
        let path = format!("{section}[{at}]");
        let read = read(object(&path, item, mistakes)?);
        read.map_err(|wrong| mistakes.extend(wrong.iter().map(|mistake| message_of(&path, mistake)))).ok()
    };
    items.into_iter().enumerate().filter_map(each).collect()
}

/// Reads a route. Whether its providers exist depends on the catalogue.
fn route(document: Map<String, Value>) -> Result<NewRoute, Vec<Mistake>> {
    route_document::read(String::new(), document, &|_| true)
}

/// Reads a key. Whether its expiry is in the future depends on the stored one.
fn key(document: Map<String, Value>) -> Result<ApiKeyFields, Vec<Mistake>> {
    key_document::read(document, Expiry { now_ms: i64::MIN, stored: None })
}

fn prices(value: Value, mistakes: &mut Vec<String>) -> Option<Map<String, Value>> {
    let document = object("prices", value, mistakes).filter(|document| !document.is_empty())?;
    if let Err(wrong) = Layer::from_value(LayerKind::Api, &Value::Object(document.clone())) {
        mistakes.extend(wrong.0.iter().map(|mistake| format!("prices: {mistake}")));
    }
    Some(document)
}

fn each<T>(
    section: &str,
    all: Map<String, Value>,
    mistakes: &mut Vec<String>,
    mut read: impl FnMut(&str, &str, Value, &mut Vec<String>) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut found = BTreeMap::new();
    for (id, value) in all {
        let path = format!("{section}.{}", quoted(&id));
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
    if let Err(mistake) = check_provider_id(id) {
        mistakes.push(format!("{path}: an id {mistake}"));
    }
    let mut fields = Fields { path, fields: object(path, value, mistakes)?, mistakes };
    let kind = fields.text("type");
    match &kind {
        None => fields.mistake("type", "is required: openai, lm-studio, …"),
        Some(kind) => fields.check(check_type(kind)),
    }
    let row = NewProvider {
        id: id.to_owned(),
        name: fields.line("name").unwrap_or_else(|| id.to_owned()),
        kind: kind.unwrap_or_default(),
        enabled: fields.boolean("enabled").unwrap_or(true),
        priority: fields.integer("priority").unwrap_or(0),
        description: fields.prose("description"),
    };
    let (config, models) = (fields.object("config"), fields.object("models"));
    fields.finish();
    let config = each(path, config, mistakes, |_, key, value, mistakes| {
        let given = check_key(key).map_err(|mistake| vec![mistake]).and_then(|()| declared(key, value, references));
        given.map_err(|wrong| mistakes.extend(wrong.iter().map(|mistake| message_of(path, mistake)))).ok()
    });
    let models = each(&format!("{path}.models"), models, mistakes, |path, _, value, mistakes| {
        let mut fields = Fields { path, fields: object(path, value, mistakes)?, mistakes };
        let is_default = fields.boolean("default").unwrap_or(false);
        let config = fields.fields.contains_key("config").then(|| fields.object("config"));
        if let Some(config) = &config {
            fields.check(check_link(config));
        }
        fields.finish();
        Some(Link { is_default, config })
    });
    if models.values().filter(|link| link.is_default).count() > 1 {
        mistakes.push(format!("{path}.models: only one model can be the default"));
    }
    Some(Provider { row, config, models })
}

fn declared(key: &str, mut value: Value, references: &References) -> Result<Declared, Vec<Mistake>> {
    if value == MASK {
        return Ok(Declared::Unchanged);
    }
    let unresolved = |what: String| vec![Mistake { path: format!("config.{}", quoted(key)), what }];
    let by_reference = resolve(&mut value, references).map_err(unresolved)?;
    Ok(Declared::Value { value: check_value(key, value, &address)?, by_reference })
}

/// Checks a base URL of a provider with the default policy. An installation that refuses private addresses does so when
/// its router loads the provider.
fn address(base_url: &str) -> Result<(), String> {
    Target::parse(base_url, &AddressPolicy::default()).map(drop).map_err(|error| error.to_string())
}

fn message_of(path: &str, mistake: &Mistake) -> String {
    format!("{path}.{}: {}", mistake.path, mistake.what)
}

/// Replaces the references in all strings of a value. Returns whether there were any.
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
    if let Err(mistake) = check_model_id(id) {
        mistakes.push(format!("{path}: an id {mistake}"));
    }
    let mut fields = Fields { path, fields: object(path, value, mistakes)?, mistakes };
    let model = NewModel {
        id: id.to_owned(),
        name: fields.line("name").unwrap_or_else(|| id.to_owned()),
        description: fields.prose("description"),
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
            mistakes.push(format!("{path}: must be a table"));
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
            Value::String(text) if !is_blank(&text) => Some(text),
            _ => {
                self.mistake(field, "must be a non-empty string");
                None
            }
        }
    }

    /// Reads a text that is suitable as a name.
    fn line(&mut self, field: &str) -> Option<String> {
        self.text(field).inspect(|text| {
            if !is_line(text) {
                self.mistake(field, NOT_A_LINE);
            }
        })
    }

    /// Reads a text that is suitable as a description.
    fn prose(&mut self, field: &str) -> Option<String> {
        self.text(field).inspect(|text| {
            if !is_prose(text) {
                self.mistake(field, NOT_PROSE);
            }
        })
    }

    fn check(&mut self, checked: Result<(), Mistake>) {
        if let Err(mistake) = checked {
            self.mistakes.push(message_of(self.path, &mistake));
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
        match &texts {
            None => self.mistake(field, "must be a list of strings"),
            Some(texts) if !texts.iter().all(|text| is_line(text)) => self.mistake(field, NOT_A_LINE),
            Some(_) => {}
        }
        texts.unwrap_or_default()
    }

    fn object(&mut self, field: &str) -> Map<String, Value> {
        let Some(value) = self.fields.remove(field) else { return Map::new() };
        object(&format!("{}.{field}", self.path), value, self.mistakes).unwrap_or_default()
    }

    /// Reports fields that were not read as mistakes; otherwise they would be discarded silently.
    fn finish(self) {
        self.mistakes.extend(self.fields.keys().map(|field| format!("{}.{}: unknown field", self.path, quoted(field))));
    }
}

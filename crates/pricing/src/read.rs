//! Reads documents of prices, and reports every mistake in them.

mod check;
mod rates;
mod row;

use std::collections::HashMap;

use check::Check;
use row::{Providers, Row};
use serde_json::{Map, Value};
use sha1::{Digest, Sha1};

use crate::layer::{Resellers, Scope};
use crate::{Layer, LayerKind, Mistake, Mistakes, Price, date};

/// The only version of the schema.
const SCHEMA: u64 = 1;

/// Fields of a document.
const FIELDS: [&str; 7] = ["v", "version", "as_of", "source", "note", "resellers", "prices"];

// === impl Layer ===

impl Layer {
    /// Reads a JSON document.
    ///
    /// # Errors
    /// Returns all mistakes.
    pub fn from_json(kind: LayerKind, text: &str) -> Result<Self, Mistakes> {
        json(text).and_then(|document| Self::from_value(kind, &document))
    }

    /// Reads a JSON document and adds the rows of a further one, whose other fields are not read.
    ///
    /// # Errors
    /// Returns all mistakes.
    pub(crate) fn from_json_with_rows(kind: LayerKind, text: &str, rows: &str) -> Result<Self, Mistakes> {
        let (mut document, mut further) = (json(text)?, json(rows)?);
        if let (Some(Value::Array(rows)), Some(Value::Array(further))) =
            (document.get_mut("prices"), further.get_mut("prices"))
        {
            rows.append(further);
        }
        Self::from_value(kind, &document)
    }

    /// Reads a TOML document.
    ///
    /// # Errors
    /// Returns all mistakes.
    pub fn from_toml(kind: LayerKind, text: &str) -> Result<Self, Mistakes> {
        toml(text).and_then(|document| Self::from_value(kind, &document))
    }

    /// Reads a document that was parsed already, such as the body of a request.
    ///
    /// # Errors
    /// Returns all mistakes.
    pub fn from_value(kind: LayerKind, document: &Value) -> Result<Self, Mistakes> {
        layer(kind, document)
    }
}

/// Parses a JSON document.
fn json(text: &str) -> Result<Value, Mistakes> {
    serde_json::from_str(text).map_err(|error| of_document(&format!("is not valid JSON: {error}")))
}

/// Parses a TOML document.
fn toml(text: &str) -> Result<Value, Mistakes> {
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| of_document(&format!("is not valid TOML: {error}")))?;
    Ok(json_of(toml::Value::Table(table)))
}

fn of_document(what: &str) -> Mistakes {
    Mistakes(vec![Mistake { path: String::new(), id: None, what: what.trim_end().to_owned() }])
}

/// Converts a TOML value. Dates become texts, as they are in JSON documents.
fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json_of(value))).collect(),
    }
}

/// Reads a document.
fn layer(kind: LayerKind, document: &Value) -> Result<Layer, Mistakes> {
    let mut check = Check::default();
    let layer = check.object(document).map(|document| {
        check.known_fields(document, &FIELDS);
        let version = header(kind, document, &mut check);
        let resellers = check.field(document, "resellers", resellers).unwrap_or_default();
        let mut layer = Layer {
            kind,
            version: version.into(),
            digest: digest(&[document.get("prices"), document.get("resellers")]).into(),
            prices: Vec::new(),
            by_id: HashMap::new(),
            by_type: HashMap::new(),
            any: Scope::default(),
            resellers,
        };
        match document.get("prices") {
            Some(Value::Array(rows)) => check.at("prices", |check| read_rows(rows, &mut layer, check)),
            Some(_) => check.mistake_at("prices", "must be a list of rows"),
            None => check.mistake_at("prices", "is missing: it is the list of rows"),
        }
        let Layer { prices, by_id, by_type, any, .. } = &mut layer;
        for scope in by_id.values_mut().chain(by_type.values_mut()).chain([any]) {
            scope.sort(prices);
        }
        layer
    });
    let mistakes = check.mistakes();
    layer.filter(|_| mistakes.is_empty()).ok_or(Mistakes(mistakes))
}

/// Checks the fields that describe the document, and returns its version. Overrides need none of them.
fn header<'a>(kind: LayerKind, document: &'a Map<String, Value>, check: &mut Check) -> &'a str {
    let is_shipped = kind == LayerKind::Shipped;
    match document.get("v") {
        None if !is_shipped => {}
        Some(v) if v.as_u64() == Some(SCHEMA) => {}
        _ => check.mistake_at("v", "must be 1, the version of the schema that this program knows"),
    }
    if document.get("as_of").is_some_and(|as_of| as_of.as_str().and_then(date::parse).is_none()) {
        check.mistake_at("as_of", "must be a date such as 2026-11-29");
    }
    for key in ["source", "note"] {
        check.field(document, key, Check::text);
    }
    let version = check.field(document, "version", |check, version| {
        let is_word = |text: &&str| {
            (1..=32).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        let word = version.as_str().filter(is_word);
        word.or_else(|| check.mistake("must have 1 to 32 letters, digits, dots and hyphens, such as 2026-11-29"))
    });
    if is_shipped && !document.contains_key("version") {
        check.mistake_at("version", "is missing: it is recorded with each cost");
    }
    version.unwrap_or_default()
}

/// Reads the vendors of each reseller.
fn resellers(check: &mut Check, value: &Value) -> Option<Resellers> {
    let mut resellers = HashMap::new();
    for (reseller, vendors) in check.object(value)? {
        let vendors = check.at(reseller, |check| {
            let mut types = HashMap::new();
            for (vendor, provider_type) in check.object(vendors)? {
                if let Some(provider_type) = check.at(vendor, |check| check.text(provider_type)) {
                    types.insert(vendor.to_ascii_lowercase().into(), provider_type.into());
                }
            }
            Some(types)
        });
        resellers.insert(reseller.as_str().into(), vendors.unwrap_or_default());
    }
    Some(resellers)
}

/// Reads all rows into the layer, as far as they have no mistakes.
fn read_rows(rows: &[Value], layer: &mut Layer, check: &mut Check) {
    for (index, value) in rows.iter().enumerate() {
        check.at(index, |check| {
            check.set_row(value.get("id").and_then(Value::as_str));
            if let Some(row) = row::read(value, check) {
                index_row(&row, index, layer, check);
                layer.prices.push(row.price);
            } else {
                // Keeps indices equal to row numbers until all mistakes are known.
                layer.prices.push(Price::unusable());
            }
            check.set_row(None);
        });
    }
}

/// Adds a row to the scopes it belongs to.
fn index_row(row: &Row, index: usize, layer: &mut Layer, check: &mut Check) {
    let Layer { prices, by_id, by_type, any, .. } = layer;
    let mut add = |scope: &mut Scope| {
        for name in &row.names {
            let rows = if name.contains(['*', '?']) {
                let known = scope.patterns.iter().position(|(pattern, _)| pattern == name).unwrap_or_else(|| {
                    scope.patterns.push((name.clone(), Vec::new()));
                    scope.patterns.len() - 1
                });
                &mut scope.patterns[known].1
            } else {
                scope.names.entry(name.clone()).or_default()
            };
            if let Some(other) = rows.iter().find(|other| prices[**other].collides_with(&row.price)) {
                check.mistake::<()>(format!(
                    "prices `{name}` at the same provider and time as prices.{other}: give one of them a `from` or \
                     `until`, or remove it"
                ));
            }
            rows.push(index);
        }
    };
    match &row.providers {
        Providers::Any => add(any),
        Providers::Types(types) => types.iter().for_each(|kind| add(by_type.entry(kind.clone()).or_default())),
        Providers::Ids(ids) => ids.iter().for_each(|id| add(by_id.entry(id.clone()).or_default())),
    }
}

/// Returns the first 12 hexadecimal digits of the SHA-1 digest of values, which does not depend on the order of keys.
pub(crate) fn digest(values: &[Option<&Value>]) -> String {
    let mut hasher = Sha1::new();
    for value in values {
        feed(&mut hasher, value.unwrap_or(&Value::Null));
    }
    hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn feed(hasher: &mut Sha1, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            hasher.update(b"{");
            for (key, value) in fields {
                feed(hasher, &Value::from(key.as_str()));
                feed(hasher, value);
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            items.iter().for_each(|item| feed(hasher, item));
            hasher.update(b"]");
        }
        // The text of a scalar is its JSON form, which is unambiguous beside others: strings are quoted.
        scalar => hasher.update(format!("{scalar},").as_bytes()),
    }
}

//! Export of the catalogue as a document.

use serde_json::{Map, Value, json};
use signalbox_core::schema::{LinkedModel, Model, Provider, ProviderConfig};
use signalbox_core::secret::{MASK, is_sensitive_key};
use signalbox_core::{key_document, route_document};
use signalbox_management::settings;
use signalbox_store::catalog::Catalog;
use signalbox_store::{Error, Sealer, provider_configs};

use super::reference::escaped;

/// Returns the document, and the paths of the secrets that are masked in it.
///
/// # Errors
/// See [`Error`].
pub fn write(catalog: &Catalog, sealer: &Sealer) -> Result<(Value, Vec<String>), Error> {
    let mut secrets = Vec::new();
    let mut providers = Map::new();
    for (row, configs, links) in &catalog.providers {
        providers.insert(row.id.clone(), provider(row, configs, links, sealer, &mut secrets)?);
    }
    let models: Map<String, Value> = catalog.models.iter().map(|row| (row.id.clone(), model(row))).collect();
    let settings: Map<String, Value> =
        catalog.settings.iter().map(|row| (row.key.clone(), settings::typed(&row.key, row.value.clone()))).collect();
    let routes: Vec<Value> =
        catalog.routes.iter().map(|row| route_document::write(&row.model, row.enabled, &row.plan).into()).collect();
    let mut document = json!({ "providers": providers, "models": models, "settings": settings, "routes": routes });
    // A key that was revoked must not come back under its name.
    let keys = catalog.keys.iter().filter(|row| row.revoked_at.is_none());
    let keys: Vec<Value> = keys.map(|row| key_document::write(&row.name, &row.grant, row.expires_at).into()).collect();
    if !keys.is_empty() {
        document["keys"] = keys.into();
    }
    let prices = catalog.prices.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(prices) = prices {
        document["prices"] = prices;
    }
    Ok((document, secrets))
}

/// Returns the comment lines for the head of the text.
#[must_use]
pub fn comments(secrets: &[String]) -> Vec<String> {
    let mut lines = vec![
        "The configuration of Signalbox. `api-server config apply FILE` applies it, and prints each key that it creates."
            .to_owned(),
    ];
    if !secrets.is_empty() {
        lines.push(format!(
            "Secrets are masked: {MASK} keeps the stored value. For another database, replace it by ${{env:NAME}} or \
             ${{file:PATH}} at:"
        ));
        lines.extend(secrets.iter().map(|path| format!("  {}", path.replace(char::is_control, "\u{fffd}"))));
    }
    lines
}

fn provider(
    row: &Provider,
    configs: &[ProviderConfig],
    links: &[LinkedModel],
    sealer: &Sealer,
    secrets: &mut Vec<String>,
) -> Result<Value, Error> {
    let mut value = json!({ "name": row.name, "type": row.kind, "enabled": row.enabled, "priority": row.priority });
    describe(&mut value, row.description.as_deref());
    let mut config = Map::new();
    for entry in configs {
        let shown = if entry.is_sensitive || is_sensitive_key(&entry.key) {
            secrets.push(format!("providers.{}.config.{}", row.id, entry.key));
            MASK.into()
        } else {
            plain(provider_configs::json(sealer, entry)?)
        };
        config.insert(entry.key.clone(), shown);
    }
    let links: Map<String, Value> = links.iter().map(|link| (link.model.id.clone(), self::link(link))).collect();
    if !config.is_empty() {
        value["config"] = config.into();
    }
    if !links.is_empty() {
        value["models"] = links.into();
    }
    Ok(value)
}

fn link(link: &LinkedModel) -> Value {
    let mut value = Map::new();
    if link.is_default {
        value.insert("default".to_owned(), true.into());
    }
    let config = link.config.as_deref().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    if let Some(config) = config {
        value.insert("config".to_owned(), config.into());
    }
    value.into()
}

fn model(row: &Model) -> Value {
    let mut value = json!({ "name": row.name, "capabilities": row.capabilities });
    describe(&mut value, row.description.as_deref());
    value
}

/// Sets the description, unless it is empty.
fn describe(value: &mut Value, description: Option<&str>) {
    if let Some(text) = description.filter(|text| !text.trim().is_empty()) {
        value["description"] = text.into();
    }
}

/// Escapes all strings of a value, so that none is read as a reference.
fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => escaped(&text).into(),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, plain(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

//! `/api/settings`: what may change while everything runs. These routes keep the flat error shape of the original.
//!
//! Values are text in the table. Known keys are shown with their type (the dashboard pastes `server.port` into a URL);
//! of unknown keys nobody knows one, so they are shown as the text they are.

mod known;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use signalbox_store::settings;

use self::known::Known;
pub(crate) use self::known::requires_restart;
use super::extract::{Body, Path};
use super::query::Query;
use super::{App, Error, now_ms};
use crate::fleet::Overrides;

/// `GET /api/settings?category` → `{"settings": {...}, "category"}`, defaults included.
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Value>, Error> {
    let category = query.text("category");
    query.finish()?;
    let mut shown: BTreeMap<String, Value> =
        known::ALL.iter().filter_map(|known| Some((known.key.to_owned(), known.default(&app)?))).collect();
    for row in settings::list(&app.store).await? {
        let value = known::typed(&row.key, row.value);
        shown.insert(row.key, value);
    }
    if let Some(category) = &category {
        shown.retain(|key, _| category_of(key) == category);
    }
    Ok(Json(json!({ "settings": shown, "category": category.as_deref().unwrap_or("all") })))
}

/// `GET /api/settings/:key` → `{"key", "value", "category", "requiresRestart", "isDefault"}`.
pub(super) async fn get(State(app): State<App>, Path(key): Path<String>) -> Result<Json<Value>, Error> {
    let row = settings::get(&app.store, &key).await?;
    let is_default = row.is_none();
    let value = match row {
        Some(row) => known::typed(&key, row.value),
        None => default_of(&app, &key).ok_or_else(|| Error::MissingSetting(key.clone()))?,
    };
    Ok(Json(json!({
        "category": category_of(&key),
        "requiresRestart": known::requires_restart(&key),
        "key": key,
        "value": value,
        "isDefault": is_default,
    })))
}

/// `PUT /api/settings/:key` with `{"value"}`.
pub(super) async fn put(State(app): State<App>, Path(key): Path<String>, body: Body) -> Result<Json<Value>, Error> {
    let mut fields = body.0;
    let value = fields.remove("value").unwrap_or_default();
    if let Some(field) = fields.keys().next() {
        return Err(Error::InvalidSetting(format!("unknown field: {field}")));
    }
    let text = known::text_of(&key, &value).map_err(Error::InvalidSetting)?;
    let now = now_ms();
    let row = [(key, text)];
    settings::put(&app.store, &row, now).await?;
    let [(key, text)] = row;
    let requires_restart = known::requires_restart(&key);
    let message = if requires_restart {
        "Setting updated. Server restart required to apply changes."
    } else {
        "Setting updated successfully."
    };
    Ok(Json(json!({
        "value": known::typed(&key, text),
        "key": key,
        "requiresRestart": requires_restart,
        "updated_at": now,
        "message": message,
    })))
}

/// `POST /api/settings/bulk` with `{"settings": {...}}`: what is valid is written, what is not is listed.
pub(super) async fn put_many(State(app): State<App>, body: Body) -> Result<Json<Value>, Error> {
    let mut fields = body.0;
    let Some(Value::Object(given)) = fields.remove("settings") else {
        return Err(Error::InvalidSetting("settings must be an object".to_owned()));
    };
    if let Some(field) = fields.keys().next() {
        return Err(Error::InvalidSetting(format!("unknown field: {field}")));
    }
    let (valid, errors) = judged(&given);
    settings::put(&app.store, &valid, now_ms()).await?;
    let updated: Vec<&str> = valid.iter().map(|(key, _)| key.as_str()).collect();
    let requires_restart = updated.iter().any(|key| known::requires_restart(key));
    let outcome = if requires_restart { "updated. Server restart required." } else { "updated successfully." };
    Ok(Json(json!({
        "message": format!("{} settings {outcome}", updated.len()),
        "updated": updated,
        "errors": errors,
        "requiresRestart": requires_restart,
    })))
}

/// `DELETE /api/settings/:key`: back to its default.
pub(super) async fn delete(State(app): State<App>, Path(key): Path<String>) -> Result<Json<Value>, Error> {
    settings::delete(&app.store, &key).await?;
    Ok(Json(json!({
        "value": default_of(&app, &key),
        "requiresRestart": known::requires_restart(&key),
        "key": key,
        "message": "Setting reset to default value.",
    })))
}

/// What the settings say about the router. Without the database it starts as it is configured.
pub(crate) async fn overrides(app: &App) -> Overrides {
    let rows = settings::list(&app.store).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "starting the services without the settings");
        Vec::new()
    });
    let mut overrides = Overrides::default();
    for row in rows {
        match row.key.as_str() {
            "server.host" => overrides.router_host = Some(row.value),
            "server.port" => overrides.router_port = row.value.parse().ok(),
            _ => {}
        }
    }
    overrides
}

fn judged(given: &Map<String, Value>) -> (Vec<(String, String)>, Vec<Value>) {
    let mut valid = Vec::new();
    let mut errors = Vec::new();
    for (key, value) in given {
        match known::text_of(key, value) {
            Ok(text) => valid.push((key.clone(), text)),
            Err(error) => errors.push(json!({ "key": key, "error": error })),
        }
    }
    (valid, errors)
}

fn default_of(app: &App, key: &str) -> Option<Value> {
    Known::of(key).and_then(|known| known.default(app))
}

/// What stands before the first dot.
fn category_of(key: &str) -> &str {
    key.split_once('.').map_or(key, |(category, _)| category)
}

//! Routes of `/api/settings`: options that can be changed at run time. These routes keep the flat error format of the
//! Node.js version.
//!
//! The table stores values as text. Known keys are shown with their type (the dashboard inserts `server.port` into a
//! URL); values of unknown keys are shown as text.

mod budget;
mod known;
pub(super) mod pending;
pub(super) mod schema;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use signalbox_core::schema::Setting;
use signalbox_core::text::quoted;
use signalbox_daemon::clock::unix_ms;
use signalbox_daemon::listener::check_host;
use signalbox_store::settings::{self, ACTIVE_PROVIDER};
use signalbox_store::{Error as StoreError, providers};
use utoipa::ToSchema;

use self::known::Known;
pub use self::known::{requires_restart, text_of, typed};
use super::bodies::{SettingToPut, SettingsToPut};
use super::error_schemas::{Failure, MissingSetting, SettingRefusal};
use super::extract::{Body, Path};
use super::form::Form;
use super::mistake::FieldMistake;
use super::precondition::{IfMatch, Versioned};
use super::query::Query;
use super::version::Version;
use super::{App, Error};

/// The setting for the address that the router listens on.
const HOST: &str = "server.host";
/// The setting for the port that the router listens on.
const PORT: &str = "server.port";

/// Settings, including defaults.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SettingList {
    settings: BTreeMap<String, Value>,
    /// The requested category, or `all`.
    category: String,
}

/// One setting.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OneSetting {
    key: String,
    value: Value,
    /// The part of the key before the first dot.
    category: String,
    requires_restart: bool,
    is_default: bool,
    #[serde(flatten)]
    deprecation: Deprecation,
}

/// Whether a setting is deprecated; both fields are absent if it is not.
#[derive(Debug, Serialize, ToSchema)]
struct Deprecation {
    /// `true`: the value is stored but has no effect.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    deprecated: bool,
    /// The reason, and the replacement.
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation: Option<&'static str>,
}

/// A setting that was written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WrittenSetting {
    key: String,
    value: Value,
    #[serde(rename = "requiresRestart")]
    requires_restart: bool,
    updated_at: i64,
    message: &'static str,
    #[serde(flatten)]
    deprecation: Deprecation,
}

/// The result of writing several settings.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrittenSettings {
    message: String,
    /// The keys that were written.
    updated: Vec<String>,
    errors: Vec<Unwritten>,
    /// The same mistakes by field: `settings.` and the key.
    details: Vec<FieldMistake>,
    requires_restart: bool,
}

/// A setting that was refused.
#[derive(Debug, Serialize, ToSchema)]
struct Unwritten {
    key: String,
    error: String,
}

/// A setting that was reset to its default.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResetSetting {
    key: String,
    /// Null if the setting has no default.
    value: Value,
    requires_restart: bool,
    message: &'static str,
}

/// Lists the settings, including defaults.
#[utoipa::path(
    get, path = "/api/settings", tag = "settings",
    params(("category" = Option<String>, Query, description = "Only keys with this part before the first dot")),
    responses((status = 200, description = "The settings", body = SettingList)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<SettingList>, Error> {
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
    Ok(Json(SettingList { settings: shown, category: category.unwrap_or_else(|| "all".to_owned()) }))
}

/// Returns one setting.
#[utoipa::path(
    get, path = "/api/settings/{key}", tag = "settings", params(("key" = String, Path)),
    responses(
    (status = 200, description = "The setting", body = OneSetting),
    (status = 404, description = "The setting has no value and no default", body = MissingSetting),
    ),
)]
pub(super) async fn get(State(app): State<App>, Path(key): Path<String>) -> Result<Versioned<OneSetting>, Error> {
    let row = settings::get(&app.store, &key).await?;
    let version = version_of(row.as_ref());
    let is_default = row.is_none();
    let value = match row {
        Some(row) => known::typed(&key, row.value),
        None => default_of(&app, &key).ok_or_else(|| Error::MissingSetting(key.clone()))?,
    };
    let setting = OneSetting {
        category: category_of(&key).to_owned(),
        requires_restart: known::requires_restart(&key),
        deprecation: Deprecation::of(&key),
        key,
        value,
        is_default,
    };
    Ok(Versioned(version, setting))
}

/// Writes one setting. It takes effect within a second, unless `requiresRestart` is true.
///
/// Unknown keys are stored as text.
#[utoipa::path(
    put, path = "/api/settings/{key}", tag = "settings", request_body = SettingToPut,
    params(("key" = inline(crate::bodies::schemas::Key), Path), ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that the change is meant for")),
    responses(
    (status = 200, description = "The setting", body = WrittenSetting),
    (status = 400, description = "The value is invalid", body = inline(SettingRefusal)),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    ),
)]
pub(super) async fn put(
    State(app): State<App>,
    Path(key): Path<String>,
    if_match: IfMatch,
    Body(given, mut form): Body<SettingToPut>,
) -> Result<Versioned<WrittenSetting>, Error> {
    let text = known::text_of(&key, &given.value.valid().unwrap_or_default());
    let field = if known::check_key(&key).is_err() { "key" } else { "value" };
    let text = text.map_err(|mistake| form.mistake(FieldMistake::new(field, mistake))).unwrap_or_default();
    finish(form)?;
    if let Some(mistake) = usable(&app, &key, &text).await? {
        return Err(Error::InvalidSetting(vec![FieldMistake::new("value", mistake)]));
    }
    let now = unix_ms();
    let row = [(key, text)];
    if_match.guard(&app, || present(&app, &row[0].0), || write(&app, &row, now)).await?;
    let [(key, text)] = row;
    let requires_restart = known::requires_restart(&key);
    let message = if requires_restart {
        "Setting updated. Server restart required to apply changes."
    } else {
        "Setting updated successfully."
    };
    let deprecation = Deprecation::of(&key);
    let version = version_of(Some(&Setting { key: key.clone(), value: text.clone(), updated_at: now }));
    let value = known::typed(&key, text);
    let written = WrittenSetting { key, value, requires_restart, updated_at: now, message, deprecation };
    Ok(Versioned(version, written))
}

/// Writes several settings at once: valid ones are written, invalid ones are listed in the response.
#[utoipa::path(
    post, path = "/api/settings/bulk", tag = "settings", request_body = SettingsToPut,
    responses(
    (status = 200, description = "The settings that were written, and those that were refused", body = WrittenSettings),
    (status = 400, description = "The body contains no settings", body = inline(SettingRefusal)),
    ),
)]
pub(super) async fn put_many(
    State(app): State<App>,
    Body(given, mut form): Body<SettingsToPut>,
) -> Result<Json<WrittenSettings>, Error> {
    let given = form.required_object("settings", given.settings);
    finish(form)?;
    let (mut valid, mut errors) = judged(&given);
    for checked in [HOST, ACTIVE_PROVIDER] {
        if let Some(at) = valid.iter().position(|(key, _)| key == checked)
            && let Some(error) = usable(&app, checked, &valid[at].1).await?
        {
            errors.push(Unwritten { key: valid.remove(at).0, error });
        }
    }
    settings::put(&app.store, &valid, unix_ms()).await?;
    let updated: Vec<String> = valid.into_iter().map(|(key, _)| key).collect();
    let detail = |refused: &Unwritten| FieldMistake::new(&refused.key, &refused.error).below("settings");
    let details = errors.iter().map(detail).collect();
    let requires_restart = updated.iter().any(|key| known::requires_restart(key));
    let outcome = if requires_restart { "updated. Server restart required." } else { "updated successfully." };
    Ok(Json(WrittenSettings {
        message: format!("{} settings {outcome}", updated.len()),
        updated,
        errors,
        details,
        requires_restart,
    }))
}

/// Resets a setting to its default.
#[utoipa::path(
    delete, path = "/api/settings/{key}", tag = "settings",
    params(
        ("key" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that is meant to be deleted"),
    ),
    responses(
    (status = 200, description = "The default", body = ResetSetting),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    ),
)]
pub(super) async fn delete(
    State(app): State<App>,
    Path(key): Path<String>,
    if_match: IfMatch,
) -> Result<Json<ResetSetting>, Error> {
    if_match.guard(&app, || present(&app, &key), || reset(&app, &key)).await?;
    Ok(Json(ResetSetting {
        value: default_of(&app, &key).unwrap_or_default(),
        requires_restart: known::requires_restart(&key),
        key,
        message: "Setting reset to default value.",
    }))
}

async fn reset(app: &App, key: &str) -> Result<(), Error> {
    Ok(settings::delete(&app.store, key).await.map(drop)?)
}

async fn write(app: &App, rows: &[(String, String)], now: i64) -> Result<(), Error> {
    Ok(settings::put(&app.store, rows, now).await?)
}

async fn present(app: &App, key: &str) -> Result<Version, Error> {
    Ok(version_of(settings::get(&app.store, key).await?.as_ref()))
}

/// Returns the version of a setting; that of a default is 0.
fn version_of(row: Option<&Setting>) -> Version {
    Version::of(row.map_or(0, |row| row.updated_at), &row.map(|row| &row.value))
}

/// Checks conditions that the format of a value does not show: the router must be able to listen on a host, and the
/// active provider must exist. Returns the mistake, if there is one.
async fn usable(app: &App, key: &str, text: &str) -> Result<Option<String>, Error> {
    match key {
        HOST => Ok(check_host(text, app.guarded).await.err().map(|error| error.to_string())),
        ACTIVE_PROVIDER => match providers::get(&app.store, text).await {
            Ok(_) => Ok(None),
            Err(StoreError::NotFound { .. } | StoreError::Invalid(_)) => Ok(Some(no_such_provider(text))),
            Err(error) => Err(error.into()),
        },
        _ => Ok(None),
    }
}

/// Returns the mistake of an active provider that does not exist.
#[must_use]
pub fn no_such_provider(id: &str) -> String {
    format!("{ACTIVE_PROVIDER} must be the id of a provider, and there is none with the id `{}`", quoted(id))
}

/// Reports all mistakes in the error format of the settings.
fn finish(form: Form) -> Result<(), Error> {
    form.finish().map_err(|error| match error {
        Error::Validation(mistakes) => Error::InvalidSetting(mistakes),
        other => other,
    })
}

fn judged(given: &Map<String, Value>) -> (Vec<(String, String)>, Vec<Unwritten>) {
    let mut valid = Vec::new();
    let mut errors = Vec::new();
    for (key, value) in given {
        match known::text_of(key, value) {
            Ok(text) => valid.push((key.clone(), text)),
            Err(error) => errors.push(Unwritten { key: key.clone(), error }),
        }
    }
    (valid, errors)
}

fn default_of(app: &App, key: &str) -> Option<Value> {
    Known::of(key).and_then(|known| known.default(app))
}

/// Returns the part of the key before the first dot.
fn category_of(key: &str) -> &str {
    key.split_once('.').map_or(key, |(category, _)| category)
}

// === impl Deprecation ===

impl Deprecation {
    fn of(key: &str) -> Self {
        let deprecation = known::deprecation(key);
        Self { deprecated: deprecation.is_some(), deprecation }
    }
}

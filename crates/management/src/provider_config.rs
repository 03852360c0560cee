//! Routes of `/api/providers/:id/config`: the configuration of a provider, one value per key.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use signalbox_core::schema::{ConfigValue, ProviderConfig};
use signalbox_core::secret::{MASK, Secret};
use signalbox_daemon::clock::unix_ms;
use signalbox_store::provider_configs;
use utoipa::ToSchema;

use super::bodies::{ConfigToMerge, ConfigToSet};
use super::config_values::{check_files, checked, kept, sensitivity, shown, shown_value, values};
use super::done::Done;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::error_schemas::Failure;
use super::extract::{Body, Path};
use super::precondition::{IfMatch, Versioned};
use super::providers::{find, present, version_of, warnings};
use super::query::Query;
use super::{App, Error};

/// The configuration of a provider.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Shown {
    provider_id: String,
    #[schema(value_type = BTreeMap<String, Value>)]
    config: Map<String, Value>,
    masked: bool,
}

/// The whole configuration after a write, with secrets masked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Merged {
    provider_id: String,
    #[schema(value_type = BTreeMap<String, Value>)]
    config: Map<String, Value>,
    updated_count: usize,
    /// Values that the provider still needs before it can work; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

/// The key that was written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WrittenKey {
    provider_id: String,
    key: String,
    /// Masked if the value is a secret.
    value: Value,
    is_sensitive: bool,
    updated_at: i64,
}

/// Returns the configuration of a provider.
#[utoipa::path(
    get, path = "/api/providers/{id}/config", tag = "provider-config",
    params(("id" = String, Path), ("mask" = Option<bool>, Query, description = "`false` shows secrets")),
    responses((status = 200, description = "Keys and values", body = Shown)),
)]
pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    mut query: Query,
) -> Result<Versioned<Shown>, Error> {
    let mask = query.boolean("mask").unwrap_or(true);
    query.finish()?;
    let provider = find(&app, &id).await?;
    let configs = provider_configs::list(&app.store, &id).await?;
    let config = shown(&app, &configs, mask)?;
    Ok(Versioned(version_of(&provider, &configs), Shown { provider_id: id, config, masked: mask }))
}

/// Writes keys; other keys keep their values.
///
/// A value that equals the mask was copied from a response and changes nothing.
#[utoipa::path(
    put, path = "/api/providers/{id}/config", tag = "provider-config", request_body = ConfigToMerge,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that the change is meant for")),
    responses(
    (status = 200, description = "All keys", body = Merged),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    ),
)]
pub(super) async fn put(
    State(app): State<App>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(new, mut form): Body<ConfigToMerge>,
) -> Result<Versioned<Merged>, Error> {
    let config = form.required_object("config", new.config);
    let existing = provider_configs::list(&app.store, &id).await?;
    let values = values(&app, &config, &existing, &mut form)?;
    form.finish()?;
    check_files(&app, &existing, &values, true).await?;
    if_match.guard(&app, || present(&app, &id), || store(&app, &id, &values, unix_ms())).await?;
    let provider = find(&app, &id).await?;
    let configs = provider_configs::list(&app.store, &id).await?;
    let warnings = warnings(&provider, &configs);
    let config = shown(&app, &configs, true)?;
    let merged = Merged { provider_id: id, config, updated_count: values.len(), warnings };
    Ok(Versioned(version_of(&provider, &configs), merged))
}

/// Writes one key.
#[utoipa::path(
    patch, path = "/api/providers/{id}/config/{key}", tag = "provider-config", request_body = ConfigToSet, params(("id" = String, Path), ("key" = inline(crate::bodies::schemas::Key), Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that the change is meant for")),
    responses(
    (status = 200, description = "The key", body = WrittenKey),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    ),
)]
pub(super) async fn patch(
    State(app): State<App>,
    Path((id, key)): Path<(String, String)>,
    if_match: IfMatch,
    Body(new, mut form): Body<ConfigToSet>,
) -> Result<Versioned<WrittenKey>, Error> {
    let given = new.value.valid().filter(|value| !value.is_null());
    if given.is_none() {
        form.mistake("value is required");
    }
    let sensitive = form.boolean("is_sensitive", new.is_sensitive);
    let configs = provider_configs::list(&app.store, &id).await?;
    let existing = configs.iter().find(|config| config.key == key);
    let given = given.map(|given| kept(&app, &key, given, existing)).transpose()?;
    let checked = given.map(|given| if given == MASK { Ok(given) } else { checked(&key, given) }).transpose();
    let given = checked.unwrap_or_else(|mistakes| {
        form.mistakes(&mistakes);
        None
    });
    form.finish()?;
    let given = given.unwrap_or_default();
    find(&app, &id).await?;
    if given == MASK {
        // The secret stays unchanged; only `is_sensitive` may change.
        let kept = existing.ok_or_else(|| Error::Missing { what: ResourceKind::ConfigKey, id: key.clone() })?;
        let value = ConfigValue {
            key,
            is_sensitive: sensitive.unwrap_or(kept.is_sensitive),
            value: provider_configs::open(&app.sealer, kept)?,
        };
        return write(&app, id, value, &if_match).await;
    }
    let is_sensitive = sensitive.unwrap_or_else(|| sensitivity(&key, existing));
    let value = ConfigValue { key, value: Secret::new(given.to_string()), is_sensitive };
    check_files(&app, &configs, std::slice::from_ref(&value), false).await?;
    write(&app, id, value, &if_match).await
}

/// Deletes one key.
#[utoipa::path(
    delete, path = "/api/providers/{id}/config/{key}", tag = "provider-config",
    params(
        ("id" = String, Path), ("key" = String, Path),
        ("If-Match" = Option<String>, Header,
         description = "The `ETag` of the version of the provider from which the key is meant to be deleted"),
    ),
    responses(
    (status = 200, description = "Deleted", body = Done),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    ),
)]
pub(super) async fn delete(
    State(app): State<App>,
    Path((id, key)): Path<(String, String)>,
    if_match: IfMatch,
) -> Result<Json<Done>, Error> {
    find(&app, &id).await?;
    if_match.guard(&app, || present(&app, &id), || remove(&app, &id, &key)).await?;
    Ok(Json(Done::new("Configuration key deleted")))
}

async fn remove(app: &App, id: &str, key: &str) -> Result<(), Error> {
    provider_configs::delete(&app.store, id, key).await.or_missing(ResourceKind::ConfigKey, key)
}

async fn store(app: &App, id: &str, values: &[ConfigValue], now: i64) -> Result<(), Error> {
    provider_configs::put(&app.store, &app.sealer, id, values, now).await.or_missing(ResourceKind::Provider, id)
}

async fn write(app: &App, id: String, value: ConfigValue, if_match: &IfMatch) -> Result<Versioned<WrittenKey>, Error> {
    let now = unix_ms();
    let written = [value];
    if_match.guard(app, || present(app, &id), || store(app, &id, &written, now)).await?;
    let version = present(app, &id).await?;
    let [ConfigValue { key, value, is_sensitive }] = written;
    let row = ProviderConfig { provider_id: id, key, value, is_sensitive, updated_at: now };
    let written = WrittenKey {
        value: shown_value(app, &row, true)?,
        provider_id: row.provider_id,
        key: row.key,
        is_sensitive: row.is_sensitive,
        updated_at: row.updated_at,
    };
    Ok(Versioned(version, written))
}

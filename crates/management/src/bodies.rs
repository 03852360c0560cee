//! Types of request bodies, for the OpenAPI document. `filters` has the query parameters of lists, `refusals` the error
//! responses.
//!
//! Forms and queries are read field by field, so that every mistake is reported at once; no value of these types is
//! ever constructed. System tests check that they match the forms, with requests generated from the document.
#![expect(dead_code, reason = "only used for the OpenAPI document")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(super) mod schemas;

/// A provider to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderToMake {
    #[schema(pattern = "^[a-z0-9-]+$", min_length = 1, max_length = 128)]
    id: String,
    /// The name shown to users; unique.
    #[schema(schema_with = schemas::name)]
    name: String,
    /// A type listed by `GET /api/providers/types`; any other value means an OpenAI-compatible API.
    #[schema(pattern = "^[A-Za-z0-9_.-]+$", min_length = 1, max_length = 64)]
    r#type: String,
    /// `true` by default.
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// Providers with a higher priority are tried first; 0 by default.
    #[schema(nullable = false)]
    priority: Option<i64>,
    #[schema(schema_with = schemas::optional_prose)]
    description: Option<String>,
    /// The configuration, by the keys of the type. No value may be null.
    #[schema(schema_with = schemas::config)]
    config: Option<BTreeMap<String, Value>>,
}

/// The fields of a provider to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(super) struct ProviderChanges {
    #[schema(schema_with = schemas::name)]
    name: Option<String>,
    #[schema(pattern = "^[A-Za-z0-9_.-]+$", min_length = 1, max_length = 64, nullable = false)]
    r#type: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[schema(nullable = false)]
    priority: Option<i64>,
    #[schema(schema_with = schemas::optional_prose)]
    description: Option<String>,
}

/// Configuration keys and values.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigToMerge {
    /// No value may be null: delete the key instead.
    #[schema(schema_with = schemas::config)]
    config: BTreeMap<String, Value>,
}

/// A configuration value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigToSet {
    #[schema(schema_with = schemas::sendable)]
    value: Value,
    /// Whether the value is masked wherever it is shown; the default depends on the key.
    #[schema(nullable = false)]
    is_sensitive: Option<bool>,
}

/// A model to link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkToMake {
    #[schema(schema_with = schemas::name)]
    model_id: String,
    /// `false` by default.
    #[schema(nullable = false)]
    is_default: Option<bool>,
    #[schema(schema_with = schemas::link_config)]
    config: Option<Map<String, Value>>,
}

/// A model to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelToMake {
    /// Must not contain `..`.
    #[schema(pattern = r"^([A-Za-z0-9_:/-]|\.(?!\.))+$", min_length = 1, max_length = 128)]
    id: String,
    #[schema(schema_with = schemas::name)]
    name: String,
    #[schema(schema_with = schemas::optional_prose)]
    description: Option<String>,
    #[schema(schema_with = schemas::lines)]
    capabilities: Option<Vec<String>>,
}

/// The fields of a model to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(super) struct ModelChanges {
    #[schema(schema_with = schemas::name)]
    name: Option<String>,
    #[schema(schema_with = schemas::optional_prose)]
    description: Option<String>,
    #[schema(schema_with = schemas::lines)]
    capabilities: Option<Vec<String>>,
}

/// The value of a setting.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingToPut {
    /// Any value but null; the allowed values depend on the key.
    #[schema(schema_with = schemas::not_null)]
    value: Value,
}

/// Setting keys and values.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsToPut {
    settings: BTreeMap<String, Value>,
}

/// A login at chat.qwen.ai.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CredentialsToPut {
    #[schema(pattern = "^[ -~]*[!-~][ -~]*$", write_only)]
    token: String,
    /// The cookies in the format of a `Cookie` header.
    #[schema(pattern = "^[ -~]*[!-~][ -~]*$", write_only)]
    cookies: String,
    /// Unix time in seconds.
    #[schema(minimum = 1, maximum = 253_402_300_799_i64)]
    expires_at: Option<i64>,
    /// `default` by default.
    #[schema(schema_with = schemas::name)]
    label: Option<String>,
}

//! What callers send, for the OpenAPI document; `filters` has what lists take, `refusals` what is answered to mistakes.
//!
//! Forms and queries are read field by field, so that every mistake is reported at once; nothing is ever made of these
//! types. That they say the same as the forms is tested from outside, by requests made of the document.
#![expect(dead_code, reason = "see above")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(super) mod schemas;

/// A provider to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderToMake {
    #[schema(pattern = "^[a-z0-9-]+$", min_length = 1, max_length = 128)]
    id: String,
    /// For people; unique.
    #[schema(schema_with = schemas::name)]
    name: String,
    /// One of `GET /api/providers/types`; any other word speaks OpenAI's API.
    #[schema(pattern = "^[A-Za-z0-9_.-]+$", min_length = 1, max_length = 64)]
    r#type: String,
    /// `true` unless it is given.
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// Higher is tried first; 0 unless it is given.
    #[schema(nullable = false)]
    priority: Option<i64>,
    #[schema(schema_with = schemas::optional_prose)]
    description: Option<String>,
    /// How to reach it: the keys of its type. No value may be null.
    #[schema(schema_with = schemas::config)]
    config: Option<BTreeMap<String, Value>>,
}

/// What changes of a provider.
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

/// Keys and values.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigToMerge {
    /// No value may be null: delete the key instead.
    #[schema(schema_with = schemas::config)]
    config: BTreeMap<String, Value>,
}

/// A value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigToSet {
    #[schema(schema_with = schemas::sendable)]
    value: Value,
    /// Whether it is masked where it is shown; by default that depends on the key.
    #[schema(nullable = false)]
    is_sensitive: Option<bool>,
}

/// A model to be linked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkToMake {
    #[schema(schema_with = schemas::name)]
    model_id: String,
    /// `false` unless it is given.
    #[schema(nullable = false)]
    is_default: Option<bool>,
    #[schema(schema_with = schemas::link_config)]
    config: Option<Map<String, Value>>,
}

/// A model to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelToMake {
    /// No `..` in it.
    #[schema(pattern = r"^([A-Za-z0-9_:/-]|\.(?!\.))+$", min_length = 1, max_length = 128)]
    id: String,
    #[schema(schema_with = schemas::name)]
    name: String,
    #[schema(schema_with = schemas::optional_prose)]
    description: Option<String>,
    #[schema(schema_with = schemas::lines)]
    capabilities: Option<Vec<String>>,
}

/// What changes of a model.
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

/// A value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingToPut {
    /// Anything but null; what it has to be depends on the key.
    #[schema(schema_with = schemas::not_null)]
    value: Value,
}

/// Keys and values.
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
    /// As a `Cookie` header has them.
    #[schema(pattern = "^[ -~]*[!-~][ -~]*$", write_only)]
    cookies: String,
    /// In seconds since 1970.
    #[schema(minimum = 1, maximum = 253_402_300_799_i64)]
    expires_at: Option<i64>,
    /// `default` unless it is given.
    #[schema(schema_with = schemas::name)]
    label: Option<String>,
}

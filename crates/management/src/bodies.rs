//! What callers send, for the OpenAPI document; `filters` has what lists take, `refusals` what is answered to mistakes.
//!
//! Forms and queries are read field by field, so that every mistake is reported at once; nothing is ever made of these
//! types. That they say the same as the forms is tested from outside, by requests made of the document.
#![expect(dead_code, reason = "see above")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A provider to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderToMake {
    #[schema(pattern = "^[a-z0-9-]+$", min_length = 1, max_length = 128)]
    id: String,
    /// For people; unique.
    #[schema(pattern = r"[^\s\x85]")]
    name: String,
    /// One of `GET /api/providers/types`; any other word speaks OpenAI's API.
    #[schema(pattern = r"[^\s\x85]")]
    r#type: String,
    /// `true` unless it is given.
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// Higher is tried first; 0 unless it is given.
    #[schema(nullable = false)]
    priority: Option<i64>,
    description: Option<String>,
    /// How to reach it: the keys of its type. No value may be null.
    #[schema(schema_with = config)]
    config: Option<BTreeMap<String, Value>>,
}

/// What changes of a provider.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(super) struct ProviderChanges {
    #[schema(pattern = r"[^\s\x85]", nullable = false)]
    name: Option<String>,
    #[schema(pattern = r"[^\s\x85]", nullable = false)]
    r#type: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[schema(nullable = false)]
    priority: Option<i64>,
    description: Option<String>,
}

/// Keys and values.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigToMerge {
    /// No value may be null: delete the key instead.
    #[schema(schema_with = config)]
    config: BTreeMap<String, Value>,
}

/// A value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigToSet {
    #[schema(schema_with = sendable)]
    value: Value,
    /// Whether it is masked where it is shown; by default that depends on the key.
    #[schema(nullable = false)]
    is_sensitive: Option<bool>,
}

/// A model to be linked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkToMake {
    #[schema(pattern = r"[^\s\x85]")]
    model_id: String,
    /// `false` unless it is given.
    #[schema(nullable = false)]
    is_default: Option<bool>,
    config: Option<Map<String, Value>>,
}

/// A model to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelToMake {
    /// No `..` in it.
    #[schema(pattern = r"^([A-Za-z0-9_:/-]|\.(?!\.))+$", min_length = 1, max_length = 128)]
    id: String,
    #[schema(pattern = r"[^\s\x85]")]
    name: String,
    description: Option<String>,
    #[schema(nullable = false)]
    capabilities: Option<Vec<String>>,
}

/// What changes of a model.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(super) struct ModelChanges {
    #[schema(pattern = r"[^\s\x85]", nullable = false)]
    name: Option<String>,
    description: Option<String>,
    #[schema(nullable = false)]
    capabilities: Option<Vec<String>>,
}

/// A value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingToPut {
    /// Anything but null; what it has to be depends on the key.
    #[schema(schema_with = not_null)]
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
    #[schema(pattern = r"[^\s\x85]", nullable = false)]
    label: Option<String>,
}

/// A configuration: anything but null under each key.
fn config() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
    let keys = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"[^\s\x85]")).max_length(Some(128)).build();
    ObjectBuilder::new()
        .property_names(Some(keys))
        .additional_properties(Some(AdditionalProperties::RefOr(sendable().into())))
        .build()
}

/// What a provider can be configured with: see `openapi::sendable`.
fn sendable() -> utoipa::openapi::Ref {
    utoipa::openapi::Ref::from_schema_name("Sendable")
}

/// Anything but null.
fn not_null() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
    let types = vec![Type::Object, Type::Array, Type::String, Type::Number, Type::Boolean];
    ObjectBuilder::new().schema_type(SchemaType::Array(types)).build()
}

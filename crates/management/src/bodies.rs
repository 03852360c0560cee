//! Request bodies. Each type is read from requests and described in the OpenAPI document; see [`form`](super::form).
//!
//! The descriptions are as strict as the checks in the handlers. System tests check that with requests generated from
//! the document.

use serde::Deserialize;
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

use super::form::Field;

pub(super) mod route_schemas;
pub(super) mod schemas;

/// A provider to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderToMake {
    #[schema(value_type = String, pattern = "^[a-z0-9-]+$", min_length = 1, max_length = 128)]
    pub(super) id: Field<String>,
    /// The name shown to users; unique.
    #[schema(schema_with = schemas::name)]
    pub(super) name: Field<String>,
    /// A type listed by `GET /api/providers/types`; any other value means an OpenAI-compatible API.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_.-]+$", min_length = 1, max_length = 64)]
    pub(super) r#type: Field<String>,
    /// `true` by default.
    #[serde(default)]
    #[schema(value_type = bool)]
    pub(super) enabled: Field<bool>,
    /// Providers with a higher priority are tried first; 0 by default.
    #[serde(default)]
    #[schema(value_type = i64)]
    pub(super) priority: Field<Number>,
    #[serde(default)]
    #[schema(schema_with = schemas::optional_prose)]
    pub(super) description: Field<Option<String>>,
    /// The configuration, by the keys of the type. No value may be null.
    #[serde(default)]
    #[schema(schema_with = schemas::config)]
    pub(super) config: Field<Map<String, Value>>,
}

/// The fields of a provider to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(super) struct ProviderChanges {
    #[serde(default)]
    #[schema(schema_with = schemas::name)]
    pub(super) name: Field<String>,
    #[serde(default)]
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_.-]+$", min_length = 1, max_length = 64)]
    pub(super) r#type: Field<String>,
    #[serde(default)]
    #[schema(value_type = bool)]
    pub(super) enabled: Field<bool>,
    #[serde(default)]
    #[schema(value_type = i64)]
    pub(super) priority: Field<Number>,
    #[serde(default)]
    #[schema(schema_with = schemas::optional_prose)]
    pub(super) description: Field<Option<String>>,
}

/// Configuration keys and values.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigToMerge {
    /// No value may be null: delete the key instead.
    #[schema(schema_with = schemas::config)]
    pub(super) config: Field<Map<String, Value>>,
}

/// A configuration value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigToSet {
    #[schema(schema_with = schemas::sendable)]
    pub(super) value: Field<Value>,
    /// Whether the value is masked wherever it is shown; the default depends on the key.
    #[serde(default)]
    #[schema(value_type = bool)]
    pub(super) is_sensitive: Field<bool>,
}

/// A model to link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkToMake {
    #[schema(schema_with = schemas::name)]
    pub(super) model_id: Field<String>,
    /// `false` by default.
    #[serde(default)]
    #[schema(value_type = bool)]
    pub(super) is_default: Field<bool>,
    #[serde(default)]
    #[schema(schema_with = schemas::link_config)]
    pub(super) config: Field<Option<Map<String, Value>>>,
}

/// A model to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelToMake {
    /// Must not contain `..`.
    #[schema(value_type = String, pattern = r"^([A-Za-z0-9_:/-]|\.(?!\.))+$", min_length = 1, max_length = 128)]
    pub(super) id: Field<String>,
    #[schema(schema_with = schemas::name)]
    pub(super) name: Field<String>,
    #[serde(default)]
    #[schema(schema_with = schemas::optional_prose)]
    pub(super) description: Field<Option<String>>,
    #[serde(default)]
    #[schema(schema_with = schemas::lines)]
    pub(super) capabilities: Field<Value>,
}

/// The fields of a model to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(super) struct ModelChanges {
    #[serde(default)]
    #[schema(schema_with = schemas::name)]
    pub(super) name: Field<String>,
    #[serde(default)]
    #[schema(schema_with = schemas::optional_prose)]
    pub(super) description: Field<Option<String>>,
    #[serde(default)]
    #[schema(schema_with = schemas::lines)]
    pub(super) capabilities: Field<Value>,
}

/// The value of a setting.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingToPut {
    /// Any value but null; the allowed values depend on the key.
    #[schema(schema_with = schemas::not_null)]
    pub(super) value: Field<Value>,
}

/// Setting keys and values.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsToPut {
    #[schema(value_type = BTreeMap<String, Value>)]
    pub(super) settings: Field<Map<String, Value>>,
}

/// A login at chat.qwen.ai.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CredentialsToPut {
    #[schema(value_type = String, pattern = "^[ -~]*[!-~][ -~]*$", write_only)]
    pub(super) token: Field<String>,
    /// The cookies in the format of a `Cookie` header.
    #[schema(value_type = String, pattern = "^[ -~]*[!-~][ -~]*$", write_only)]
    pub(super) cookies: Field<String>,
    /// Unix time in seconds.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 253_402_300_799_i64)]
    pub(super) expires_at: Field<Value>,
    /// `default` by default.
    #[serde(default)]
    #[schema(schema_with = schemas::name)]
    pub(super) label: Field<String>,
}

/// A document of prices; its rows are described in the documentation. Rows that have the same id, or price the same
/// model at the same provider and time, win over the shipped ones.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PricesToPut {
    /// The version of the schema: 1.
    #[serde(default)]
    #[schema(value_type = i64, minimum = 1, maximum = 1)]
    pub(super) v: Field<Value>,
    /// A version of the document, for its author.
    #[serde(default)]
    #[schema(value_type = String, pattern = "^[A-Za-z0-9._-]+$", min_length = 1, max_length = 32)]
    pub(super) version: Field<Value>,
    /// The date of the prices.
    #[serde(default)]
    #[schema(value_type = String, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    pub(super) as_of: Field<Value>,
    #[serde(default)]
    #[schema(schema_with = schemas::name)]
    pub(super) source: Field<Value>,
    #[serde(default)]
    #[schema(schema_with = schemas::name)]
    pub(super) note: Field<Value>,
    /// By provider type: the provider types whose prices it passes on, by the vendor in the names of its models.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(super) resellers: Field<Value>,
    /// The rows.
    #[schema(value_type = Vec<Object>)]
    pub(super) prices: Field<Value>,
}

/// A route. A field that is absent or null has its default value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteToPut {
    /// The name of the model in requests, unique; a single `*` matches any characters in its place.
    #[schema(schema_with = route_schemas::model)]
    pub(super) model: Field<Value>,
    /// `true` by default.
    #[serde(default)]
    #[schema(schema_with = route_schemas::flag)]
    pub(super) enabled: Field<Value>,
    /// Other names of the route.
    #[serde(default)]
    #[schema(schema_with = route_schemas::aliases)]
    pub(super) aliases: Field<Value>,
    /// The order in which the targets are tried; `priority` by default: the order in which they are given.
    #[serde(default)]
    #[schema(schema_with = route_schemas::policy)]
    pub(super) policy: Field<Value>,
    /// The providers to ask, and the model to ask each for; a `*` takes the text that matched the one in `model`.
    #[schema(schema_with = route_schemas::targets)]
    pub(super) targets: Field<Value>,
    /// Attempts after the first one, over all targets; if absent, each target is tried once.
    #[serde(default)]
    #[schema(schema_with = route_schemas::retries)]
    pub(super) retries: Field<Value>,
    /// Deadlines that replace those of the router.
    #[serde(default)]
    #[schema(schema_with = route_schemas::deadlines)]
    pub(super) deadlines: Field<Value>,
    /// The continuation of a broken stream; `off` by default.
    #[serde(default)]
    #[schema(schema_with = route_schemas::resume)]
    pub(super) resume: Field<Value>,
    /// The property of a request that keeps it at the same target; none by default.
    #[serde(default)]
    #[schema(schema_with = route_schemas::sticky)]
    pub(super) sticky: Field<Value>,
    /// Whether a translation that loses a field is refused; `false` by default.
    #[serde(default)]
    #[schema(schema_with = route_schemas::flag)]
    pub(super) strict: Field<Value>,
    /// Whether clients that lose their connection may fetch the rest of a stream; `false` by default.
    #[serde(default)]
    #[schema(schema_with = route_schemas::flag)]
    pub(super) resumable: Field<Value>,
    /// The cache of its answers; none by default.
    #[serde(default)]
    #[schema(schema_with = route_schemas::cache)]
    pub(super) cache: Field<Value>,
    /// Rules for the content of its requests and answers, in addition to those of the configuration; none by default.
    #[serde(default)]
    #[schema(schema_with = route_schemas::guard)]
    pub(super) guard: Field<Value>,
    /// Limits of the rate of its requests.
    #[serde(default)]
    #[schema(schema_with = route_schemas::limits)]
    pub(super) limits: Field<Value>,
    /// A second attempt with the next target while the first one is slow; off by default.
    #[serde(default)]
    #[schema(schema_with = route_schemas::hedge)]
    pub(super) hedge: Field<Value>,
    /// Another target that gets a copy of a share of the requests; none by default.
    #[serde(default)]
    #[schema(schema_with = route_schemas::mirror)]
    pub(super) mirror: Field<Value>,
}

/// The name, the permissions and the limits of a key. A field that is absent or null restricts nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyToPut {
    /// Name that says its purpose; unique.
    #[schema(schema_with = route_schemas::key_name)]
    pub(super) name: Field<Value>,
    /// The person or team that uses it.
    #[serde(default)]
    #[schema(schema_with = route_schemas::owner)]
    pub(super) owner: Field<Value>,
    /// Labels for the sums of costs.
    #[serde(default)]
    #[schema(schema_with = route_schemas::tags)]
    pub(super) tags: Field<Value>,
    /// The models that may be requested; a `*` matches any characters in its place. A name with `!` in front denies the
    /// model, and wins over those that allow it; a list that only denies allows all others.
    #[serde(default)]
    #[schema(schema_with = route_schemas::models)]
    pub(super) models: Field<Value>,
    /// The APIs that may be used.
    #[serde(default)]
    #[schema(schema_with = route_schemas::surfaces)]
    pub(super) surfaces: Field<Value>,
    /// The addresses and networks that may present it.
    #[serde(default)]
    #[schema(schema_with = route_schemas::addresses)]
    pub(super) addresses: Field<Value>,
    /// Limits of the rate.
    #[serde(default)]
    #[schema(schema_with = route_schemas::limits)]
    pub(super) limits: Field<Value>,
    /// Place of its requests among those that wait for a limit; `normal` if it is absent.
    #[serde(default)]
    #[schema(schema_with = route_schemas::priority)]
    pub(super) priority: Field<Value>,
    /// The money that may be spent in a period, in UTC.
    #[serde(default)]
    #[schema(schema_with = route_schemas::budget)]
    pub(super) budget: Field<Value>,
    /// How much of its requests is logged; if absent, as the provider says.
    #[serde(default)]
    #[schema(schema_with = route_schemas::log_bodies)]
    pub(super) log_bodies: Field<Value>,
    /// Whether a translation that loses a field is refused; `false` by default.
    #[serde(default)]
    #[schema(schema_with = route_schemas::flag)]
    pub(super) strict: Field<Value>,
    /// Rules for the content of its requests and answers, in addition to those of the configuration and the route.
    #[serde(default)]
    #[schema(schema_with = route_schemas::guard)]
    pub(super) guard: Field<Value>,
    /// When it ends to be valid: a time in RFC 3339, or Unix milliseconds.
    #[serde(default)]
    #[schema(schema_with = route_schemas::expires_at)]
    pub(super) expires_at: Field<Value>,
}

/// A rotation of a key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotationToMake {
    /// How long the previous key stays valid; 0 by default: it ends at once.
    #[serde(default)]
    #[schema(schema_with = route_schemas::overlap)]
    pub(super) overlap_seconds: Field<Option<Number>>,
}

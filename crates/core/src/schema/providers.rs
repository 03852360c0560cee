//! Table `providers`: the upstreams that answer requests.

use serde::Serialize;

/// A row of `providers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Provider {
    /// Lowercase letters, digits and hyphens.
    pub id: String,
    /// The name shown to users; unique.
    pub name: String,
    /// The type that selects the adapter: `openai`, `lm-studio`, `qwen-proxy`, `echo`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the provider receives requests.
    pub enabled: bool,
    /// Providers with a higher priority are tried first.
    pub priority: i64,
    /// The description shown to users.
    pub description: Option<String>,
    /// When the provider was created.
    pub created_at: i64,
    /// When the provider was last changed.
    pub updated_at: i64,
}

/// The fields of a new provider.
#[derive(Clone, Debug)]
pub struct NewProvider {
    /// See [`Provider::id`].
    pub id: String,
    /// See [`Provider::name`].
    pub name: String,
    /// See [`Provider::kind`].
    pub kind: String,
    /// See [`Provider::enabled`].
    pub enabled: bool,
    /// See [`Provider::priority`].
    pub priority: i64,
    /// See [`Provider::description`].
    pub description: Option<String>,
}

/// A change of a provider: `None` leaves a field unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderUpdate {
    /// See [`Provider::name`].
    pub name: Option<String>,
    /// See [`Provider::kind`].
    pub kind: Option<String>,
    /// See [`Provider::enabled`].
    pub enabled: Option<bool>,
    /// See [`Provider::priority`].
    pub priority: Option<i64>,
    /// See [`Provider::description`]; `Some(None)` clears it.
    pub description: Option<Option<String>>,
}

//! Table `providers`: who answers requests.

use serde::Serialize;

/// A row of `providers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Provider {
    /// Lowercase letters, digits and hyphens.
    pub id: String,
    /// For people; unique.
    pub name: String,
    /// Which adapter speaks to it: `openai`, `lm-studio`, `qwen-proxy`, `echo`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Disabled providers receive nothing.
    pub enabled: bool,
    /// Higher is tried first.
    pub priority: i64,
    /// For people.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: i64,
}

/// What it takes to make a provider.
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

/// A change of a provider: `None` leaves a field as it is.
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

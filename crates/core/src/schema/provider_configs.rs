//! Table `provider_configs`: the configuration of the providers, one row per key.

use crate::secret::Secret;

/// A row of `provider_configs`. Its value may be a secret, so it cannot be printed or serialised.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The provider that the row configures.
    pub provider_id: String,
    /// `baseURL`, `apiKey`, `timeout`, `headers`, …
    pub key: String,
    /// The value as JSON text (`"text"`, `120000`, `{"x":"y"}`). Rows written by the Node.js version may hold bare
    /// text.
    pub value: Secret<String>,
    /// Whether the value is masked wherever it is shown.
    pub is_sensitive: bool,
    /// When the value was last changed.
    pub updated_at: i64,
}

/// A value to write.
#[derive(Clone, Debug)]
pub struct ConfigValue {
    /// See [`ProviderConfig::key`].
    pub key: String,
    /// See [`ProviderConfig::value`].
    pub value: Secret<String>,
    /// See [`ProviderConfig::is_sensitive`].
    pub is_sensitive: bool,
}

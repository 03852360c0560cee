//! Table `provider_models`: which provider serves which model.

use super::Model;

/// A row of `provider_models`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderModel {
    /// Its number.
    pub id: i64,
    /// The provider.
    pub provider_id: String,
    /// The model.
    pub model_id: String,
    /// Used when a request names the provider but no model. At most one per provider.
    pub is_default: bool,
    /// JSON object; `upstream_model` is the name the provider knows the model by.
    pub config: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: i64,
}

/// A model as one provider serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedModel {
    /// The model.
    pub model: Model,
    /// See [`ProviderModel::is_default`].
    pub is_default: bool,
    /// See [`ProviderModel::config`].
    pub config: Option<String>,
}

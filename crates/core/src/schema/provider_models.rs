//! Table `provider_models`: the models that each provider serves.

use super::Model;

/// A row of `provider_models`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderModel {
    /// The number of the row.
    pub id: i64,
    /// The provider.
    pub provider_id: String,
    /// The model.
    pub model_id: String,
    /// Whether the model is used when a request names the provider but no model. At most one per provider.
    pub is_default: bool,
    /// A JSON object; `upstream_model` is the provider's name for the model.
    pub config: Option<String>,
    /// When the link was created.
    pub created_at: i64,
    /// When the link was last changed.
    pub updated_at: i64,
}

/// A model as served by one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedModel {
    /// The model.
    pub model: Model,
    /// See [`ProviderModel::is_default`].
    pub is_default: bool,
    /// See [`ProviderModel::config`].
    pub config: Option<String>,
}

//! Table `model_lists`: the model lists that the providers returned most recently.
//!
//! [`crate::provider_models`] holds the links made by users or by a sync; this table holds the providers' own lists,
//! which are never edited.

use signalbox_core::openai::Model;

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::{Error, Store};

/// The last valid list of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelList {
    /// The provider.
    pub provider_id: String,
    /// The address that returned the list.
    pub base_url: String,
    /// The models, in the provider's order.
    pub models: Vec<Model>,
    /// When the list last changed, in Unix milliseconds.
    pub updated_at: i64,
}

pub(crate) const ALL: &str = "SELECT * FROM model_lists ORDER BY provider_id";

/// Returns the lists of all providers that have one.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store) -> Result<Vec<ModelList>, Error> {
    store.all(Statement::new(ALL)).await
}

/// Stores a provider's list. Writes nothing if the list is unchanged or the provider does not exist.
///
/// # Errors
/// See [`Error`].
pub async fn put(store: &Store, provider_id: &str, base_url: &str, models: &[Model], now_ms: i64) -> Result<(), Error> {
    let models = serde_json::to_string(models).map_err(|error| Error::Invalid(error.to_string()))?;
    let same =
        Statement::new("SELECT 1 AS one FROM model_lists WHERE provider_id = $1 AND base_url = $2 AND models = $3")
            .bind(provider_id)
            .bind(base_url)
            .bind(models.as_str());
    // A list is fetched far more often than it changes, and a read does not block other clients.
    if store.first::<()>(same).await?.is_some() {
        return Ok(());
    }
    let statement = Statement::new(
        "INSERT INTO model_lists (provider_id, base_url, models, updated_at)
         SELECT id, $2, $3, $4 FROM providers WHERE id = $1
         ON CONFLICT (provider_id) DO UPDATE
         SET base_url = excluded.base_url, models = excluded.models, updated_at = excluded.updated_at",
    )
    .bind(provider_id)
    .bind(base_url)
    .bind(models.as_str())
    .bind(now_ms);
    let mut tx = store.write().await?;
    tx.execute(statement).await?;
    tx.commit().await
}

// === impl FromRow ===

impl FromRow for ModelList {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let (provider_id, models) = (row.text("provider_id")?, row.text("models")?);
        // A list can be fetched again, so a damaged one must not make the whole catalogue unreadable.
        let models = serde_json::from_str(&models).unwrap_or_else(|error| {
            tracing::warn!(provider = provider_id, %error, "stored model list is unreadable and is ignored");
            Vec::new()
        });
        Ok(Self { provider_id, base_url: row.text("base_url")?, models, updated_at: row.int("updated_at")? })
    }
}

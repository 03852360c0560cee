//! Rows of the table `provider_models`.

use signalbox_core::schema::{LinkedModel, Model, ProviderModel};

use crate::Error;
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;

/// The name of a row of this table in errors.
pub(crate) const ENTITY: &str = "link";

/// The fields of a new link.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// See [`ProviderModel::provider_id`].
    pub provider_id: String,
    /// See [`ProviderModel::model_id`].
    pub model_id: String,
    /// See [`ProviderModel::is_default`]; replaces the previous default, if any.
    pub is_default: bool,
    /// See [`ProviderModel::config`].
    pub config: Option<String>,
}

/// Creates a link.
pub(crate) async fn add(tx: &mut Transaction, link: &NewLink, now_ms: i64) -> Result<ProviderModel, Error> {
    let statement = Statement::new(
        "INSERT INTO provider_models (provider_id, model_id, is_default, config, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5) RETURNING *",
    )
    .bind(&link.provider_id)
    .bind(&link.model_id)
    .bind(link.is_default)
    .bind(link.config.as_deref())
    .bind(now_ms);
    tx.one(statement, ENTITY).await
}

/// Creates or updates a link.
pub(crate) async fn put(tx: &mut Transaction, link: &NewLink, now_ms: i64) -> Result<(), Error> {
    if link.is_default {
        clear_default(tx, &link.provider_id, now_ms).await?;
    }
    let statement = Statement::new(
        "INSERT INTO provider_models (provider_id, model_id, is_default, config, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT (provider_id, model_id) DO UPDATE
         SET is_default = excluded.is_default, config = excluded.config, updated_at = excluded.updated_at",
    )
    .bind(&link.provider_id)
    .bind(&link.model_id)
    .bind(link.is_default)
    .bind(link.config.as_deref())
    .bind(now_ms);
    tx.execute(statement).await.map(drop)
}

/// Clears the default of a provider.
pub(crate) async fn clear_default(tx: &mut Transaction, provider_id: &str, now_ms: i64) -> Result<(), Error> {
    let statement = Statement::new(
        "UPDATE provider_models SET is_default = FALSE, updated_at = $2 WHERE provider_id = $1 AND is_default",
    );
    tx.execute(statement.bind(provider_id).bind(now_ms)).await.map(drop)
}

// === impl FromRow ===

impl FromRow for ProviderModel {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.int("id")?,
            provider_id: row.text("provider_id")?,
            model_id: row.text("model_id")?,
            is_default: row.flag("is_default")?,
            config: row.optional_text("config")?,
            created_at: row.int("created_at")?,
            updated_at: row.int("updated_at")?,
        })
    }
}

impl FromRow for LinkedModel {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            model: Model::from_row(row)?,
            is_default: row.flag("is_default")?,
            config: row.optional_text("config")?,
        })
    }
}

//! Table `provider_models`: the links between providers and models.

use signalbox_core::schema::{LinkedModel, NewModel, Provider, ProviderModel};

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::tables::models::{ENTITY as MODEL, add_if_missing};
pub use crate::tables::provider_models::NewLink;
use crate::tables::provider_models::{ENTITY, add, clear_default};
use crate::tables::providers::lock_row;
use crate::{Error, Store};

/// A provider that serves a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedProvider {
    /// The provider.
    pub provider: Provider,
    /// See [`ProviderModel::is_default`].
    pub is_default: bool,
    /// See [`ProviderModel::config`].
    pub config: Option<String>,
}

/// The result of a sync with a provider's own list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Number of models that were created.
    pub models_added: u64,
    /// Number of links that were created.
    pub links_added: u64,
}

/// Returns the models of a provider: the default first, then by name. Empty for an unknown provider.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store, provider_id: &str) -> Result<Vec<LinkedModel>, Error> {
    let statement = Statement::new(
        "SELECT models.*, link.is_default, link.config FROM provider_models AS link
         JOIN models ON models.id = link.model_id
         WHERE link.provider_id = $1 ORDER BY link.is_default DESC, models.name, models.id",
    );
    store.all(statement.bind(provider_id)).await
}

/// Returns the providers of a model, in the order in which they are tried. Empty for an unknown model.
///
/// # Errors
/// See [`Error`].
pub async fn providers_of(store: &Store, model_id: &str) -> Result<Vec<LinkedProvider>, Error> {
    let statement = Statement::new(
        "SELECT providers.*, link.is_default, link.config FROM provider_models AS link
         JOIN providers ON providers.id = link.provider_id
         WHERE link.model_id = $1 ORDER BY providers.priority DESC, providers.name",
    );
    store.all(statement.bind(model_id)).await
}

/// Creates a link.
///
/// # Errors
/// [`Error::NotFound`]: `provider` or `model`; [`Error::Conflict`] if they are linked already; see [`Error`].
pub async fn link(store: &Store, link: &NewLink, now_ms: i64) -> Result<ProviderModel, Error> {
    let mut tx = store.write().await?;
    lock_row(&mut tx, &link.provider_id).await?;
    let model = Statement::new("SELECT 1 AS one FROM models WHERE id = $1").bind(&link.model_id);
    tx.one::<()>(model, MODEL).await?;
    if link.is_default {
        clear_default(&mut tx, &link.provider_id, now_ms).await?;
    }
    let row = add(&mut tx, link, now_ms).await?;
    tx.commit().await?;
    Ok(row)
}

/// Creates and links the models that a provider lists. Keeps all changes made by users: names, descriptions, links to
/// models that are not listed, and the default. If there is no default, the first model of the list becomes the
/// default.
///
/// # Errors
/// [`Error::NotFound`]: `provider`; see [`Error`].
pub async fn sync(store: &Store, provider_id: &str, listed: &[String], now_ms: i64) -> Result<Synced, Error> {
    let mut synced = Synced::default();
    let mut tx = store.write().await?;
    lock_row(&mut tx, provider_id).await?;
    for id in listed {
        let model = NewModel {
            id: id.clone(),
            name: id.clone(),
            description: Some(format!("{id} - Discovered from {provider_id}")),
            capabilities: vec!["chat".to_owned(), "completion".to_owned()],
        };
        synced.models_added += u64::from(add_if_missing(&mut tx, &model, now_ms).await?);
        let link = Statement::new(
            "INSERT INTO provider_models (provider_id, model_id, is_default, created_at, updated_at)
             VALUES ($1, $2, FALSE, $3, $3) ON CONFLICT (provider_id, model_id) DO NOTHING",
        );
        synced.links_added += tx.execute(link.bind(provider_id).bind(id).bind(now_ms)).await?;
    }
    if let Some(first) = listed.first() {
        let default = Statement::new(
            "UPDATE provider_models SET is_default = TRUE, updated_at = $3 WHERE provider_id = $1 AND model_id = $2
                 AND NOT EXISTS (SELECT 1 FROM provider_models WHERE provider_id = $1 AND is_default)",
        );
        tx.execute(default.bind(provider_id).bind(first).bind(now_ms)).await?;
    }
    tx.commit().await?;
    Ok(synced)
}

/// Deletes a link.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn unlink(store: &Store, provider_id: &str, model_id: &str) -> Result<(), Error> {
    let statement = Statement::new("DELETE FROM provider_models WHERE provider_id = $1 AND model_id = $2");
    store.change(statement.bind(provider_id).bind(model_id), ENTITY).await
}

/// Makes a linked model the only default of its provider.
///
/// # Errors
/// [`Error::NotFound`]: `provider` or `link`; see [`Error`].
pub async fn set_default(
    store: &Store,
    provider_id: &str,
    model_id: &str,
    now_ms: i64,
) -> Result<ProviderModel, Error> {
    let mut tx = store.write().await?;
    lock_row(&mut tx, provider_id).await?;
    clear_default(&mut tx, provider_id, now_ms).await?;
    let statement = Statement::new(
        "UPDATE provider_models SET is_default = TRUE, updated_at = $3
         WHERE provider_id = $1 AND model_id = $2 RETURNING *",
    )
    .bind(provider_id)
    .bind(model_id)
    .bind(now_ms);
    let row = tx.one(statement, ENTITY).await?;
    tx.commit().await?;
    Ok(row)
}

// === impl FromRow ===

impl FromRow for LinkedProvider {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            provider: Provider::from_row(row)?,
            is_default: row.flag("is_default")?,
            config: row.optional_text("config")?,
        })
    }
}

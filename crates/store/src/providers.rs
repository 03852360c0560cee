//! Table `providers`: the upstreams that answer requests.

use signalbox_core::schema::{ConfigValue, NewProvider, Provider, ProviderUpdate};

use crate::statement::{Filtered, Statement};
use crate::tables::provider_configs;
use crate::tables::providers::{ENTITY, add};
use crate::{Error, ListPage, Page, Sealer, Store};

/// Selects providers. `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Providers of this type.
    pub kind: Option<String>,
    /// Providers that are enabled, or disabled.
    pub enabled: Option<bool>,
}

/// Returns the providers in the order in which they are tried: the highest priority first, then by name.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store, filter: &Filter, page: Page) -> Result<ListPage<Provider>, Error> {
    let page = page.check()?;
    let mut filtered = Filtered::default();
    filtered.and_if("type = ?", filter.kind.as_deref());
    filtered.and_if("enabled = ?", filter.enabled);
    let mut tx = store.read().await?;
    let total = tx.total(filtered.all("SELECT COUNT(*) AS total FROM providers")).await?;
    let items = tx.all(filtered.page("SELECT * FROM providers", "ORDER BY priority DESC, name", page)).await?;
    Ok(ListPage { items, total })
}

/// Returns one provider.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn get(store: &Store, id: &str) -> Result<Provider, Error> {
    store.one(Statement::new("SELECT * FROM providers WHERE id = $1").bind(id), ENTITY).await
}

/// Creates a provider together with its configuration.
///
/// # Errors
/// [`Error::Conflict`] if `providers.id` or `providers.name` is taken; see [`Error`].
pub async fn insert(
    store: &Store,
    sealer: &Sealer,
    provider: &NewProvider,
    configs: &[ConfigValue],
    now_ms: i64,
) -> Result<Provider, Error> {
    let configs = provider_configs::sealed(sealer, &provider.id, configs)?;
    let mut tx = store.write().await?;
    let provider = add(&mut tx, provider, now_ms).await?;
    provider_configs::upsert(&mut tx, &provider.id, &configs, now_ms).await?;
    tx.commit().await?;
    Ok(provider)
}

/// Updates a provider.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] if `providers.name` is taken; see [`Error`].
pub async fn update(store: &Store, id: &str, update: &ProviderUpdate, now_ms: i64) -> Result<Provider, Error> {
    let statement = Statement::new(
        "UPDATE providers SET name = COALESCE($2, name), type = COALESCE($3, type), enabled = COALESCE($4, enabled),
             priority = COALESCE($5, priority), description = CASE WHEN $6 THEN $7 ELSE description END, updated_at = $8
         WHERE id = $1 RETURNING *",
    )
    .bind(id)
    .bind(update.name.as_deref())
    .bind(update.kind.as_deref())
    .bind(update.enabled)
    .bind(update.priority)
    .bind(update.description.is_some())
    .bind(update.description.as_ref().and_then(Option::as_deref))
    .bind(now_ms);
    store.change_returning(statement, ENTITY).await
}

/// Deletes a provider with its configuration and its links. Its requests stay in the log.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, id: &str) -> Result<(), Error> {
    store.change(Statement::new("DELETE FROM providers WHERE id = $1").bind(id), ENTITY).await
}

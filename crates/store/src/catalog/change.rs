//! Applies several changes of the catalogue atomically, and only to the version they were computed for.

use signalbox_core::schema::{ApiKeyFields, ConfigValue, NewApiKey, NewModel, NewProvider, NewRoute, Provider};

use crate::prices::PriceSource;
use crate::statement::Statement;
use crate::tables::provider_models::{self, NewLink};
use crate::tables::{api_keys, models, provider_configs, providers, routes};
use crate::transaction::Transaction;
use crate::{Error, Sealer, Store};

/// A change. Created or changed rows are given completely.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are named like the columns")]
pub enum Change {
    /// Creates or updates a provider; its configuration and its links are kept.
    Provider(NewProvider),
    /// Deletes a provider with its configuration and its links.
    DeleteProvider(String),
    /// Sets a value in the configuration of a provider.
    Config { provider_id: String, value: ConfigValue },
    /// Deletes a key from the configuration of a provider.
    DeleteConfig { provider_id: String, key: String },
    /// Creates or updates a model; its links are kept.
    Model(NewModel),
    /// Deletes a model with its links.
    DeleteModel(String),
    /// Creates or updates a link. A default link replaces the previous default of its provider.
    Link(NewLink),
    /// Deletes a link.
    DeleteLink { provider_id: String, model_id: String },
    /// Sets a setting.
    Setting { key: String, value: String },
    /// Resets a setting to its default.
    ResetSetting(String),
    /// Creates or updates a route.
    Route(NewRoute),
    /// Deletes a route.
    DeleteRoute(String),
    /// Creates a key.
    NewKey(NewApiKey),
    /// Updates a key, which must exist.
    Key { id: String, fields: ApiKeyFields },
    /// Deletes a key.
    DeleteKey(String),
    /// Sets the document of prices.
    Prices(String),
    /// Deletes the document of prices.
    DeletePrices,
}

/// Applies the changes, independently of their order, if the catalogue still has this [`version`](super::version);
/// returns whether it had. Deleting a row that does not exist is not an error.
///
/// # Errors
/// [`Error::Conflict`] if a name is taken, [`Error::NotFound`] if a value or a link refers to a missing row;
/// see [`Error`].
pub async fn change(
    store: &Store,
    sealer: &Sealer,
    version: i64,
    changes: &[Change],
    now_ms: i64,
) -> Result<bool, Error> {
    let mut tx = store.write().await?;
    if super::hold(store, &mut tx).await? != version {
        return Ok(false);
    }
    let mut changes: Vec<&Change> = changes.iter().collect();
    changes.sort_by_key(|change| change.execution_order());
    free_names(&mut tx, &changes).await?;
    free_models(&mut tx, &changes).await?;
    let routes_change = changes.iter().any(|change| matches!(change, Change::Route(_)));
    for change in changes {
        execute_change(&mut tx, sealer, change, now_ms).await?;
    }
    if routes_change {
        routes::check_names(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Renames providers temporarily, so that two providers can swap names despite the unique constraint.
async fn free_names(tx: &mut Transaction, changes: &[&Change]) -> Result<(), Error> {
    let new = || changes.iter().filter_map(|change| if let Change::Provider(new) = change { Some(new) } else { None });
    if new().nth(1).is_none() {
        return Ok(());
    }
    let rows: Vec<Provider> = tx.all(Statement::new("SELECT * FROM providers")).await?;
    for row in rows {
        let gives_up = new().any(|new| new.id == row.id && new.name != row.name);
        if gives_up && new().any(|new| new.id != row.id && new.name == row.name) {
            let free = Statement::new("UPDATE providers SET name = 'renamed: ' || id WHERE id = $1");
            tx.execute(free.bind(row.id)).await?;
        }
    }
    Ok(())
}

/// Renames routes temporarily, for the same reason.
async fn free_models(tx: &mut Transaction, changes: &[&Change]) -> Result<(), Error> {
    let new = || changes.iter().filter_map(|change| if let Change::Route(new) = change { Some(new) } else { None });
    if new().nth(1).is_none() {
        return Ok(());
    }
    for row in routes::names(tx).await? {
        let gives_up = new().any(|new| new.id == row.id && new.model != row.model);
        if gives_up && new().any(|new| new.id != row.id && new.model == row.model) {
            let free = Statement::new("UPDATE routes SET model = 'renamed: ' || id WHERE id = $1");
            tx.execute(free.bind(row.id)).await?;
        }
    }
    Ok(())
}

async fn execute_change(tx: &mut Transaction, sealer: &Sealer, change: &Change, now_ms: i64) -> Result<(), Error> {
    let statement = match change {
        Change::Provider(provider) => return providers::put(tx, provider, now_ms).await,
        Change::Model(model) => return models::put(tx, model, now_ms).await,
        Change::Link(link) => return provider_models::put(tx, link, now_ms).await,
        Change::Config { provider_id, value } => {
            let value = provider_configs::sealed(sealer, provider_id, std::slice::from_ref(value))?;
            return provider_configs::upsert(tx, provider_id, &value, now_ms).await;
        }
        Change::Setting { key, value } => return crate::settings::set(tx, key, value, now_ms).await,
        Change::Route(route) => return routes::put(tx, route, now_ms).await,
        Change::NewKey(key) => return tx.one::<()>(crate::api_keys::insertion(key, now_ms)?, api_keys::ENTITY).await,
        Change::Key { id, fields } => return api_keys::update(tx, id, fields, now_ms).await.map(drop),
        Change::Prices(document) => return crate::prices::set(tx, PriceSource::Overrides, document, now_ms).await,
        Change::DeletePrices => crate::prices::remove(PriceSource::Overrides),
        Change::DeleteKey(id) => Statement::new("DELETE FROM api_keys WHERE id = $1").bind(id),
        Change::DeleteRoute(id) => Statement::new("DELETE FROM routes WHERE id = $1").bind(id),
        Change::DeleteProvider(id) => Statement::new("DELETE FROM providers WHERE id = $1").bind(id),
        Change::DeleteModel(id) => Statement::new("DELETE FROM models WHERE id = $1").bind(id),
        Change::ResetSetting(key) => Statement::new("DELETE FROM settings WHERE key = $1").bind(key),
        Change::DeleteConfig { provider_id, key } => {
            let delete = "DELETE FROM provider_configs WHERE provider_id = $1 AND key = $2";
            Statement::new(delete).bind(provider_id).bind(key)
        }
        Change::DeleteLink { provider_id, model_id } => {
            let delete = "DELETE FROM provider_models WHERE provider_id = $1 AND model_id = $2";
            Statement::new(delete).bind(provider_id).bind(model_id)
        }
    };
    tx.execute(statement).await.map(drop)
}

// === impl Change ===

impl Change {
    /// Returns the position of the change in the order of execution. Deletions come first, so that names are free;
    /// referenced rows come before the rows that refer to them.
    const fn execution_order(&self) -> u8 {
        match self {
            Self::DeleteLink { .. } | Self::DeleteConfig { .. } | Self::ResetSetting(_) | Self::DeletePrices => 0,
            Self::DeleteProvider(_) | Self::DeleteModel(_) | Self::DeleteRoute(_) | Self::DeleteKey(_) => 1,
            Self::Provider(_) | Self::Model(_) => 2,
            Self::Config { .. }
            | Self::Link(_)
            | Self::Setting { .. }
            | Self::Route(_)
            | Self::NewKey(_)
            | Self::Key { .. }
            | Self::Prices(_) => 3,
        }
    }
}

//! Loads the configuration as one snapshot with a version number.
//!
//! The router serves requests from memory and polls [`version`] about once a second. Triggers in the schema change the
//! number in the same transaction that changes `providers`, `provider_configs`, `models`, `provider_models`,
//! `model_lists`, `price_layers`, `routes`, `api_keys` or `settings`, so that no writer can omit it: neither the REST
//! API nor the command line nor a manual SQL statement.

mod change;
mod keys;

use std::collections::HashMap;

use signalbox_core::schema::{ApiKey, LinkedModel, Model, Provider, ProviderConfig, Route, Setting};

pub use self::change::{Change, change};
pub use self::keys::{KeyChanges, KnownKeys};
pub use crate::condition::only_at;
use crate::model_lists::{self, ModelList};
use crate::prices::{self, PriceLayer, PriceSource};
use crate::row::{Columns, FromRow, readable};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Store};

/// The configuration by which the router routes requests.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The [`version`] of the snapshot.
    pub version: i64,
    /// All providers, enabled and disabled, in the order in which they are tried, each with its configuration (by key)
    /// and its models (the default first, then by name).
    pub providers: Vec<(Provider, Vec<ProviderConfig>, Vec<LinkedModel>)>,
    /// All models by id, including those that no provider serves.
    pub models: Vec<Model>,
    /// The model lists that the providers returned, by provider.
    pub lists: Vec<ModelList>,
    /// The settings that differ from their defaults, by key.
    pub settings: Vec<Setting>,
    /// The operator's document of prices, if there is one.
    pub prices: Option<String>,
    /// The document of imported prices, if there is one.
    pub imported_prices: Option<String>,
    /// All routes, enabled and disabled, by model name. Those that cannot be read are left out.
    pub routes: Vec<Route>,
    /// All keys of clients, revoked and expired ones too, by name. Those that cannot be read are left out.
    pub keys: Vec<ApiKey>,
}

struct Version(i64);

/// A model and the provider that serves it.
struct Link {
    provider_id: String,
    model: LinkedModel,
}

/// Upper bound of the versions of a single database file.
const MAX_VERSIONS_PER_FILE: i64 = 1 << 40;

pub(crate) const VERSION: &str = "SELECT version FROM catalog_version WHERE id = 1";

/// Returns a number that changes with every committed change of the catalogue. Costs one read of one row.
///
/// # Errors
/// See [`Error`].
pub async fn version(store: &Store) -> Result<i64, Error> {
    let Version(version) = store.one(Statement::new(VERSION), "catalog version").await?;
    Ok(with_generation(store, version))
}

/// Holds the catalogue until the end of the transaction, in which no other one can change it. Returns its version.
pub(crate) async fn hold(store: &Store, tx: &mut Transaction) -> Result<i64, Error> {
    // Locks the row against other writers, which change it in the same transaction as the catalogue.
    tx.execute(Statement::new("UPDATE catalog_version SET version = version WHERE id = 1")).await?;
    let Version(version) = tx.one(Statement::new(VERSION), "catalog version").await?;
    Ok(with_generation(store, version))
}

/// Combines the version with the generation of the file, because a file that replaces another one may have the same
/// version.
fn with_generation(store: &Store, version: i64) -> i64 {
    let files = i64::try_from(store.generation()).unwrap_or_default();
    version.wrapping_add(files.wrapping_mul(MAX_VERSIONS_PER_FILE))
}

/// Loads a consistent snapshot of the catalogue.
///
/// # Errors
/// See [`Error`].
pub async fn load(store: &Store) -> Result<Catalog, Error> {
    let (mut catalog, keys, _) = load_since(store, &KnownKeys::default()).await?;
    catalog.keys = keys.rows;
    Ok(catalog)
}

/// Loads a consistent snapshot of the catalogue without its keys, the changes of the keys since `known`, and what is
/// known after them. Of ten thousand keys, only those that have changed are read.
///
/// # Errors
/// See [`Error`].
pub async fn load_since(store: &Store, known: &KnownKeys) -> Result<(Catalog, KeyChanges, KnownKeys), Error> {
    let mut tx = store.read().await?;
    let Version(row_version) = tx.one(Statement::new(VERSION), "catalog version").await?;
    let version = with_generation(store, row_version);
    let providers: Vec<Provider> =
        tx.all(Statement::new("SELECT * FROM providers ORDER BY priority DESC, name")).await?;
    let configs: Vec<ProviderConfig> = tx.all(Statement::new("SELECT * FROM provider_configs ORDER BY key")).await?;
    let links: Vec<Link> = tx
        .all(Statement::new(
            "SELECT models.*, link.provider_id, link.is_default, link.config FROM provider_models AS link
             JOIN models ON models.id = link.model_id
             ORDER BY link.is_default DESC, models.name, models.id",
        ))
        .await?;
    let models = tx.all(Statement::new("SELECT * FROM models ORDER BY id")).await?;
    let lists = tx.all(Statement::new(model_lists::ALL)).await?;
    let settings = tx.all(Statement::new("SELECT * FROM settings ORDER BY key")).await?;
    let document = |layer: Option<PriceLayer>| layer.map(|layer| layer.document);
    let prices = document(tx.first(prices::select(PriceSource::Overrides)).await?);
    let imported_prices = document(tx.first(prices::select(PriceSource::Import)).await?);
    let routes = tx.all(Statement::new("SELECT * FROM routes ORDER BY model")).await?;
    let (changes, known) = keys::read(store, &mut tx, known, row_version).await?;

    let mut configs_of: HashMap<String, Vec<ProviderConfig>> = HashMap::new();
    for config in configs {
        configs_of.entry(config.provider_id.clone()).or_default().push(config);
    }
    let mut models_of: HashMap<String, Vec<LinkedModel>> = HashMap::new();
    for link in links {
        models_of.entry(link.provider_id).or_default().push(link.model);
    }
    let with_parts = |provider: Provider| {
        let configs = configs_of.remove(&provider.id).unwrap_or_default();
        let models = models_of.remove(&provider.id).unwrap_or_default();
        (provider, configs, models)
    };
    let providers = providers.into_iter().map(with_parts).collect();
    let (routes, keys) = (readable(routes), Vec::new());
    let catalog = Catalog { version, providers, models, lists, settings, prices, imported_prices, routes, keys };
    Ok((catalog, changes, known))
}

// === impl FromRow ===

impl FromRow for Version {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.int("version").map(Self)
    }
}

impl FromRow for Link {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { provider_id: row.text("provider_id")?, model: LinkedModel::from_row(row)? })
    }
}

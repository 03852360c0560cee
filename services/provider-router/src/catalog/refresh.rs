//! Polls the database and replaces the snapshot when the catalogue has changed.

use std::sync::{Arc, atomic::Ordering};

use signalbox_core::openai::Model;
use signalbox_store::{Error, Sealer, Store, catalog, model_lists, provider_models, providers};
use signalbox_upstream::AddressPolicy;
use tokio::time::{Duration, MissedTickBehavior, interval, timeout};

use super::{Catalog, Snapshot, snapshot::address};
use crate::{
    clock::unix_ms,
    ledger::{Budgets, Ledger},
    metrics::Metrics,
    prices::Prices,
    provider::Provider,
    qwen_proxy::QwenProxy,
};

/// Polling interval: four times a second, so that a change takes effect well within the promised second.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Timeout of a read; a database that takes longer counts as unavailable.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of a write; longer, because writing a long list also waits for other writers.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// Background task that reads the database and replaces the snapshot when the catalogue, or the address of the
/// qwen-proxy beside the router, has changed.
#[derive(Debug)]
pub struct Refresher {
    catalog: Arc<Catalog>,
    store: Store,
    sealer: Sealer,
    policy: AddressPolicy,
    metrics: Arc<Metrics>,
    prices: Prices,
    ledger: Arc<Ledger>,
    qwen_proxy: QwenProxy,
}

/// Error of a read or write of the catalogue.
#[derive(Debug, thiserror::Error)]
pub enum CatalogUnavailable {
    /// The database returned an error.
    #[error(transparent)]
    Failed(#[from] Error),
    /// The database did not respond within the timeout.
    #[error("no answer within {} s", DATABASE_TIMEOUT.as_secs())]
    Silent,
}

impl CatalogUnavailable {
    /// Returns the warning for the answer to a write that the snapshot could not follow.
    #[must_use]
    pub fn not_in_effect(&self) -> String {
        format!(
            "The stored changes are not in effect yet: {self}. They take effect once the database is available again."
        )
    }
}

impl Refresher {
    /// Creates a refresher that updates `catalog` from `store`.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is a part of the service, and there is one caller")]
    pub fn new(
        catalog: Arc<Catalog>,
        store: Store,
        sealer: Sealer,
        policy: AddressPolicy,
        metrics: Arc<Metrics>,
        prices: Prices,
        ledger: Arc<Ledger>,
        qwen_proxy: QwenProxy,
    ) -> Self {
        Self { catalog, store, sealer, policy, metrics, prices, ledger, qwen_proxy }
    }

    /// Polls the database for changes. Never returns; cancelled by dropping the future.
    pub async fn watch(&self) {
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // `refresh` has logged the error once, and `/health` reports it.
            self.refresh().await.ok();
        }
    }

    /// Updates the snapshot now, if the catalogue has changed.
    ///
    /// # Errors
    /// Returns [`CatalogUnavailable`] when the database cannot be read; the last snapshot then stays in force.
    pub async fn refresh(&self) -> Result<(), CatalogUnavailable> {
        let known = self.catalog.current().version();
        let loaded =
            timeout(DATABASE_TIMEOUT, self.load_if_changed(known)).await.map_err(|_elapsed| CatalogUnavailable::Silent);
        let outcome = loaded.and_then(|read| Ok(read?));
        let was_ok = self.catalog.database_ok.swap(outcome.is_ok(), Ordering::Relaxed);
        match &outcome {
            Err(error) if was_ok => {
                tracing::warn!(%error, "database is unavailable, the last known catalogue stays in use");
            }
            Ok(_) if !was_ok => tracing::info!("database is available again"),
            _ => {}
        }
        if let Some(snapshot) = outcome? {
            tracing::info!(version = snapshot.version(), providers = snapshot.len(), "catalogue changed");
            self.catalog.replace(snapshot);
        }
        Ok(())
    }

    /// Returns whether the database has the provider, enabled or not.
    ///
    /// # Errors
    /// Returns [`CatalogUnavailable`] when the database cannot be read.
    pub async fn provider_exists(&self, provider: &str) -> Result<bool, CatalogUnavailable> {
        let found = timeout(DATABASE_TIMEOUT, providers::get(&self.store, provider))
            .await
            .map_err(|_elapsed| CatalogUnavailable::Silent)?;
        match found {
            Ok(_) => Ok(true),
            // A string that is not a valid id cannot name a provider.
            Err(Error::NotFound { .. } | Error::Invalid(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates and links the models that `provider` lists.
    ///
    /// # Errors
    /// Returns [`CatalogUnavailable`] when the database cannot be written. A change that was committed after the
    /// timeout is picked up by the next refresh.
    pub async fn sync(&self, provider: &str, listed: &[String]) -> Result<provider_models::Synced, CatalogUnavailable> {
        let synced = provider_models::sync(&self.store, provider, listed, unix_ms());
        Ok(timeout(WRITE_TIMEOUT, synced).await.map_err(|_elapsed| CatalogUnavailable::Silent)??)
    }

    /// Stores the list of models that `provider` returned, so that it survives a restart, and refreshes the snapshot.
    ///
    /// # Errors
    /// Returns [`CatalogUnavailable`] when the list cannot be stored or the snapshot cannot be refreshed.
    pub async fn keep_list(&self, provider: &Provider, models: &[Model]) -> Result<(), CatalogUnavailable> {
        let kept = model_lists::put(&self.store, &provider.id, address(provider), models, unix_ms());
        timeout(WRITE_TIMEOUT, kept).await.map_err(|_elapsed| CatalogUnavailable::Silent)??;
        self.refresh().await
    }

    /// Loads a new snapshot; `None` if the version of the catalogue is still `known`, and qwen-proxy is where it was.
    async fn load_if_changed(&self, known: i64) -> Result<Option<Snapshot>, Error> {
        let qwen_proxy = self.qwen_proxy.current().await;
        let has_moved = self.catalog.current().qwen_proxy() != qwen_proxy.as_deref();
        if catalog::version(&self.store).await? == known && !has_moved {
            return Ok(None);
        }
        let rows = catalog::load(&self.store).await?;
        self.prices.set_overrides(rows.prices.as_deref());
        let (ledger, sealer, policy) = (Arc::clone(&self.ledger), self.sealer.clone(), self.policy);
        let metrics = Arc::clone(&self.metrics);
        // With ten thousand keys this takes some milliseconds, for which no request should wait.
        let built = tokio::task::spawn_blocking(move || {
            ledger.update(&rows.keys, &Budgets::read(&rows.settings), &rows.routes);
            Snapshot::new(rows, &sealer, &policy, &metrics, qwen_proxy)
        });
        built.await.map(Some).map_err(|error| Error::Unavailable(error.into()))
    }
}

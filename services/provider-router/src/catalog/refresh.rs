//! Polls the database and replaces the snapshot when the catalogue has changed.

use std::sync::{Arc, atomic::Ordering};

use signalbox_core::openai::Model;
use signalbox_store::{Error, Sealer, Store, catalog, model_lists, provider_models, providers};
use signalbox_upstream::AddressPolicy;
use tokio::{
    runtime::Handle,
    time::{Duration, Instant, MissedTickBehavior, interval, timeout},
};

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
#[derive(Clone, Debug)]
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
        let outcome = self.reload_if_changed().await;
        let was_ok = self.catalog.database_ok.swap(outcome.is_ok(), Ordering::Relaxed);
        match &outcome {
            Err(error) if was_ok => {
                tracing::warn!(%error, "database is unavailable, the last known catalogue stays in use");
            }
            Ok(()) if !was_ok => tracing::info!("database is available again"),
            _ => {}
        }
        outcome
    }

    /// Returns whether the database has the provider, enabled or not.
    ///
    /// # Errors
    /// Returns [`CatalogUnavailable`] when the database cannot be read.
    pub async fn provider_exists(&self, provider: &str) -> Result<bool, CatalogUnavailable> {
        match in_time(providers::get(&self.store, provider)).await {
            Ok(_) => Ok(true),
            // A string that is not a valid id cannot name a provider.
            Err(CatalogUnavailable::Failed(Error::NotFound { .. } | Error::Invalid(_))) => Ok(false),
            Err(error) => Err(error),
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

    /// Replaces the snapshot, unless it has the version of the database and the address of qwen-proxy.
    async fn reload_if_changed(&self) -> Result<(), CatalogUnavailable> {
        let qwen_proxy = self.qwen_proxy.current().await;
        let (known, has_moved) = {
            let current = self.catalog.current();
            (current.version(), current.qwen_proxy() != qwen_proxy.as_deref())
        };
        if in_time(catalog::version(&self.store)).await? == known && !has_moved {
            return Ok(());
        }
        let (this, runtime) = (self.clone(), Handle::current());
        // With ten thousand keys, reading the rows and freeing the last snapshot take milliseconds, for which no request
        // should wait.
        let reloaded = tokio::task::spawn_blocking(move || this.reload(&runtime, qwen_proxy));
        reloaded.await.map_err(|error| Error::Unavailable(error.into()))?
    }

    /// Loads the catalogue and replaces the snapshot. Blocks the thread.
    fn reload(&self, runtime: &Handle, qwen_proxy: Option<String>) -> Result<(), CatalogUnavailable> {
        let begin = Instant::now();
        let rows = runtime.block_on(in_time(catalog::load(&self.store)))?;
        self.prices.update(rows.imported_prices.as_deref(), rows.prices.as_deref());
        self.ledger.update(&rows.keys, &Budgets::read(&rows.settings), &rows.routes);
        let snapshot = Snapshot::new(rows, &self.sealer, &self.policy, &self.metrics, qwen_proxy);
        let (version, providers, keys) = (snapshot.version(), snapshot.len(), snapshot.client_keys().len());
        self.catalog.replace(snapshot);
        let took = begin.elapsed();
        self.metrics.catalog_reloaded(took);
        tracing::info!(version, providers, keys, duration_ms = took.as_millis(), "catalogue changed");
        Ok(())
    }
}

/// Limits the time of a read.
async fn in_time<T>(read: impl Future<Output = Result<T, Error>>) -> Result<T, CatalogUnavailable> {
    Ok(timeout(DATABASE_TIMEOUT, read).await.map_err(|_elapsed| CatalogUnavailable::Silent)??)
}

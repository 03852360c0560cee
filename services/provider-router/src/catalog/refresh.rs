//! Polls the database and replaces the snapshot when the catalogue has changed.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering};

use signalbox_core::openai::Model;
use signalbox_daemon::IssuedKeys;
use signalbox_store::{
    Error, Sealer, Store,
    catalog::{self, KeyChanges, KnownKeys},
    model_lists, provider_models, providers,
};
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

/// Maximum former snapshots that are kept for their readers; older ones are freed by the last of them.
const MAX_RETIRED: usize = 4;

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
    reloads: Arc<Mutex<Reloads>>,
}

/// State that one reading of the catalogue leaves to the next one.
#[derive(Debug, Default)]
struct Reloads {
    /// Keys that the current snapshot has.
    known: KnownKeys,
    /// Former snapshots, which requests may still read.
    retired: Vec<Arc<Snapshot>>,
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
        let reloads = Arc::default();
        Self { catalog, store, sealer, policy, metrics, prices, ledger, qwen_proxy, reloads }
    }

    /// Sets the keys that the first snapshot was built from, so that only later changes of them are read.
    #[must_use]
    pub fn with_known(self, known: KnownKeys) -> Self {
        let reloads = Reloads { known, ..Reloads::default() };
        Self { reloads: Arc::new(Mutex::new(reloads)), ..self }
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
        // Indexing the rows and freeing a former snapshot take milliseconds, for which no request should wait.
        let reloaded = tokio::task::spawn_blocking(move || this.reload(&runtime, qwen_proxy));
        reloaded.await.map_err(|error| Error::Unavailable(error.into()))?
    }

    /// Loads the catalogue and replaces the snapshot. Blocks the thread, and waits for a reading that is under way.
    fn reload(&self, runtime: &Handle, qwen_proxy: Option<String>) -> Result<(), CatalogUnavailable> {
        let mut reloads = self.reloads.lock().unwrap_or_else(|poisoned| {
            // The reading that panicked may have left out keys: all of them are read again.
            let mut reloads = PoisonError::into_inner(poisoned);
            self.reloads.clear_poison();
            *reloads = Reloads::default();
            reloads
        });
        let begin = Instant::now();
        let read = runtime.block_on(in_time(catalog::load_since(&self.store, &reloads.known)));
        let (rows, changes, known) = read?;
        self.prices.update(rows.imported_prices.as_deref(), rows.prices.as_deref());
        self.ledger.change(&changes, &Budgets::read(&rows.settings), &rows.routes);
        let client_keys = self.client_keys(&changes);
        let snapshot = Snapshot::with_keys(rows, client_keys, &self.sealer, &self.policy, &self.metrics, qwen_proxy);
        let (version, providers, keys) = (snapshot.version(), snapshot.len(), snapshot.client_keys().len());
        reloads.replaced(self.catalog.replace(snapshot), known);
        let took = begin.elapsed();
        self.metrics.catalog_reloaded(took);
        let keys_read = changes.rows.len();
        tracing::info!(version, providers, keys, keys_read, duration_ms = took.as_millis(), "catalogue changed");
        Ok(())
    }

    /// Returns the client keys after a change; all but the changed ones are shared with the current snapshot.
    fn client_keys(&self, changes: &KeyChanges) -> Arc<IssuedKeys> {
        if changes.is_complete {
            return Arc::new(IssuedKeys::new(&changes.rows));
        }
        let current = self.catalog.current().client_keys();
        let is_same = changes.rows.is_empty() && changes.gone.is_empty();
        if is_same { current } else { Arc::new(current.with(&changes.rows, &changes.gone)) }
    }
}

// === impl Reloads ===

impl Reloads {
    /// Takes over what the current snapshot has, and frees the former ones that no request reads any more. So no request
    /// is the last reader, which would have to free one.
    fn replaced(&mut self, former: Arc<Snapshot>, known: KnownKeys) {
        self.known = known;
        self.retired.push(former);
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        let excess = self.retired.len().saturating_sub(MAX_RETIRED);
        self.retired.drain(..excess);
    }
}

/// Limits the time of a read.
async fn in_time<T>(read: impl Future<Output = Result<T, Error>>) -> Result<T, CatalogUnavailable> {
    Ok(timeout(DATABASE_TIMEOUT, read).await.map_err(|_elapsed| CatalogUnavailable::Silent)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_of_a_former_snapshot_never_frees_it() {
        let mut reloads = Reloads::default();
        let mut replaced = |former| {
            reloads.replaced(former, KnownKeys::default());
            reloads.retired.len()
        };
        let read = Arc::new(Snapshot::default());
        let freed = Arc::downgrade(&read);
        assert_eq!(replaced(Arc::clone(&read)), 1);
        assert_eq!(replaced(Arc::default()), 1, "one that nobody reads is freed at once");
        drop(read);
        assert!(freed.upgrade().is_some());
        assert_eq!(replaced(Arc::default()), 0);
        assert!(freed.upgrade().is_none());
        let all_read: Vec<Arc<Snapshot>> = std::iter::repeat_with(Arc::default).take(2 * MAX_RETIRED).collect();
        assert_eq!(all_read.iter().cloned().map(replaced).last(), Some(MAX_RETIRED));
    }
}

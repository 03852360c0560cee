//! Keeping the snapshot fresh.

use std::sync::{Arc, atomic::Ordering};

use signalbox_core::openai::Model;
use signalbox_store::{Error, Sealer, Store, catalog, model_lists, provider_models, providers};
use signalbox_upstream::AddressPolicy;
use tokio::time::{Duration, MissedTickBehavior, interval, timeout};

use super::{Catalog, Snapshot, snapshot::address};
use crate::{clock::unix_ms, metrics::Metrics, provider::Provider};

/// Four looks a second: a change is in force well within the promised second.
const PERIOD: Duration = Duration::from_millis(250);
/// A database that takes longer counts as away.
const PATIENCE: Duration = Duration::from_secs(2);
/// Writing a long list waits for other writers, too.
const WRITING: Duration = Duration::from_secs(20);

/// Reads the database and replaces the snapshot when the catalogue has changed.
#[derive(Debug)]
pub struct Refresher {
    catalog: Arc<Catalog>,
    store: Store,
    sealer: Sealer,
    policy: AddressPolicy,
    metrics: Arc<Metrics>,
}

/// Why the catalogue could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Away {
    /// The database said so.
    #[error(transparent)]
    Failed(#[from] Error),
    /// It said nothing.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
}

impl Refresher {
    /// Fills `catalog` from `store`.
    #[must_use]
    pub fn new(
        catalog: Arc<Catalog>,
        store: Store,
        sealer: Sealer,
        policy: AddressPolicy,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { catalog, store, sealer, policy, metrics }
    }

    /// Watches the database for changes, until it is dropped.
    pub async fn watch(&self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // What is wrong has been logged, once, and is told by `/health`.
            self.refresh().await.ok();
        }
    }

    /// Brings the snapshot up to date now.
    ///
    /// # Errors
    /// [`Away`]; the last snapshot stays in force then.
    pub async fn refresh(&self) -> Result<(), Away> {
        let known = self.catalog.current().version();
        let looked = timeout(PATIENCE, self.look(known)).await.map_err(|_elapsed| Away::Silent);
        let outcome = looked.and_then(|read| Ok(read?));
        let was_ok = self.catalog.database_ok.swap(outcome.is_ok(), Ordering::Relaxed);
        match &outcome {
            Err(error) if was_ok => {
                tracing::warn!(%error, "the database is away; the last known catalogue stays in force");
            }
            Ok(_) if !was_ok => tracing::info!("the database is back"),
            _ => {}
        }
        if let Some(snapshot) = outcome? {
            tracing::info!(version = snapshot.version(), providers = snapshot.len(), "the catalogue has changed");
            self.catalog.replace(snapshot);
        }
        Ok(())
    }

    /// Whether the database has the provider, enabled or not.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn knows(&self, provider: &str) -> Result<bool, Away> {
        let found = timeout(PATIENCE, providers::get(&self.store, provider)).await.map_err(|_elapsed| Away::Silent)?;
        match found {
            Ok(_) => Ok(true),
            // What cannot be an id is none.
            Err(Error::NotFound { .. } | Error::Invalid(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes and links the models that a provider lists.
    ///
    /// # Errors
    /// [`Away`]; nothing was changed then, or it will be seen.
    pub async fn sync(&self, provider: &str, listed: &[String]) -> Result<provider_models::Synced, Away> {
        let synced = provider_models::sync(&self.store, provider, listed, unix_ms());
        Ok(timeout(WRITING, synced).await.map_err(|_elapsed| Away::Silent)??)
    }

    /// Keeps the list that a provider has answered with, beyond a restart, and puts it in force.
    ///
    /// # Errors
    /// [`Away`]; the list is not in force then.
    pub async fn keep_list(&self, provider: &Provider, models: &[Model]) -> Result<(), Away> {
        let kept = model_lists::put(&self.store, &provider.id, address(provider), models, unix_ms());
        timeout(WRITING, kept).await.map_err(|_elapsed| Away::Silent)??;
        self.refresh().await
    }

    /// A new snapshot, if there is one.
    async fn look(&self, known: i64) -> Result<Option<Snapshot>, Error> {
        if catalog::version(&self.store).await? == known {
            return Ok(None);
        }
        Ok(Some(Snapshot::new(catalog::load(&self.store).await?, &self.sealer, &self.policy, &self.metrics)))
    }
}

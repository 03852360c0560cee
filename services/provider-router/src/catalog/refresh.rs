//! Keeping the snapshot fresh.

use std::sync::{Arc, atomic::Ordering};

use signalbox_store::{Error, Store, catalog};
use signalbox_upstream::AddressPolicy;
use tokio::time::{Duration, MissedTickBehavior, interval, timeout};

use super::{Catalog, Snapshot};
use crate::metrics::Metrics;

/// Four looks a second: a change is in force well within the promised second.
const PERIOD: Duration = Duration::from_millis(250);
/// A database that takes longer counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Watches the database for changes of the catalogue, until it is dropped.
pub async fn refresh(current: Arc<Catalog>, store: Store, policy: AddressPolicy, metrics: Arc<Metrics>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let known = current.current().version();
        let outcome = timeout(PATIENCE, look(&store, known, &policy, &metrics)).await;
        let away = match outcome {
            Ok(Ok(None)) => None,
            Ok(Ok(Some(snapshot))) => {
                tracing::info!(version = snapshot.version(), providers = snapshot.len(), "the catalogue has changed");
                current.current.store(Arc::new(snapshot));
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        let was_ok = current.database_ok.swap(away.is_none(), Ordering::Relaxed);
        match away {
            Some(error) if was_ok => {
                tracing::warn!(error, "the database is away; the last known catalogue stays in force")
            }
            None if !was_ok => tracing::info!("the database is back"),
            _ => {}
        }
    }
}

/// A new snapshot, if there is one.
async fn look(store: &Store, known: i64, policy: &AddressPolicy, metrics: &Metrics) -> Result<Option<Snapshot>, Error> {
    if catalog::version(store).await? == known {
        return Ok(None);
    }
    Ok(Some(Snapshot::new(catalog::load(store).await?, policy, metrics)))
}

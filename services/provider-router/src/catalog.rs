//! In-memory catalogue: an immutable snapshot that every request reads, and the task that refreshes it.
//!
//! No request ever waits for the database. A trigger in the database increments a version number with every committed
//! change, regardless of which process made it; the [`Refresher`] reads that number four times a second and builds a
//! new snapshot when it has changed. While the database is unavailable, the last snapshot stays in force.

mod refresh;
mod routes;
mod settings;
mod snapshot;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::{ArcSwap, Guard};
pub use refresh::{CatalogUnavailable, Refresher};
pub use routes::{Absent, Route, Routes};
pub use settings::Settings;
pub use snapshot::{Description, Link, Snapshot};
use tokio::sync::Notify;

/// Holder of the current snapshot, shared by all requests.
#[derive(Debug)]
pub struct Catalog {
    current: ArcSwap<Snapshot>,
    database_ok: AtomicBool,
    /// Whether the list of models has been read since [`Catalog::take_was_read`] was last called.
    was_read: AtomicBool,
    changed_or_read: Notify,
}

impl Catalog {
    /// Creates a catalogue with `snapshot` as its first state.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            current: ArcSwap::from_pointee(snapshot),
            database_ok: AtomicBool::new(true),
            was_read: AtomicBool::new(false),
            changed_or_read: Notify::new(),
        }
    }

    /// Makes `snapshot` the current one, and wakes the waiter in [`Self::changed_or_read`]. Returns the former one.
    fn replace(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let former = self.current.swap(Arc::new(snapshot));
        self.changed_or_read.notify_one();
        former
    }

    /// Records that a client reads the list of models, so that it is refreshed in the background.
    pub(crate) fn note_read(&self) {
        self.was_read.store(true, Ordering::Relaxed);
        self.changed_or_read.notify_one();
    }

    /// Returns whether [`Self::note_read`] was called since the last call, and resets the flag.
    pub(crate) fn take_was_read(&self) -> bool {
        self.was_read.swap(false, Ordering::Relaxed)
    }

    /// Waits until the snapshot is replaced or [`Self::note_read`] is called. Supports a single waiter.
    pub(crate) async fn changed_or_read(&self) {
        self.changed_or_read.notified().await;
    }

    /// Returns the current snapshot. Do not hold the guard across an await point.
    #[must_use]
    pub fn current(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Returns whether the last query to the database succeeded.
    #[must_use]
    pub fn database_ok(&self) -> bool {
        self.database_ok.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::snapshot::tests::{Row, routed, snapshot};
}

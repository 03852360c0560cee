//! The catalogue in memory: an immutable snapshot that every request reads, and what keeps it fresh.
//!
//! No request ever waits for the database. A change, whoever commits it, bumps a version by a trigger in the database; the
//! [`Refresher`] reads that number four times a second and builds a new snapshot when it has moved. While the database
//! is away the last snapshot stays in force.

mod refresh;
mod settings;
mod snapshot;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::{ArcSwap, Guard};
pub use refresh::{Away, Refresher};
pub use settings::Settings;
pub use snapshot::{Link, Snapshot};
use tokio::sync::Notify;

/// Where requests find the newest snapshot.
#[derive(Debug)]
pub struct Catalog {
    current: ArcSwap<Snapshot>,
    database_ok: AtomicBool,
    /// Whether somebody has read the list of models since it was last asked for.
    looked: AtomicBool,
    stirred: Notify,
}

impl Catalog {
    /// A catalogue that begins with `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            current: ArcSwap::from_pointee(snapshot),
            database_ok: AtomicBool::new(true),
            looked: AtomicBool::new(false),
            stirred: Notify::new(),
        }
    }

    /// Puts `snapshot` in force.
    fn replace(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
        self.stirred.notify_one();
    }

    /// Notes that somebody reads the list of models, so that it is brought up to date behind their back.
    pub(crate) fn look(&self) {
        self.looked.store(true, Ordering::Relaxed);
        self.stirred.notify_one();
    }

    /// Whether [`Self::look`] was called since the last time.
    pub(crate) fn take_looked(&self) -> bool {
        self.looked.swap(false, Ordering::Relaxed)
    }

    /// Waits until there is another snapshot, or somebody looks at the list of models. For one waiter.
    pub(crate) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// The newest snapshot. Do not keep the guard across an await.
    #[must_use]
    pub fn current(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Whether the database answered the last time it was asked.
    #[must_use]
    pub fn database_ok(&self) -> bool {
        self.database_ok.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::snapshot::tests::{Row, snapshot};
}

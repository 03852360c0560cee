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

/// Where requests find the newest snapshot.
#[derive(Debug)]
pub struct Catalog {
    current: ArcSwap<Snapshot>,
    database_ok: AtomicBool,
}

impl Catalog {
    /// A catalogue that begins with `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot), database_ok: AtomicBool::new(true) }
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

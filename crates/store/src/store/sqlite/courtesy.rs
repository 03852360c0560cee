//! Letting others go first while the log is written.
//!
//! A batch of the log is milliseconds of work on a thread of its own. Where cores are few, a request that arrives meanwhile
//! waits until the scheduler takes the thread off its core; a thread that offers the core often makes it wait for
//! microseconds. But whoever always lets others go first never gets done in a rush, so courtesy has an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::SqliteConnection;
use tokio::time::Instant;

/// How many instructions of SQLite's virtual machine run between two offers: some 30 µs. With 1,000, offering hardly helps.
const STEPS: i32 = 200;

/// Until when the thread of a connection offers its core to others. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Courtesy {
    origin: Instant,
    /// In microseconds after `origin`.
    until: Arc<AtomicU64>,
    #[cfg(test)]
    pub(super) offers: Arc<AtomicU64>,
}

// === impl Courtesy ===

impl Courtesy {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            until: Arc::default(),
            #[cfg(test)]
            offers: Arc::default(),
        }
    }

    /// From now on, for so long.
    pub(super) fn last(&self, span: Duration) {
        self.until.store(micros(self.origin.elapsed().saturating_add(span)), Ordering::Relaxed);
    }

    /// Makes the thread of a connection courteous.
    pub(super) async fn teach(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        connection.lock_handle().await?.set_progress_handler(STEPS, move || {
            self.offer();
            true
        });
        Ok(())
    }

    fn offer(&self) {
        if micros(self.origin.elapsed()) < self.until.load(Ordering::Relaxed) {
            #[cfg(test)]
            self.offers.fetch_add(1, Ordering::Relaxed);
            std::thread::yield_now();
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

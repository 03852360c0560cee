//! Yields the CPU core to other threads while the log is written.
//!
//! A batch of the log takes milliseconds on a thread of its own. On a machine with few cores, a request that arrives in
//! the meantime waits until the scheduler preempts that thread; if the thread yields often, the request waits only
//! microseconds. A thread that always yields would never finish under load, so yielding is limited in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::SqliteConnection;
use tokio::time::Instant;

/// Number of instructions of SQLite's virtual machine between two yields: some 30 µs. Yielding every 1,000 instructions
/// hardly helps.
const STEPS_PER_YIELD: i32 = 200;

/// The time until which a connection's thread yields its core. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Yielder {
    origin: Instant,
    /// Microseconds after `origin`.
    until: Arc<AtomicU64>,
    #[cfg(test)]
    pub(super) offers: Arc<AtomicU64>,
}

// === impl Yielder ===

impl Yielder {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            until: Arc::default(),
            #[cfg(test)]
            offers: Arc::default(),
        }
    }

    /// Enables yielding from now on for `span`.
    pub(super) fn yield_for(&self, span: Duration) {
        self.until.store(micros(self.origin.elapsed().saturating_add(span)), Ordering::Relaxed);
    }

    /// Installs the progress handler that yields.
    pub(super) async fn install(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        connection.lock_handle().await?.set_progress_handler(STEPS_PER_YIELD, move || {
            self.yield_if_due();
            true
        });
        Ok(())
    }

    fn yield_if_due(&self) {
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

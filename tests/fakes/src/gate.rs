//! Gates that release an answer step by step.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// The test's handle of a gated answer: each event (or whole body) waits for a release.
///
/// Releases accumulate: a release before the event lets that event pass at once. All calls of a model share one gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

// === impl Gate ===

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets the next `n` events pass.
    pub fn release(&self, n: usize) {
        self.0.add_permits(n);
    }

    /// Lets all events pass from now on.
    pub fn open(&self) {
        self.0.close();
    }

    /// Waits for a release and consumes it.
    pub(crate) async fn pass(&self) {
        // A closed semaphore is an open gate: `acquire` then fails, and every present and future waiter passes.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

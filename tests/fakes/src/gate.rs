//! Releasing an answer step by step.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// The test's end of a gated answer: each event of it (or each whole body) waits here until it is released.
///
/// Releases are kept: one that comes before the event waits for it. All calls of the same model share the gate.
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

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.0.close();
    }

    /// Waits for a release and uses it up.
    pub(crate) async fn pass(&self) {
        // A closed semaphore is an open gate: whoever waits, and whoever comes, passes.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

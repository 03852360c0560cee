//! The two stages of a shutdown: drain and cut.

mod signals;

use tokio_util::sync::CancellationToken;

pub(crate) use signals::Signals;

/// Shutdown signal with two stages: first *draining* (no new connections, running requests finish), later the *cut*
/// (the deadline has passed, streams end now). Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    aborting: CancellationToken,
}

// === impl Shutdown ===

impl Shutdown {
    /// Creates a signal in which neither stage has begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until draining begins. Cancel-safe.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Returns `true` if draining has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Waits for the cut. Cancel-safe.
    pub async fn aborting(&self) {
        self.aborting.cancelled().await;
    }

    /// Begins to drain. Has no effect if draining has already begun.
    pub fn trigger(&self) {
        self.drain.cancel();
    }

    /// Returns a token that is cancelled at the cut.
    #[must_use]
    pub fn abort_token(&self) -> CancellationToken {
        self.aborting.clone()
    }

    /// Returns a token that is cancelled when draining begins.
    #[must_use]
    pub fn drain_token(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Triggers the cut at once, and with it the drain.
    pub fn trigger_abort(&self) {
        self.drain.cancel();
        self.aborting.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cut_implies_draining() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_draining());
        shutdown.clone().trigger_abort();
        shutdown.draining().await;
        shutdown.aborting().await;
    }

    #[test]
    fn draining_does_not_cut() {
        let shutdown = Shutdown::new();
        shutdown.trigger();
        assert!(shutdown.is_draining() && !shutdown.abort_token().is_cancelled());
    }
}

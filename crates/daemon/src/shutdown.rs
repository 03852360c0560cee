//! The two moments in which a process ends.

mod signals;

use tokio_util::sync::CancellationToken;

pub(crate) use signals::Signals;

/// First *draining* (accept nothing new, finish what runs), later the *cut* (the deadline is over: end streams now). Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    cut: CancellationToken,
}

// === impl Shutdown ===

impl Shutdown {
    /// Neither moment has come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until draining begins.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Whether draining has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Waits for the cut.
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// Begins to drain. Harmless when that has begun already.
    pub fn trigger(&self) {
        self.drain.cancel();
    }

    /// Cancelled at the cut.
    #[must_use]
    pub fn cut_token(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// Cancelled when draining begins.
    #[must_use]
    pub fn drain_token(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Cuts at once; implies draining.
    pub fn trigger_cut(&self) {
        self.drain.cancel();
        self.cut.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cut_implies_draining() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_draining());
        shutdown.clone().trigger_cut();
        shutdown.draining().await;
        shutdown.cut().await;
    }

    #[test]
    fn draining_does_not_cut() {
        let shutdown = Shutdown::new();
        shutdown.trigger();
        assert!(shutdown.is_draining() && !shutdown.cut_token().is_cancelled());
    }
}

//! The browser extensions connected to the event stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of connected browser extensions. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Extensions(Arc<AtomicUsize>);

// === impl Extensions ===

impl Extensions {
    /// Returns whether any extension is connected.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Counts one more connected extension.
    pub(crate) fn joined(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one connected extension less.
    pub(crate) fn left(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

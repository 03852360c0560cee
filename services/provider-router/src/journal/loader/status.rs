//! Status of the loader, for `/health` and the metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Status of the loader.
#[derive(Debug)]
pub struct LoaderStatus {
    pub(super) database_ok: AtomicBool,
    pub(super) loaded: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) set_aside: AtomicU64,
    pub(super) skipped: AtomicU64,
}

// === impl LoaderStatus ===

impl Default for LoaderStatus {
    fn default() -> Self {
        Self {
            database_ok: AtomicBool::new(true),
            loaded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            set_aside: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        }
    }
}

impl LoaderStatus {
    /// Returns whether the last transaction succeeded.
    #[must_use]
    pub fn database_ok(&self) -> bool {
        self.database_ok.load(Ordering::Relaxed)
    }

    /// Returns how many exchanges this process has written to the database.
    #[must_use]
    pub fn loaded(&self) -> u64 {
        self.loaded.load(Ordering::Relaxed)
    }

    /// Returns how many exchanges the database currently refuses; their segments are set aside and retried.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns how many journal files are set aside as `.damaged`, in the directories that this process may read.
    #[must_use]
    pub fn set_aside(&self) -> u64 {
        self.set_aside.load(Ordering::Relaxed)
    }

    /// Returns how many entries of the journal's directory could not be read: entries of another user, or foreign
    /// files.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

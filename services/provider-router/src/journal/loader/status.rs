//! How the loader is doing, for `/health` and the metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How the loader is doing.
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
    /// Whether the last transaction went through.
    #[must_use]
    pub fn database_ok(&self) -> bool {
        self.database_ok.load(Ordering::Relaxed)
    }

    /// How many exchanges this process has put into the database.
    #[must_use]
    pub fn loaded(&self) -> u64 {
        self.loaded.load(Ordering::Relaxed)
    }

    /// How many exchanges the database refuses at the moment; their segments are set aside, and tried again.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many files of the journal are set aside as `.damaged`, in the directories that this process may look at.
    #[must_use]
    pub fn set_aside(&self) -> u64 {
        self.set_aside.load(Ordering::Relaxed)
    }

    /// How many entries of the journal's directory could not be looked at: of another user, or no files of ours.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

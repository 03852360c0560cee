//! The directory of a service under test.

use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

/// A temporary directory with the data and the output of one installation. Clones share it; the last one removes it.
#[derive(Clone, Debug)]
pub struct Home(Arc<TempDir>);

// === impl Home ===

impl Home {
    /// An empty one.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("signalbox-").tempdir().expect("a temporary directory");
        for part in ["data", "output"] {
            std::fs::create_dir(dir.path().join(part)).expect("a directory in a temporary directory");
        }
        Self(Arc::new(dir))
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// What is given to `--data-dir`.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Where the output of processes is kept.
    #[must_use]
    pub fn output(&self) -> PathBuf {
        self.path().join("output")
    }

    /// Gives everything in it to another user.
    pub(crate) fn give_to(&self, uid: u32) {
        for path in [self.path().to_owned(), self.data(), self.output()] {
            chown(&path, Some(uid), Some(uid)).expect("only root can start services as another user");
        }
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

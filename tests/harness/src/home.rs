//! The directory of a service under test.

use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

/// A temporary directory with the data and output of one installation. Clones share it; it is removed with the last
/// one.
#[derive(Clone, Debug)]
pub struct Home(Arc<TempDir>);

// === impl Home ===

impl Home {
    /// Creates an empty directory.
    ///
    /// # Panics
    /// Panics if the directory cannot be created.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("signalbox-").tempdir().expect("a temporary directory");
        for part in ["data", "output"] {
            std::fs::create_dir(dir.path().join(part)).expect("a directory in a temporary directory");
        }
        Self(Arc::new(dir))
    }

    /// Returns the path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the data directory, for `--data-dir`.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Returns the directory for the output of processes.
    #[must_use]
    pub fn output(&self) -> PathBuf {
        self.path().join("output")
    }

    /// Changes the owner of the directory and its subdirectories to another user.
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

//! Where children end with the job of their supervisor, nobody is left to be adopted, and nobody has to prove anything.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

/// Cannot be.
#[derive(Clone, Debug)]
pub struct Key(Infallible);

/// The directory of files about what runs, in a data directory.
#[must_use]
pub fn run_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("run")
}

// === impl Key ===

impl Key {
    /// Stands for a text.
    #[must_use]
    pub fn fingerprint(&self, _: &[u8]) -> String {
        match self.0 {}
    }
}

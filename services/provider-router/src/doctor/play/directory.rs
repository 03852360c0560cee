//! The temporary directory of a stage, and those that killed runs have left behind.
//!
//! A run holds a lock in each of its directories. A directory whose lock is free belongs to no run any more.

use std::{
    fs::File,
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use signalbox_private_files as private_files;
use tempfile::TempDir;

/// Beginning of the names of all directories.
const PREFIX: &str = "signalbox-doctor-";
/// Name of the lock file.
const LOCK: &str = "doctor.lock";
/// Age from which a directory may be removed: far beyond the time of a run. A younger one may not have its lock yet.
const MIN_AGE: Duration = Duration::from_secs(600);

/// A directory in use. Dropping it removes the directory.
#[derive(Debug)]
pub(super) struct Directory {
    // Removed before its lock is released.
    dir: TempDir,
    _lock: File,
}

// === impl Directory ===

impl Directory {
    /// Creates a directory, and takes its lock.
    ///
    /// # Errors
    /// Returns the error of the file system.
    pub(super) fn create() -> io::Result<Self> {
        Self::create_in(&std::env::temp_dir())
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = open(dir.path(), true)?;
        lock.try_lock()?;
        Ok(Self { dir, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes the directories that killed runs have left behind.
pub(super) fn remove_abandoned() {
    remove_abandoned_in(&std::env::temp_dir(), SystemTime::now());
}

fn remove_abandoned_in(parent: &Path, now: SystemTime) {
    // A directory that cannot be read or removed belongs to another user.
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_of_doctor = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_of_doctor && is_dir && is_abandoned(&entry.path(), now) {
            match std::fs::remove_dir_all(entry.path()) {
                Ok(()) => tracing::info!(dir = %entry.path().display(), "the directory of a killed run is removed"),
                Err(error) => tracing::debug!(%error, dir = %entry.path().display(), "a directory stays"),
            }
        }
    }
}

fn is_abandoned(dir: &Path, now: SystemTime) -> bool {
    let changed = std::fs::symlink_metadata(dir).and_then(|found| found.modified());
    let is_old = changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|age| age >= MIN_AGE));
    is_old
        && match open(dir, false) {
            Ok(lock) => lock.try_lock().is_ok(),
            // Earlier versions had no lock.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
}

fn open(dir: &Path, creates: bool) -> io::Result<File> {
    let mut options = private_files::options();
    private_files::open_regular(options.create(creates).truncate(false).write(true), &dir.join(LOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_that_no_run_uses_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let used = Directory::create_in(parent.path()).unwrap();
        let killed = Directory::create_in(parent.path()).unwrap();
        let Directory { dir, _lock: lock } = killed;
        let killed = dir.keep();
        drop(lock);
        let old = parent.path().join("signalbox-doctor-of-an-earlier-version");
        let other = parent.path().join("other");
        for dir in [&old, &other] {
            std::fs::create_dir(dir).unwrap();
            std::fs::write(dir.join("signalbox.db"), "x").unwrap();
        }
        let now = SystemTime::now();
        remove_abandoned_in(parent.path(), now);
        assert!(killed.exists() && old.exists(), "too young");
        remove_abandoned_in(parent.path(), now + MIN_AGE);
        assert!(!killed.exists() && !old.exists());
        assert!(used.path().exists() && other.exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
        remove_abandoned_in(&parent.path().join("none"), now);
    }
}

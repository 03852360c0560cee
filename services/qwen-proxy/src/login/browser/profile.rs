//! The profile directory of the browser: created empty for a login, accessible only to its owner, and deleted
//! afterwards.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Maximum attempts to delete the directory, because helper processes may still write to it after the browser has
/// ended.
const MAX_DELETE_ATTEMPTS: u32 = 20;
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// Maximum characters quoted from the last line of the log.
const MAX_QUOTED_CHARS: usize = 300;

/// A locked profile directory.
#[derive(Debug)]
pub(in super::super) struct Profile {
    path: PathBuf,
    /// Held open: its lock excludes other login commands.
    _lock: File,
}

/// Reason why the directory cannot be created.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum BrowserError {
    #[error("another `qwen-proxy login` is running; complete it, or stop it with Ctrl-C")]
    Busy,
    #[error("cannot create the browser's directory {}: {error}", path.display())]
    Cannot { path: PathBuf, error: io::Error },
}

// === impl Profile ===

impl Profile {
    /// Creates the directory in `data_dir`, after deleting one left behind by a killed login command.
    pub(in super::super) fn create(data_dir: &Path) -> Result<Self, BrowserError> {
        let path = data_dir.join("login-browser");
        let cannot = |error| BrowserError::Cannot { path: path.clone(), error };
        let lock = data_dir.join("login-browser.lock");
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(lock).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(BrowserError::Busy),
            Err(fs::TryLockError::Error(error)) => return Err(cannot(error)),
        }
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&path).map_err(cannot)?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the file for the browser's log.
    pub(super) fn create_log(&self) -> io::Result<File> {
        File::create(self.log())
    }

    /// Returns the last line of the log.
    pub(super) fn last_log_line(&self) -> Option<String> {
        let said = fs::read(self.log()).ok()?;
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(line.chars().filter(|char| !char.is_control()).take(MAX_QUOTED_CHARS).collect())
    }

    /// Deletes the directory, retrying while other processes write to it.
    pub(super) async fn remove(self) {
        for attempt in 1..=MAX_DELETE_ATTEMPTS {
            match tokio::fs::remove_dir_all(&self.path).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    if attempt == MAX_DELETE_ATTEMPTS {
                        tracing::warn!(%error, path = %self.path.display(), "cannot remove the browser's directory");
                    }
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                _ => return,
            }
        }
    }

    fn log(&self) -> PathBuf {
        self.path.join("signalbox.log")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn the_profile_is_empty_private_and_removed() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir_all(data.path().join("login-browser/left/over")).unwrap();
        let profile = Profile::create(data.path()).unwrap();
        assert_eq!(fs::read_dir(profile.path()).unwrap().count(), 0);
        assert_eq!(fs::metadata(profile.path()).unwrap().permissions().mode() & 0o777, 0o700);
        let path = profile.path().to_owned();
        fs::write(path.join("Cookies"), "secret").unwrap();
        profile.remove().await;
        assert!(!path.exists());
    }

    #[test]
    fn two_logins_do_not_share_a_profile() {
        let data = tempfile::tempdir().unwrap();
        let first = Profile::create(data.path()).unwrap();
        assert!(matches!(Profile::create(data.path()), Err(BrowserError::Busy)));
        drop(first);
        Profile::create(data.path()).unwrap();
    }

    #[test]
    fn the_last_output_is_one_plain_line() {
        let data = tempfile::tempdir().unwrap();
        let profile = Profile::create(data.path()).unwrap();
        assert_eq!(profile.last_log_line(), None);
        fs::write(profile.log(), "first\n\u{1b}[31mMissing X server\n\n").unwrap();
        assert_eq!(profile.last_log_line().unwrap(), "[31mMissing X server");
    }
}

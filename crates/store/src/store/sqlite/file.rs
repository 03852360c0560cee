//! The database file itself: made private, opened by one at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;

/// How long another process may take to bring the file up to date.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(20);

/// Makes the file and its directories if they are missing, for this user only: it will hold provider keys. What exists
/// keeps its permissions. SQLite gives its `-wal` and `-shm` files the permissions of the file.
pub(super) fn create_private(path: &Path) -> Result<(), Error> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        signalbox_private_files::create_dir(directory)
            .map_err(|error| explain("create the directory", directory, &error))?;
    }
    let file = open_private(path).map_err(|error| explain("create the database", path, &error))?;
    if file.metadata().is_ok_and(|metadata| signalbox_private_files::is_wide(&metadata)) {
        tracing::warn!(
            path = %path.display(),
            "other users have rights to the database; if they should not see what is asked, run `chmod 600` on it and on the \
             files beside it"
        );
    }
    Ok(())
}

/// Waits for the right to bring the file up to date; it ends with the returned file, or with the process.
///
/// The lock is taken on a file beside the database, because the database's own locks cannot cover the change of its
/// journal mode: SQLite answers "busy" there without waiting. The lock file stays; removing it would let a second
/// process lock another file of the same name.
pub(super) async fn lock(path: &Path) -> Result<File, Error> {
    let path = lock_path(path);
    let file = open_private(&path).map_err(|error| explain("create the lock file", &path, &error))?;
    let waiting = async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(RETRY).await,
                Err(TryLockError::Error(error)) => return Err(explain("lock", &path, &error)),
            }
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(locked) => locked.map(|()| file),
        Err(_) => Err(Error::Unavailable("another process is bringing the database up to date for too long".into())),
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn open_private(path: &Path) -> io::Result<File> {
    signalbox_private_files::options().read(true).write(true).create(true).truncate(false).open(path)
}

fn explain(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::Unavailable(format!("cannot {what} {}: {error}", path.display()).into())
}

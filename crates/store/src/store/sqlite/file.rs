//! Creates the database file with private permissions, and serialises its migration.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;

/// Maximum time that another process may take to migrate the file.
const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_secs(30);
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Creates the file and its directories if they are missing, accessible to this user only, because the file contains
/// API keys. Existing files keep their permissions. SQLite gives its `-wal` and `-shm` files the permissions of the
/// database file.
pub(super) fn create_private(path: &Path) -> Result<(), Error> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        signalbox_private_files::create_dir(directory)
            .map_err(|error| explain("create the directory", directory, &error))?;
    }
    let file = open_private(path).map_err(|error| explain(&open_or_create(path, "the database"), path, &error))?;
    if file.metadata().is_ok_and(|metadata| signalbox_private_files::is_open_to_others(&metadata)) {
        tracing::warn!(
            path = %path.display(),
            "other users can access the database; to keep its contents private, run `chmod 600` on it and on the files \
            beside it"
        );
    }
    Ok(())
}

/// Waits for the exclusive right to migrate the file, which is held until the returned file is dropped or the process
/// ends.
///
/// The lock is taken on a separate file beside the database, because the database's own locks cannot cover the change
/// of its journal mode: SQLite fails with "busy" there without waiting. The lock file is not removed; otherwise a
/// second process could lock another file of the same name.
pub(super) async fn lock(path: &Path) -> Result<File, Error> {
    let path = lock_path(path);
    let file = open_private(&path).map_err(|error| explain(&open_or_create(&path, "the lock file"), &path, &error))?;
    let waiting = async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_RETRY_INTERVAL).await,
                Err(TryLockError::Error(error)) => return Err(explain("lock", &path, &error)),
            }
        }
    };
    match tokio::time::timeout(MIGRATION_LOCK_TIMEOUT, waiting).await {
        Ok(locked) => locked.map(|()| file),
        Err(_) => Err(Error::Unavailable(
            "another process is taking too long to migrate the database; try again later".into(),
        )),
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

/// Returns what was tried with a file.
fn open_or_create(path: &Path, what: &str) -> String {
    let verb = if path.symlink_metadata().is_ok() { "open" } else { "create" };
    format!("{verb} {what}")
}

fn explain(what: &str, path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::PermissionDenied => Error::CannotOpen { message, is_denied: true },
        ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput
        | ErrorKind::ReadOnlyFilesystem => Error::CannotOpen { message, is_denied: false },
        _ => Error::Unavailable(message.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_worth_another_try() {
        for (kind, code) in [
            (ErrorKind::PermissionDenied, 77),
            (ErrorKind::NotADirectory, 73),
            (ErrorKind::IsADirectory, 73),
            (ErrorKind::ReadOnlyFilesystem, 73),
            (ErrorKind::StorageFull, 75),
            (ErrorKind::Interrupted, 75),
        ] {
            let error = explain("open the database", Path::new("/d/x.db"), &kind.into());
            assert_eq!(error.exit_code(), code, "{error}");
            assert!(error.to_string().contains("cannot open the database /d/x.db: "), "{error}");
        }
    }

    #[test]
    fn a_file_that_exists_is_opened_and_not_created() {
        let dir = tempfile::tempdir().unwrap();
        let error = create_private(dir.path()).unwrap_err();
        assert_eq!(error.exit_code(), 73);
        assert!(error.to_string().starts_with("cannot open the database "), "{error}");
        std::fs::write(dir.path().join("file"), "").unwrap();
        let error = create_private(&dir.path().join("file/x.db")).unwrap_err();
        assert_eq!(error.exit_code(), 73, "{error}");
        assert!(error.to_string().starts_with("cannot create the directory "), "{error}");
    }
}

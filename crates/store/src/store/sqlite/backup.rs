//! Makes a consistent copy of the file while other processes use it.

use std::fs::File;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqlitePool;

use super::file;
use crate::Error;

/// Copies the database to a new file that only this user can access. The copy is durable when this returns; a file with
/// the name `path` does not exist before the copy is complete.
pub(super) async fn backup(pool: &SqlitePool, path: &Path) -> Result<(), Error> {
    if path.exists() {
        return Err(Error::Invalid(format!("{} is there already", path.display())));
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(".unfinished");
    let draft = PathBuf::from(draft);
    let text = draft.to_str().ok_or_else(|| Error::Invalid("the path of the backup is not valid UTF-8".to_owned()))?;
    // Removes the remains of an interrupted backup.
    remove(&draft)?;
    file::create_private(&draft)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(text.to_owned()).execute(pool).await;
    let kept = copied.map_err(Error::from).and_then(|_| keep(&draft, path));
    if kept.is_err() {
        remove(&draft)?;
    }
    kept
}

fn keep(draft: &Path, path: &Path) -> Result<(), Error> {
    File::open(draft)?.sync_all()?;
    std::fs::rename(draft, path)?;
    // The directory entry must be durable too.
    #[cfg(unix)]
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

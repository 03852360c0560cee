//! A copy of the file, as of one moment, while others use it.

use std::fs::File;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqlitePool;

use super::file;
use crate::Error;

/// Copies what the database holds to a new file for this user only. When this returns, the copy survives a power cut; before,
/// there is no file of that name.
pub(super) async fn backup(pool: &SqlitePool, path: &Path) -> Result<(), Error> {
    if path.exists() {
        return Err(Error::Invalid(format!("{} is there already", path.display())));
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(".unfinished");
    let draft = PathBuf::from(draft);
    let text = draft.to_str().ok_or_else(|| Error::Invalid("the path of the backup is not valid UTF-8".to_owned()))?;
    // What a killed one has left.
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
    // The name has to survive, too.
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

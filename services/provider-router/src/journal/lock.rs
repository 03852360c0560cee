//! Lock file of a process's directory: a held lock means that the process is alive.

use std::{
    fs::{File, Metadata},
    io,
    path::Path,
};

use signalbox_private_files as private_files;

/// Name of the lock file.
const NAME: &str = "lock";

/// Creates the directory, accessible to this user only, and takes its lock.
///
/// # Errors
/// Returns [`io::ErrorKind::WouldBlock`] while another process holds the lock; otherwise the error of the file system.
pub(super) fn claim(dir: &Path) -> io::Result<File> {
    private_files::create_dir(dir)?;
    let mut options = private_files::options();
    let lock = private_files::open_regular(options.create(true).truncate(false).write(true), &dir.join(NAME))?;
    lock.try_lock()?;
    // Earlier versions left the directory accessible to other users.
    for dir in [Some(dir), dir.parent()].into_iter().flatten() {
        if let Err(error) = private_files::tighten(dir) {
            tracing::warn!(%error, dir = %dir.display(), "other users can read this directory of the request log");
        }
    }
    Ok(lock)
}

/// Returns whether `lock` is still the lock of `dir`.
pub(super) fn holds(dir: &Path, lock: &File) -> bool {
    is_at(&dir.join(NAME), lock)
}

/// Returns whether `path` refers to the open file. A path that cannot be looked up for another reason than its absence,
/// such as a missing permission, counts as unchanged.
pub(super) fn is_at(path: &Path, file: &File) -> bool {
    match (std::fs::symlink_metadata(path), file.metadata()) {
        (Ok(found), Ok(open)) => is_same(&found, &open),
        (Err(error), _) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        (Ok(_), Err(_)) => true,
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// This platform does not provide the identity of a file.
#[cfg(not(unix))]
const fn is_same(_one: &Metadata, _other: &Metadata) -> bool {
    true
}

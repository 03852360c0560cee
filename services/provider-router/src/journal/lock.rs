//! Lock file of a process's directory: a held lock means that the process is alive.

use std::{
    fs::{File, Metadata},
    io,
    path::Path,
};

use signalbox_private_files as private_files;

/// Name of the directory of all processes' directories.
pub(super) const DIRECTORY: &str = "journal";

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
    // Earlier versions left the directories accessible to other users. A parent of another name is not the journal's:
    // it may be shared, such as the directory for temporary files.
    let journal = dir.parent().filter(|parent| parent.file_name().is_some_and(|name| name == DIRECTORY));
    for dir in [Some(dir), journal].into_iter().flatten() {
        if let Err(error) = private_files::restrict_access(dir) {
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_directories_of_the_journal_lose_permissions() {
        let shared = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for (name, after) in [("journal", 0o700), ("tmp", 0o755)] {
            let parent = shared.path().join(name);
            std::fs::create_dir_all(parent.join("own")).unwrap();
            for dir in [parent.clone(), parent.join("own")] {
                std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            claim(&parent.join("own")).unwrap();
            assert_eq!((mode(&parent), mode(&parent.join("own"))), (after, 0o700), "{name}");
        }
    }
}

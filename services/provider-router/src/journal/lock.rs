//! Lock file of a process's directory: a held lock means that the process is alive.

use std::{fs::File, io, path::Path};

use signalbox_private_files as private_files;

/// Creates the directory, accessible to this user only, and takes its lock.
///
/// # Errors
/// Returns [`io::ErrorKind::WouldBlock`] while another process holds the lock; otherwise the error of the file system.
pub(super) fn claim(dir: &Path) -> io::Result<File> {
    private_files::create_dir(dir)?;
    let mut options = private_files::options();
    let lock = private_files::open_regular(options.create(true).truncate(false).write(true), &dir.join("lock"))?;
    lock.try_lock()?;
    // Earlier versions left the directory accessible to other users.
    for dir in [Some(dir), dir.parent()].into_iter().flatten() {
        if let Err(error) = private_files::tighten(dir) {
            tracing::warn!(%error, dir = %dir.display(), "other users can read this directory of the request log");
        }
    }
    Ok(lock)
}

//! What dead processes left behind.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    claim,
    segment::{LeftBehind, Segment},
};

/// The directory of a dead process, ours to load and remove.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(crate) dir: PathBuf,
    pub(crate) segments: Vec<Segment>,
    /// Held while we load, so that no third process does the same.
    _lock: File,
}

/// All directories beside `own` whose process is dead.
///
/// # Errors
/// When the journal's directory cannot be listed.
pub(crate) fn estates(own: &Path) -> io::Result<Vec<Estate>> {
    let Some(journal) = own.parent() else { return Ok(Vec::new()) };
    let mut estates = Vec::new();
    for entry in std::fs::read_dir(journal)? {
        let dir = entry?.path();
        if dir == own || !dir.is_dir() {
            continue;
        }
        // Whoever holds the lock is alive.
        let Ok(lock) = claim(&dir) else { continue };
        match segments(&dir) {
            Ok(segments) => estates.push(Estate { dir, segments, _lock: lock }),
            Err(error) => tracing::error!(%error, dir = %dir.display(), "a journal left behind cannot be read"),
        }
    }
    Ok(estates)
}

/// The segments in `dir`, in the order of their records.
fn segments(dir: &Path) -> io::Result<Vec<Segment>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    let mut segments = Vec::new();
    for path in paths {
        match Segment::left_behind(path.clone())? {
            LeftBehind::Segment(segment) => segments.push(segment),
            LeftBehind::Unborn => std::fs::remove_file(path)?,
            LeftBehind::Damaged => {
                tracing::error!(path = %path.display(), "the header of a segment is damaged; the file is kept as .damaged");
                std::fs::rename(&path, path.with_extension("damaged"))?;
            }
        }
    }
    segments.sort_by_key(|segment| segment.generation);
    Ok(segments)
}

/// Removes a directory that has been loaded. Damaged segments keep it.
pub(crate) fn remove(dir: &Path) {
    let only_lock = std::fs::read_dir(dir)
        .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "lock")));
    if only_lock && let Err(error) = std::fs::remove_dir_all(dir) {
        tracing::warn!(%error, dir = %dir.display(), "a loaded journal directory cannot be removed");
    }
}

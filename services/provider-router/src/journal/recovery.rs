//! Finds the segments of dead processes, and files that were set aside.
//!
//! The journal's directory has one subdirectory per process. Only directories, and regular files in them, are read;
//! anything else is foreign, and is named in a warning. A file that could not be loaded completely is set aside as
//! `.damaged`, and retried from time to time: a later version or another database may accept the rows that were
//! refused.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    lock::claim,
    segment::{AbandonedSegment, Segment},
};

/// File extension of a segment in use.
const SEGMENT_EXTENSION: &str = "seg";
/// File extension of a segment that was set aside.
const SET_ASIDE_EXTENSION: &str = "damaged";

/// Maximum time between the creation of a process's directory and its first file.
const START_GRACE: Duration = Duration::from_secs(60);

/// Directory of a dead process, locked for loading and removal.
#[derive(Debug)]
pub(crate) struct AbandonedJournal {
    pub(crate) dir: PathBuf,
    /// Segments that have never been loaded.
    pub(crate) segments: Vec<Segment>,
    /// Segments from earlier, incomplete attempts.
    pub(crate) set_aside: Vec<Segment>,
    /// Held during the load, so that no third process loads the same files.
    _lock: File,
}

/// Scans the journal's directory, and remembers the entries it has warned about.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    named: HashSet<PathBuf>,
    /// Number of entries that could not be read in the current survey.
    skipped: u64,
}

// === impl Survey ===

impl Survey {
    /// Claims all directories next to `own` whose process is dead.
    pub(crate) fn abandoned_journals(&mut self, own: &Path) -> Vec<AbandonedJournal> {
        self.skipped = 0;
        let Some(journal) = own.parent() else { return Vec::new() };
        let mut abandoned_journals = Vec::new();
        for dir in self.entries(journal) {
            if dir == own {
                continue;
            }
            let is_dir = fs::symlink_metadata(&dir).map(|metadata| metadata.is_dir());
            if !is_dir.is_ok_and(|is_dir| is_dir) {
                if dir.extension().is_none_or(|extension| extension != CLOCK_EXTENSION) {
                    self.skip(&dir, &"it is not a directory");
                }
                continue;
            }
            abandoned_journals.extend(self.abandoned_journal(dir));
        }
        abandoned_journals
    }

    /// Returns the set-aside segments in `dir`, by generation.
    pub(crate) fn set_aside(&mut self, dir: &Path) -> Vec<Segment> {
        let paths = self.entries(dir);
        self.segments(paths.iter().filter(|path| has_extension(path, SET_ASIDE_EXTENSION)))
    }

    /// Returns the number of entries that could not be read.
    pub(crate) const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Claims a directory. Returns `None` if its process is alive or may just be starting; the directory is still empty
    /// then, and its lock must be left to that process.
    fn abandoned_journal(&mut self, dir: PathBuf) -> Option<AbandonedJournal> {
        let holds = |path: &PathBuf| has_extension(path, SEGMENT_EXTENSION) || has_extension(path, SET_ASIDE_EXTENSION);
        if is_fresh(&dir) && !self.entries(&dir).iter().any(holds) {
            return None;
        }
        let lock = match claim(&dir) {
            Ok(lock) => lock,
            // A held lock means that the process is alive.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => {
                self.skip(&dir, &error);
                return None;
            }
        };
        let paths = self.entries(&dir);
        let segments = self.segments(paths.iter().filter(|path| has_extension(path, SEGMENT_EXTENSION)));
        let set_aside = self.segments(paths.iter().filter(|path| has_extension(path, SET_ASIDE_EXTENSION)));
        Some(AbandonedJournal { dir, segments, set_aside, _lock: lock })
    }

    fn segments<'a>(&mut self, paths: impl Iterator<Item = &'a PathBuf>) -> Vec<Segment> {
        let mut segments: Vec<Segment> = paths.filter_map(|path| self.segment(path)).collect();
        segments.sort_by_key(|segment| segment.generation);
        segments
    }

    fn segment(&mut self, path: &Path) -> Option<Segment> {
        let is_set_aside = has_extension(path, SET_ASIDE_EXTENSION);
        let opened = match Segment::abandoned(path.to_owned()) {
            Ok(AbandonedSegment::Segment(segment)) => return Some(segment),
            Ok(_) if is_set_aside => Ok(()),
            Ok(AbandonedSegment::Empty) => fs::remove_file(path),
            Ok(AbandonedSegment::Damaged) => {
                let kept = path.with_extension(SET_ASIDE_EXTENSION);
                tracing::error!(
                    path = %kept.display(),
                    "segment header is damaged; the file is kept under this name, and its contents are missing from \
                    the request log"
                );
                fs::rename(path, kept)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            self.skip(path, &error);
        }
        None
    }

    fn entries(&mut self, dir: &Path) -> Vec<PathBuf> {
        let listed = fs::read_dir(dir)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>());
        listed.unwrap_or_else(|error| {
            self.skip(dir, &error);
            Vec::new()
        })
    }

    fn skip(&mut self, path: &Path, why: &dyn std::fmt::Display) {
        self.skipped += 1;
        if self.named.insert(path.to_owned()) {
            tracing::warn!(
                path = %path.display(),
                "file is missing from the request log: {why}. Make it readable for this user, or move it out of the \
                journal"
            );
        }
    }
}

/// File extension of the file in which [`super::retention`] stores the time.
pub(crate) const CLOCK_EXTENSION: &str = "clock";

fn is_fresh(dir: &Path) -> bool {
    let modified = fs::metadata(dir).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age < START_GRACE))
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

/// Renames a file that could not be loaded completely, so that it is kept.
pub(crate) fn set_aside(path: &Path) -> io::Result<()> {
    let kept = path.with_extension(SET_ASIDE_EXTENSION);
    if kept == path {
        return Ok(());
    }
    tracing::warn!(
        path = %kept.display(),
        "journal file was set aside, because parts of it are unreadable or were rejected by the database. It is \
        retried automatically; if it remains, see the errors above, and delete it when it is no longer needed"
    );
    fs::rename(path, kept)
}

/// Returns the number of set-aside files in `dir`.
pub(crate) fn count_set_aside(dir: &Path) -> u64 {
    let count = |entries: fs::ReadDir| {
        entries.flatten().filter(|entry| has_extension(&entry.path(), SET_ASIDE_EXTENSION)).count() as u64
    };
    fs::read_dir(dir).map_or(0, count)
}

/// Removes a loaded directory, unless it has files other than the lock, such as set-aside segments.
pub(crate) fn remove(dir: &Path) {
    let only_lock = fs::read_dir(dir)
        .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "lock")));
    if only_lock && let Err(error) = fs::remove_dir_all(dir) {
        tracing::warn!(%error, dir = %dir.display(), "cannot remove a loaded journal directory");
    }
}

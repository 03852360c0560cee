//! Checks whether the open file is still the file with its name.
//!
//! A file that was deleted or replaced stays open and writable, but all of its data are lost when the last process
//! closes it. Therefore a write only counts after a check that the name still refers to the open file, to its log, and
//! to the index of the log: processes with different indexes would overwrite each other's pages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::Error;

/// Identifies a file: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// A database file as it was when it was opened, and its log.
#[derive(Debug)]
pub(crate) struct Linked {
    path: PathBuf,
    /// `None` if the platform does not provide it: then the file always counts as linked.
    file: Option<Identity>,
    /// Set once SQLite has created the log.
    wal: OnceLock<Identity>,
    shm: OnceLock<Identity>,
}

/// The reason why the names do not refer to the open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The database file was deleted.
    Deleted,
    /// The database file was replaced.
    Replaced,
    /// The database file is unchanged, but its log was deleted.
    LogDeleted,
    /// The database file is unchanged, but its log was replaced.
    LogReplaced,
    /// The database file and its log are unchanged, but the index of the log was deleted. The next process to open the
    /// file creates another one.
    IndexDeleted,
    /// The database file and its log are unchanged, but the index of the log was replaced.
    IndexReplaced,
}

/// The metadata of a file, which change while it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileMetadata {
    identity: Option<Identity>,
    bytes: u64,
    modified: Option<SystemTime>,
}

// === impl Lost ===

impl Lost {
    /// Returns whether another process may have written to the log in a way that the open connections do not know. They
    /// must not copy anything from the log into the file then.
    pub(super) const fn is_outdated(self) -> bool {
        matches!(self, Self::LogReplaced | Self::IndexDeleted | Self::IndexReplaced)
    }
}

// === impl Linked ===

impl Linked {
    /// Identifies the file that has this name now.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let file = identity(path)?;
        Ok(Self { path: path.to_owned(), file, wal: OnceLock::new(), shm: OnceLock::new() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Stores the identity of the log. Call this while a connection is open, which keeps the log in existence.
    pub(crate) fn note_log(&self) {
        for (cell, suffix) in [(&self.wal, "-wal"), (&self.shm, "-shm")] {
            if cell.get().is_none()
                && let Ok(Some(found)) = identity(&self.beside(suffix))
            {
                // A concurrent call may have stored it already, with the same value.
                let _ = cell.set(found);
            }
        }
    }

    /// Returns whether the names refer to other files, or to none. Costs three calls of `stat`. A name that cannot be
    /// looked up for another reason, such as a missing permission, counts as unchanged.
    pub(crate) fn lost(&self) -> Option<Lost> {
        let opened = self.file?;
        match identity(&self.path) {
            Ok(Some(found)) if found == opened => {}
            Ok(_) => return Some(Lost::Replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Lost::Deleted),
            Err(_) => return None,
        }
        self.lost_beside(&self.wal, "-wal", Lost::LogDeleted, Lost::LogReplaced)
            .or_else(|| self.lost_beside(&self.shm, "-shm", Lost::IndexDeleted, Lost::IndexReplaced))
    }

    fn lost_beside(&self, opened: &OnceLock<Identity>, suffix: &str, deleted: Lost, replaced: Lost) -> Option<Lost> {
        let opened = *opened.get()?;
        match identity(&self.beside(suffix)) {
            Ok(Some(found)) if found == opened => None,
            Ok(_) => Some(replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(deleted),
            Err(_) => None,
        }
    }

    /// Fails if the names refer to other files.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        self.lost().map_or(Ok(()), |lost| Err(self.error(lost)))
    }

    /// Returns the error for callers.
    pub(crate) fn error(&self, lost: Lost) -> Error {
        let path = self.path.display();
        let what = match lost {
            Lost::Deleted => format!("{path} was deleted"),
            Lost::Replaced => format!("{path} was replaced by another file"),
            Lost::LogDeleted => format!("{path}-wal was deleted"),
            Lost::LogReplaced => format!("{path}-wal was replaced by another file"),
            Lost::IndexDeleted => format!("{path}-shm was deleted"),
            Lost::IndexReplaced => format!("{path}-shm was replaced by another file"),
        };
        let remedy = match lost {
            Lost::IndexDeleted | Lost::IndexReplaced => "The database is being reopened",
            _ => "Put the database back, or restore a backup with `mv`",
        };
        Error::Unavailable(format!("db_replaced: {what} while it was in use. {remedy}").into())
    }

    /// Renames the log of this file, because SQLite would apply its pages to the file that has replaced this one. An
    /// empty log and the index of the log are removed. A log that belongs to the new file is kept.
    pub(crate) fn move_log_aside(&self) -> io::Result<()> {
        for (cell, suffix) in [(&self.wal, "-wal"), (&self.shm, "-shm")] {
            let path = self.beside(suffix);
            let is_ours = cell.get().is_some_and(|ours| identity(&path).is_ok_and(|found| found == Some(*ours)));
            if is_ours && (suffix == "-shm" || fs::metadata(&path)?.len() == 0) {
                fs::remove_file(&path)?;
            } else if is_ours {
                fs::rename(&path, self.free_name(&format!("{suffix}.replaced")))?;
            }
        }
        Ok(())
    }

    /// Returns a name with this suffix that no file has, so that no earlier log is overwritten.
    fn free_name(&self, suffix: &str) -> PathBuf {
        let plain = std::iter::once(self.beside(suffix));
        let numbered = (2..=u32::MAX).map(|number| self.beside(&format!("{suffix}-{number}")));
        plain.chain(numbered).find(|path| !path.exists()).unwrap_or_else(|| self.beside(suffix))
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

// === impl FileMetadata ===

impl FileMetadata {
    /// Reads the metadata of the file, if it can be a database.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() || metadata.len() == 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { identity: of(&metadata), bytes: metadata.len(), modified: metadata.modified().ok() })
    }
}

fn identity(path: &Path) -> io::Result<Option<Identity>> {
    fs::metadata(path).map(|metadata| of(&metadata))
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other platforms have no identity")]
fn of(metadata: &fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    Some(Identity(metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn of(_metadata: &fs::Metadata) -> Option<Identity> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_three_files_is_missed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        for (suffix, deleted, replaced) in [
            ("", Lost::Deleted, Lost::Replaced),
            ("-wal", Lost::LogDeleted, Lost::LogReplaced),
            ("-shm", Lost::IndexDeleted, Lost::IndexReplaced),
        ] {
            for suffix in ["", "-wal", "-shm"] {
                fs::write(directory.path().join(format!("x.db{suffix}")), "x").unwrap();
            }
            let linked = Linked::new(&path).unwrap();
            linked.note_log();
            assert_eq!(linked.lost(), None);
            let own = linked.beside(suffix);
            let aside = directory.path().join("aside");
            fs::rename(&own, &aside).unwrap();
            assert_eq!(linked.lost(), Some(deleted));
            assert!(linked.error(deleted).to_string().contains(&format!("x.db{suffix} was deleted")));
            fs::write(&own, "another").unwrap();
            assert_eq!(linked.lost(), Some(replaced));
            fs::rename(&aside, &own).unwrap();
            assert_eq!(linked.lost(), None, "it is back");
        }
    }
}

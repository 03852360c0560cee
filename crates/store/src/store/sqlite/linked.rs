//! Whether the file that is open is still the file of that name.
//!
//! A file that was deleted, or replaced by another one, stays open and can be written to, and everything in it is gone when
//! the last process closes it. So nothing that is written counts before the name was seen to lead to the open file, and to
//! its log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::Error;

/// What distinguishes a file from all others that exist: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

/// A database file as it was when it was opened, and its log.
#[derive(Debug)]
pub(crate) struct Linked {
    path: PathBuf,
    /// `None` where the platform does not tell: then it always counts as linked.
    file: Option<Identity>,
    /// Known once SQLite has made it.
    wal: OnceLock<Identity>,
    shm: OnceLock<Identity>,
}

/// What is wrong with the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No file has the name of the database.
    Deleted,
    /// Another file has it.
    Replaced,
    /// The database is there; its log was deleted.
    LogDeleted,
    /// The database is there; another file has the name of its log.
    LogReplaced,
}

/// How a file looks from outside; it changes while somebody writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    identity: Option<Identity>,
    bytes: u64,
    modified: Option<SystemTime>,
}

// === impl Linked ===

impl Linked {
    /// The file that has this name now.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let file = identity(path)?;
        Ok(Self { path: path.to_owned(), file, wal: OnceLock::new(), shm: OnceLock::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes which log belongs to the file. To be called while a connection is open, which keeps the log.
    pub(super) fn note_log(&self) {
        for (cell, suffix) in [(&self.wal, "-wal"), (&self.shm, "-shm")] {
            if cell.get().is_none()
                && let Ok(Some(found)) = identity(&self.beside(suffix))
            {
                // Somebody else may have noted it meanwhile, and it is the same.
                let _ = cell.set(found);
            }
        }
    }

    /// Whether the names lead to other files, or to none. Two calls of `stat`; a name that cannot be looked up for
    /// another reason, such as missing permission, says nothing.
    pub(super) fn lost(&self) -> Option<Lost> {
        let opened = self.file?;
        match identity(&self.path) {
            Ok(Some(found)) if found == opened => {}
            Ok(_) => return Some(Lost::Replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Lost::Deleted),
            Err(_) => return None,
        }
        let log = *self.wal.get()?;
        match identity(&self.beside("-wal")) {
            Ok(Some(found)) if found == log => None,
            Ok(_) => Some(Lost::LogReplaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Lost::LogDeleted),
            Err(_) => None,
        }
    }

    /// Fails when the names lead elsewhere.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        self.lost().map_or(Ok(()), |lost| Err(self.error(lost)))
    }

    /// What callers are told.
    pub(super) fn error(&self, lost: Lost) -> Error {
        let path = self.path.display();
        let what = match lost {
            Lost::Deleted => format!("{path} was deleted"),
            Lost::Replaced => format!("{path} was replaced by another file"),
            Lost::LogDeleted => format!("{path}-wal was deleted"),
            Lost::LogReplaced => format!("{path}-wal was replaced by another file"),
        };
        Error::Unavailable(
            format!("db_replaced: {what} while it was in use. Put the database back, or restore a backup with `mv`")
                .into(),
        )
    }

    /// Moves the log of this file out of the way of the file that has replaced it: SQLite would write the pages of one
    /// into the other. A log that came with the new file stays.
    pub(super) fn move_log_aside(&self) -> io::Result<()> {
        for (cell, suffix) in [(&self.wal, "-wal"), (&self.shm, "-shm")] {
            let path = self.beside(suffix);
            let is_ours = cell.get().is_some_and(|ours| identity(&path).is_ok_and(|found| found == Some(*ours)));
            if is_ours {
                fs::rename(&path, self.beside(&format!("{suffix}.replaced")))?;
            }
        }
        Ok(())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

// === impl Look ===

impl Look {
    /// The file of this name, if it is one that can be a database.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
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
#[expect(clippy::unnecessary_wraps, reason = "other platforms have none")]
fn of(metadata: &fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    Some(Identity(metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn of(_metadata: &fs::Metadata) -> Option<Identity> {
    None
}

//! Free segment files kept for reuse: a fresh page of the page cache costs several times as much as a reused one.
//!
//! The files stay open, so that the log survives for a while when the directory loses its permissions or the disk is
//! full. If the directory is deleted or moved, it is created again, and with it new files.

mod rescue;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use self::rescue::Used;
use super::{lock, segment_file::SegmentFile};

/// Files that may be overwritten.
#[derive(Debug)]
pub(crate) struct Pool {
    dir: PathBuf,
    free: Mutex<Vec<SegmentFile>>,
    /// Number of files kept at all times.
    spare: usize,
    /// Number of additional files kept after a burst.
    more: usize,
    /// Number in the name of the next file.
    next: AtomicU64,
    /// Lock of the directory, held as long as the journal or its loader lives.
    lock: Mutex<File>,
    /// How often the directory was created again.
    epoch: AtomicU64,
    pub(crate) used: Used,
}

// === impl Pool ===

impl Pool {
    /// Creates `dir`, takes its lock, and creates a pool in it with `spare` files. Up to `more` additional files from a
    /// burst are kept until [`trim`](Self::trim) is called.
    pub(crate) fn new(dir: &Path, more: usize, spare: usize) -> io::Result<Self> {
        let pool = Self {
            dir: dir.to_owned(),
            free: Mutex::default(),
            spare,
            more,
            next: AtomicU64::new(0),
            lock: Mutex::new(lock::claim(dir)?),
            epoch: AtomicU64::new(0),
            used: Used::default(),
        };
        for _ in 0..spare {
            let file = pool.create()?;
            pool.free().push(file);
        }
        Ok(pool)
    }

    /// Takes a file back, or returns it if the pool is full or the file cannot be wiped. The header is wiped, so that a
    /// later process does not load its records again.
    pub(crate) fn put(&self, file: SegmentFile) -> Result<(), SegmentFile> {
        let mut free = self.free();
        if free.len() >= self.spare + self.more || self.has_lost(&file) || file.wipe().is_err() {
            return Err(file);
        }
        free.push(file);
        Ok(())
    }

    /// Returns a free file, or creates one.
    pub(crate) fn take(&self) -> io::Result<SegmentFile> {
        let free = {
            let mut free = self.free();
            std::iter::from_fn(|| free.pop()).find(|file| !self.has_lost(file))
        };
        free.map_or_else(|| self.create(), Ok)
    }

    /// Returns whether the file was deleted, or moved together with the directory. Costs one call of `fstat`, and
    /// another one for a file in a directory that was created again.
    pub(crate) fn has_lost(&self, file: &SegmentFile) -> bool {
        file.is_deleted() || (file.epoch() != self.epoch.load(Ordering::Relaxed) && !file.is_in_place())
    }

    /// Creates the directory again if it was deleted or moved.
    ///
    /// # Errors
    /// Returns the error of the file system, or [`io::ErrorKind::WouldBlock`] if another process has claimed it.
    pub(crate) fn watch(&self) -> io::Result<()> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock::holds(&self.dir, &lock) {
            return Ok(());
        }
        *lock = lock::claim(&self.dir)?;
        self.epoch.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            dir = %self.dir.display(),
            "the directory of the journal was deleted or moved while it was in use. It was created again, and gets the requests that are not in the database"
        );
        Ok(())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes the additional files.
    pub(crate) fn trim(&self) {
        self.keep(self.spare);
    }

    /// Removes all files, after the last writer is gone.
    pub(crate) fn clear(&self) {
        self.keep(0);
    }

    fn keep(&self, most: usize) {
        let mut free = self.free();
        let kept = most.min(free.len());
        for file in free.drain(kept..).filter(|file| !self.has_lost(file)) {
            if let Err(error) = std::fs::remove_file(&file.path) {
                tracing::warn!(%error, path = %file.path.display(), "cannot remove a free segment");
            }
        }
    }

    /// Creates a file, and the directory if it was deleted.
    pub(super) fn create(&self) -> io::Result<SegmentFile> {
        match self.try_create() {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                self.watch()?;
                self.try_create()
            }
            created => created,
        }
    }

    fn try_create(&self) -> io::Result<SegmentFile> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        SegmentFile::create(self.dir.join(format!("{number:06}.seg")), self.epoch.load(Ordering::Relaxed))
    }

    /// Releases the lock, as the death of the process would.
    #[cfg(test)]
    pub(super) fn unlock(&self) {
        self.lock.lock().unwrap().unlock().unwrap();
    }

    fn free(&self) -> MutexGuard<'_, Vec<SegmentFile>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let segments = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name() != "lock";
        let files = || std::fs::read_dir(dir.path()).unwrap().filter_map(|entry| segments(entry).then_some(())).count();
        let pool = Pool::new(dir.path(), 2, 1).unwrap();
        assert_eq!(files(), 1);
        for _ in 0..2 {
            pool.put(pool.create().unwrap()).unwrap();
        }
        let extra = pool.put(pool.create().unwrap()).unwrap_err();
        std::fs::remove_file(extra.path).unwrap();
        assert_eq!(files(), 3);
        pool.trim();
        assert_eq!(files(), 1);
        pool.clear();
        assert_eq!(files(), 0);
    }
}

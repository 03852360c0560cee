//! Free segment files kept for reuse: a fresh page of the page cache costs several times as much as a reused one.
//!
//! The files stay open, so that the log survives for a while when the directory loses its permissions or the disk is
//! full.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::segment::SegmentFile;

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
}

// === impl Pool ===

impl Pool {
    /// Creates a pool in `dir` with `spare` files. Up to `more` additional files from a burst are kept until
    /// [`rest`](Self::rest) is called.
    pub(crate) fn new(dir: &Path, more: usize, spare: usize) -> io::Result<Self> {
        let pool = Self { dir: dir.to_owned(), free: Mutex::default(), spare, more, next: AtomicU64::new(0) };
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
        if free.len() >= self.spare + self.more || file.wipe().is_err() {
            return Err(file);
        }
        free.push(file);
        Ok(())
    }

    /// Returns a free file, or creates one.
    pub(crate) fn take(&self) -> io::Result<SegmentFile> {
        let free = self.free().pop();
        free.map_or_else(|| self.create(), Ok)
    }

    /// Removes the additional files.
    pub(crate) fn rest(&self) {
        self.keep(self.spare);
    }

    /// Removes all files, after the last writer is gone.
    pub(crate) fn clear(&self) {
        self.keep(0);
    }

    fn keep(&self, most: usize) {
        let mut free = self.free();
        let kept = most.min(free.len());
        for file in free.drain(kept..) {
            if let Err(error) = std::fs::remove_file(&file.path) {
                tracing::warn!(%error, path = %file.path.display(), "cannot remove a free segment");
            }
        }
    }

    fn create(&self) -> io::Result<SegmentFile> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        SegmentFile::create(self.dir.join(format!("{number:06}.seg")))
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
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        let pool = Pool::new(dir.path(), 2, 1).unwrap();
        assert_eq!(files(), 1);
        for _ in 0..2 {
            pool.put(pool.create().unwrap()).unwrap();
        }
        let extra = pool.put(pool.create().unwrap()).unwrap_err();
        std::fs::remove_file(extra.path).unwrap();
        assert_eq!(files(), 3);
        pool.rest();
        assert_eq!(files(), 1);
        pool.clear();
        assert_eq!(files(), 0);
    }
}

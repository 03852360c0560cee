//! Saves segments whose files were deleted or moved while they were in use.
//!
//! Such a file can still be read through its descriptor, but it is lost when the process dies. It is therefore copied
//! to a new file, as far as its records are not in the database yet.

use std::{
    collections::HashMap,
    io::{self, Read as _, Seek as _, SeekFrom},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::Pool;
use crate::journal::{segment::Segment, segment_file::SegmentFile};

/// Segments of this process that are not in the database yet, by generation.
#[derive(Debug, Default)]
pub(crate) struct Used {
    segments: Mutex<HashMap<u64, Rescued>>,
    /// Whether the last attempt to save them failed.
    failing: AtomicBool,
}

#[derive(Debug)]
struct Rescued {
    segment: Arc<Segment>,
    copy: Option<Copy>,
}

/// A new file for a segment whose own file was deleted.
#[derive(Debug)]
struct Copy {
    file: SegmentFile,
    /// Number of bytes that have been copied.
    copied: u64,
}

// === impl Used ===

impl Used {
    /// Adds a segment that was just opened.
    pub(crate) fn add(&self, segment: &Arc<Segment>) {
        self.segments().insert(segment.generation, Rescued { segment: Arc::clone(segment), copy: None });
    }

    /// Removes a segment that is in the database, or is to be kept. Returns the file that contains it now, or `None` if
    /// that was deleted.
    pub(crate) fn remove(&self, segment: &Segment, keep: bool, pool: &Pool) -> Option<SegmentFile> {
        let rescued = self.segments().remove(&segment.generation);
        if !pool.has_lost(&segment.file) {
            return Some(segment.file.clone());
        }
        let mut rescued = rescued?;
        if keep && let Err(error) = rescued.update(pool) {
            tracing::error!(%error, path = %segment.file.path.display(), "a deleted file of the journal cannot be written again");
        }
        rescued.copy.map(|copy| copy.file).filter(|file| !pool.has_lost(file))
    }

    /// Copies what was appended to deleted files since the last call. Only the loader may call this, because it moves
    /// the position of the reader. Logs failures; a later call tries again.
    pub(crate) fn rescue(&self, pool: &Pool) {
        let result = pool.watch().and_then(|()| {
            let mut segments = self.segments();
            segments.values_mut().try_for_each(|rescued| rescued.update(pool))
        });
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !was_failing => {
                tracing::error!(%error, dir = %pool.dir().display(), "files of the journal were deleted and cannot be written again");
            }
            Ok(()) if was_failing => tracing::info!("the deleted files of the journal are written again"),
            _ => {}
        }
    }

    /// Returns whether records that are only in deleted files could not be copied.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    fn segments(&self) -> MutexGuard<'_, HashMap<u64, Rescued>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Rescued ===

impl Rescued {
    fn update(&mut self, pool: &Pool) -> io::Result<()> {
        if !pool.has_lost(&self.segment.file) {
            return Ok(());
        }
        let copy = match self.copy.take().filter(|copy| !pool.has_lost(&copy.file)) {
            Some(copy) => self.copy.insert(copy),
            None => self.copy.insert(Copy { file: pool.create()?, copied: 0 }),
        };
        copy.update(&self.segment)
    }
}

// === impl Copy ===

impl Copy {
    fn update(&mut self, segment: &Segment) -> io::Result<()> {
        let left = segment.written() - self.copied;
        if left == 0 {
            return Ok(());
        }
        let (mut reader, mut writer) = (&*segment.file.reader, self.file.writer());
        reader.seek(SeekFrom::Start(self.copied))?;
        writer.seek(SeekFrom::Start(self.copied))?;
        if io::copy(&mut reader.take(left), &mut writer)? < left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        writer.sync_data()?;
        self.copied += left;
        Ok(())
    }
}

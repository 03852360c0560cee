//! Segments, shared by the writer that appends to one and the loader that reads behind it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use signalbox_private_files::{open_regular, restrict_access};

use super::segment_file::{FREE, HEADER, HEADER_LEN, MAGIC, SegmentFile, header};

/// A segment, shared by writer and loader.
#[derive(Debug)]
pub(crate) struct Segment {
    /// File that contains the segment.
    pub(crate) file: SegmentFile,
    /// Distinguishes the segment's records from those of an earlier use of the file.
    pub(crate) generation: u64,
    /// Offset up to which the file has complete records.
    written: AtomicU64,
    /// Whether the writer has stopped appending.
    sealed: AtomicBool,
    /// Whether the segment is from a dead process. `written` is only the file's length then: the last record may be
    /// torn, and older records may follow it.
    pub(crate) abandoned: bool,
}

/// Contents of a file in the directory of a dead process.
#[derive(Debug)]
pub(crate) enum AbandonedSegment {
    /// The file is shorter than a header, free, or all zeros, so it has no records.
    Empty,
    /// The header is valid, so the file may have records.
    Segment(Segment),
    /// The header is damaged. Without the generation, the records cannot be distinguished from older ones.
    Damaged,
}

/// Returns whether the rest of a file is zeros.
fn has_only_zeros(file: &mut File) -> io::Result<bool> {
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(true),
            len if piece[..len].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

// === impl Segment ===

impl Segment {
    /// Opens a file of a dead process. The segment counts as sealed.
    pub(crate) fn abandoned(path: PathBuf) -> io::Result<AbandonedSegment> {
        let mut file = open_regular(OpenOptions::new().read(true), &path)?;
        if let Err(error) = restrict_access(&path) {
            tracing::warn!(%error, path = %path.display(), "other users can read this segment of the request log");
        }
        let mut found = [0; HEADER];
        match file.read_exact(&mut found) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(AbandonedSegment::Empty),
            Err(error) => return Err(error),
        }
        let generation = found[MAGIC.len()..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).unwrap_or_default();
        if found == header(FREE) || (found == [0; HEADER] && has_only_zeros(&mut file)?) {
            return Ok(AbandonedSegment::Empty);
        }
        if found != header(generation) {
            return Ok(AbandonedSegment::Damaged);
        }
        let file = Arc::new(file);
        Ok(AbandonedSegment::Segment(Self {
            file: SegmentFile { path, reader: Arc::clone(&file), writer: Arc::clone(&file), epoch: 0 },
            generation,
            written: AtomicU64::new(file.metadata()?.len()),
            sealed: AtomicBool::new(true),
            abandoned: true,
        }))
    }

    /// Returns the offset up to which the loader may read.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Returns the number of bytes of records.
    pub(crate) fn len(&self) -> u64 {
        self.written() - HEADER_LEN
    }

    /// Returns whether the segment is sealed. Call this before [`Self::written`] to know whether the latter is final.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Creates a segment whose header was just written to `file`.
    pub(super) const fn new(file: SegmentFile, generation: u64) -> Self {
        Self { file, generation, written: AtomicU64::new(HEADER_LEN), sealed: AtomicBool::new(false), abandoned: false }
    }

    /// Moves the end of the complete records by `len` bytes.
    pub(super) fn advance(&self, len: u64) {
        self.written.fetch_add(len, Ordering::Release);
    }

    /// Marks the segment as complete: nothing is appended any more.
    pub(super) fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }
}

//! Files of segments, and the header that marks one in use.
//!
//! ```text
//! segment = "signalbx" · generation: u64 LE · crc32 of both: u32 LE · records
//! ```

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::PathBuf,
    sync::Arc,
};

use signalbox_private_files::{self as private_files, open_regular};

use super::lock;

/// First bytes of a segment.
pub(super) const MAGIC: [u8; 8] = *b"signalbx";
/// Bytes of magic, generation and checksum.
pub(crate) const HEADER_LEN: u64 = HEADER as u64;
/// [`HEADER_LEN`] as `usize`.
pub(super) const HEADER: usize = MAGIC.len() + size_of::<u64>() + size_of::<u32>();

/// Generation in the header of a free file in the pool. It is not zero, so that a header that a power failure has emptied
/// is not taken for that of a free file.
pub(super) const FREE: u64 = u64::MAX;

/// A file, opened once for the writer and once for the reader.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFile {
    pub(crate) path: PathBuf,
    pub(crate) reader: Arc<File>,
    pub(super) writer: Arc<File>,
    /// See [`super::pool::Pool::has_lost`].
    pub(super) epoch: u64,
}

// === impl SegmentFile ===

impl SegmentFile {
    /// Creates an empty file.
    pub(super) fn create(path: PathBuf, epoch: u64) -> io::Result<Self> {
        let writer = Arc::new(private_files::options().write(true).create_new(true).open(&path)?);
        let reader = Arc::new(open_regular(OpenOptions::new().read(true), &path)?);
        Ok(Self { path, reader, writer, epoch })
    }

    /// Returns whether the file has no name any more.
    #[cfg(unix)]
    pub(super) fn is_deleted(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        self.writer.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Returns whether the file has no name any more.
    #[cfg(not(unix))]
    pub(super) fn is_deleted(&self) -> bool {
        !self.is_in_place()
    }

    /// Returns whether the path still refers to the file.
    pub(super) fn is_in_place(&self) -> bool {
        lock::is_at(&self.path, &self.writer)
    }

    /// Returns which one of the directories of the pool the file was created in.
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn writer(&self) -> &File {
        &self.writer
    }

    /// Overwrites the header, so that the file counts as free.
    pub(super) fn wipe(&self) -> io::Result<()> {
        let mut writer = &*self.writer;
        writer.seek(SeekFrom::Start(0))?;
        writer.write_all(&header(FREE))
    }
}

/// Returns the header of a segment.
pub(crate) fn header(generation: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let (checked, crc) = header.split_at_mut(HEADER - size_of::<u32>());
    checked[..MAGIC.len()].copy_from_slice(&MAGIC);
    checked[MAGIC.len()..].copy_from_slice(&generation.to_le_bytes());
    crc.copy_from_slice(&crc32fast::hash(checked).to_le_bytes());
    header
}

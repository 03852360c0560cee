//! Segment files: where records are appended.
//!
//! One writer appends; the loader reads behind it, never past [`Segment::written`]. A segment is sealed when it is full,
//! and removed when everything in it is in the database.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A segment as writer and loader share it.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// How many bytes are whole records.
    written: AtomicU64,
    /// Nothing will be appended any more.
    sealed: AtomicBool,
}

impl Segment {
    /// A segment another process left behind; it is sealed by that process's death.
    pub(crate) fn left_behind(path: PathBuf) -> io::Result<Self> {
        let written = AtomicU64::new(std::fs::metadata(&path)?.len());
        Ok(Self { path, written, sealed: AtomicBool::new(true) })
    }

    /// How far the loader may read.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Whether the writer has left it. Read this before [`Self::written`] to know that the latter is final.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }
}

/// Appends records to the newest segment of one shard.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    dir: PathBuf,
    shard: usize,
    next: u32,
    max_len: u64,
    open: Option<(File, Arc<Segment>)>,
}

impl SegmentWriter {
    pub(crate) fn new(dir: &Path, shard: usize, max_len: u64) -> Self {
        Self { dir: dir.to_owned(), shard, next: 0, max_len, open: None }
    }

    /// Appends one record, given as its encoded front and its body. Returns a segment when it had to open one.
    ///
    /// # Errors
    /// Whatever the file system says. What was written of the record is taken back, so the segment stays readable.
    pub(crate) fn append(&mut self, front: &[u8], body: &[u8]) -> io::Result<Option<Arc<Segment>>> {
        let len = (front.len() + body.len()) as u64;
        let full = self.open.as_ref().is_some_and(|(_, segment)| {
            let written = segment.written();
            written > 0 && written + len > self.max_len
        });
        if full {
            self.seal();
        }
        let opened = if self.open.is_none() { Some(self.create()?) } else { None };
        let Some((file, segment)) = &mut self.open else { return Ok(None) };
        if let Err(error) = write_all(file, front, body) {
            if file.set_len(segment.written()).is_err() {
                // A torn record in the middle would hide all later ones: go on in a new file.
                self.seal();
            }
            return Err(error);
        }
        segment.written.fetch_add(len, Ordering::Release);
        Ok(opened)
    }

    /// Leaves the current segment; the next record opens a new one.
    pub(crate) fn seal(&mut self) {
        if let Some((_, segment)) = self.open.take() {
            segment.sealed.store(true, Ordering::Release);
        }
    }

    fn create(&mut self) -> io::Result<Arc<Segment>> {
        let path = self.dir.join(format!("{:02}-{:08}.seg", self.shard, self.next));
        // Append mode: after a failed write has been cut off, the next one starts at the new end.
        let file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        self.next += 1;
        let segment = Arc::new(Segment { path, written: AtomicU64::new(0), sealed: AtomicBool::new(false) });
        self.open = Some((file, Arc::clone(&segment)));
        Ok(segment)
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.seal();
    }
}

/// One system call in the common case: a record is never half there because the process died between two writes.
fn write_all(file: &mut File, front: &[u8], body: &[u8]) -> io::Result<()> {
    let (mut front, mut body) = (front, body);
    while !front.is_empty() || !body.is_empty() {
        let n = match file.write_vectored(&[IoSlice::new(front), IoSlice::new(body)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let from_front = n.min(front.len());
        front = &front[from_front..];
        body = &body[n - from_front..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_segment_is_sealed_and_followed_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = SegmentWriter::new(dir.path(), 3, 10);
        let first = writer.append(b"12345", b"678").unwrap().unwrap();
        assert!(writer.append(b"90", b"").unwrap().is_none());
        assert!(!first.is_sealed());
        let second = writer.append(b"a", b"b").unwrap().unwrap();
        assert!(first.is_sealed());
        assert_eq!((first.written(), second.written()), (10, 2));
        assert_eq!(std::fs::read(&first.path).unwrap(), b"1234567890");
        assert_eq!(std::fs::read(&second.path).unwrap(), b"ab");
    }

    #[test]
    fn a_record_larger_than_a_segment_gets_one_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = SegmentWriter::new(dir.path(), 0, 4);
        assert!(writer.append(b"", b"123456789").unwrap().is_some());
        assert!(writer.append(b"", b"1").unwrap().is_some());
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error_and_not_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let mut writer = SegmentWriter::new(&gone, 0, 100);
        assert!(writer.append(b"x", b"").is_err());
        std::fs::create_dir(&gone).unwrap();
        assert!(writer.append(b"x", b"").unwrap().is_some());
    }
}

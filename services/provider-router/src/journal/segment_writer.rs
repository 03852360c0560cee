//! Appends records to segments.
//!
//! Generations increase, so that they order the segments and distinguish current records from those of an earlier use
//! of the file.
//!
//! A single writer appends; the loader reads behind it, never past [`Segment::written`]. A segment is sealed when it is
//! full. Once everything in it is in the database, its file goes to the [`Pool`], to be overwritten in place with a new
//! generation.

use std::{
    fs::File,
    io::{self, IoSlice, Seek as _, SeekFrom, Write as _},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    pool::Pool,
    record::seal,
    segment::Segment,
    segment_file::{HEADER_LEN, header},
};
use crate::clock;

/// Appends records to the current segment of one shard.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    max_len: u64,
    pool: Arc<Pool>,
    open: Option<Arc<Segment>>,
}

/// Result of an append.
#[derive(Debug)]
pub(crate) struct Appended {
    /// Segment that was opened for the record, if any.
    pub(crate) opened: Option<Arc<Segment>>,
    /// File that contains the record.
    pub(crate) file: Arc<File>,
}

// === impl SegmentWriter ===

impl SegmentWriter {
    /// Creates a writer of segments of `max_len` bytes. The first file is taken from `pool` with the first record.
    pub(crate) fn new(max_len: u64, pool: Arc<Pool>) -> Self {
        Self { max_len, pool, open: None }
    }

    /// Appends one record, given as its encoded front and its body.
    ///
    /// # Errors
    /// Returns the error of the file system. A partly written record is overwritten by the next one, so the segment
    /// stays readable.
    pub(crate) fn append(&mut self, front: &mut [u8], body: &[u8]) -> io::Result<Appended> {
        let len = (front.len() + body.len()) as u64;
        let full = self.open.as_ref().is_some_and(|segment| {
            let written = segment.written();
            written > HEADER_LEN && written + len > self.max_len
        });
        if full || self.open.as_ref().is_some_and(|segment| self.pool.has_lost(&segment.file)) {
            self.close_current();
        }
        let (opened, segment) = match &self.open {
            Some(segment) => (None, segment),
            None => {
                let segment = Arc::new(self.begin()?);
                self.pool.used.add(&segment);
                (Some(Arc::clone(&segment)), self.open.insert(segment) as &_)
            }
        };
        let file = Arc::clone(&segment.file.writer);
        seal(front, body, segment.generation);
        if let Err(error) = write_all(&file, front, body) {
            if (&*file).seek(SeekFrom::Start(segment.written())).is_err() {
                // A torn record in the middle would hide all later ones, so continue in another file.
                self.close_current();
            }
            return Err(error);
        }
        segment.advance(len);
        Ok(Appended { opened, file })
    }

    /// Seals the current segment; the next record opens another.
    fn close_current(&mut self) {
        if let Some(segment) = self.open.take() {
            segment.seal();
        }
    }

    /// Opens a new segment by writing its header over the previous contents of the file.
    fn begin(&self) -> io::Result<Segment> {
        let file = self.pool.take()?;
        let generation = next_generation();
        let mut writer = &*file.writer;
        let written = writer.seek(SeekFrom::Start(0)).and_then(|_| writer.write_all(&header(generation)));
        if let Err(error) = written {
            // The file is unchanged or will be overwritten; the pool has room for a file it has just given out.
            let _ = self.pool.put(file);
            return Err(error);
        }
        Ok(Segment::new(file, generation))
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.close_current();
    }
}

/// Returns a generation greater than all earlier ones, including those of earlier processes unless the clock was set
/// back. That case is harmless, because every process has its own directory.
fn next_generation() -> u64 {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(clock::unix_ms().unsigned_abs() << 20));
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Writes a record, normally with a single system call, so that the death of the process does not leave half a record.
fn write_all(mut file: &File, front: &[u8], body: &[u8]) -> io::Result<()> {
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
    use std::path::Path;

    use uuid::Uuid;

    use super::*;
    use crate::journal::{
        record::{Kind, encode},
        segment::AbandonedSegment,
        segment_file::{FREE, HEADER},
    };

    fn writer(dir: &Path, max_len: u64) -> SegmentWriter {
        SegmentWriter::new(max_len, Arc::new(Pool::new(dir, 1, 1).unwrap()))
    }

    fn front(body: &[u8]) -> Vec<u8> {
        let mut front = Vec::new();
        encode(&mut front, Kind::Part, Uuid::nil(), None::<&()>, body).unwrap();
        front
    }

    fn append(writer: &mut SegmentWriter, body: &[u8]) -> Option<Arc<Segment>> {
        writer.append(&mut front(body), body).unwrap().opened
    }

    #[test]
    fn a_full_segment_is_sealed_and_a_new_one_begun() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), HEADER_LEN + 60);
        let first = append(&mut writer, b"x").unwrap();
        assert!(append(&mut writer, b"yz").is_none() && !first.is_sealed());
        let second = append(&mut writer, b"more").unwrap();
        assert!(first.is_sealed() && first.generation < second.generation);
        for segment in [&first, &second] {
            assert_eq!(std::fs::metadata(&segment.file.path).unwrap().len(), segment.written());
        }
    }

    #[test]
    fn an_oversized_record_gets_its_own_segment() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), 4);
        assert!(append(&mut writer, b"123456789").is_some());
        assert!(append(&mut writer, b"1").is_some());
    }

    #[test]
    fn a_free_file_is_overwritten_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), 64);
        let old = append(&mut writer, &[7; 200]).unwrap();
        let old_len = old.written();
        writer.pool.put(old.file.clone()).unwrap();
        assert!(matches!(Segment::abandoned(old.file.path.clone()).unwrap(), AbandonedSegment::Empty));
        let new = append(&mut writer, b"x").unwrap();
        assert_eq!(new.file.path, old.file.path);
        let bytes = std::fs::read(&new.file.path).unwrap();
        assert_eq!(bytes.len() as u64, old_len, "not truncated");
        assert_eq!(bytes[8..16], new.generation.to_le_bytes());
    }

    /// Runs where a directory can be removed while files in it are open.
    #[cfg(unix)]
    #[test]
    fn a_deleted_directory_is_created_again_or_writes_fail() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        std::fs::create_dir(&gone).unwrap();
        let mut writer = writer(&gone, 64);
        std::fs::remove_dir_all(&gone).unwrap();
        let opened = append(&mut writer, b"x").unwrap();
        assert!(opened.file.path.exists() && gone.join("lock").exists(), "it was created again");
        // Without the file alone, and without the whole directory.
        std::fs::remove_file(&opened.file.path).unwrap();
        let second = append(&mut writer, b"x").unwrap();
        assert!(opened.is_sealed() && second.file.path.exists());
        std::fs::remove_dir_all(&gone).unwrap();
        std::fs::write(&gone, "no directory").unwrap();
        assert!(writer.append(&mut front(b"x"), b"x").is_err());
        std::fs::remove_file(&gone).unwrap();
        assert!(append(&mut writer, b"x").unwrap().file.path.exists());
    }

    #[test]
    fn a_file_without_a_header_is_empty_and_one_with_a_partial_header_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.seg");
        let abandoned = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Segment::abandoned(path.clone()).unwrap()
        };
        let free = [&header(FREE), b"old records".as_slice()].concat();
        for bytes in [b"".as_slice(), b"signalbx", &header(7)[..19], &[0; 64], &[0; 200_000], &free] {
            assert!(matches!(abandoned(bytes), AbandonedSegment::Empty));
        }
        // A power failure may keep later pages of a file and not its first one.
        for hole in [20, 4_096, 200_000] {
            let torn = [vec![0; hole], b"records".to_vec()].concat();
            assert!(matches!(abandoned(&torn), AbandonedSegment::Damaged), "{hole}");
        }
        assert!(matches!(abandoned(&header(7)), AbandonedSegment::Segment(segment) if segment.generation == 7));
        for at in 0..HEADER {
            let mut damaged = header(7);
            damaged[at] ^= 1;
            assert!(matches!(abandoned(&damaged), AbandonedSegment::Damaged), "{at}");
        }
    }
}

//! Segment files: where records are appended.
//!
//! ```text
//! segment = "signalbx" · generation: u64 LE · records
//! ```
//! One writer appends; the loader reads behind it, never past [`Segment::written`]. A segment is sealed when it is full.
//! When everything in it is in the database it goes to the [`Pool`], to be overwritten in place with a new generation:
//! fresh page cache costs several times what a used page costs.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use uuid::Uuid;

use super::record::seal;

const MAGIC: [u8; 8] = *b"signalbx";
/// Magic and generation.
pub(crate) const HEADER_LEN: u64 = 16;

/// A segment as writer and loader share it.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Tells its records from those of the file's former lives.
    pub(crate) generation: u64,
    /// How far it holds whole records.
    written: AtomicU64,
    /// Nothing will be appended any more.
    sealed: AtomicBool,
    /// Whether `written` is only how long the file is: what a dead process wrote last may be torn, and older than that.
    pub(crate) left_behind: bool,
}

/// Files that may be overwritten.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Mutex<Vec<PathBuf>>,
    max: usize,
}

/// Appends records to the newest segment of one shard.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    dir: PathBuf,
    shard: usize,
    next: u32,
    max_len: u64,
    pool: Arc<Pool>,
    open: Option<(Arc<File>, Arc<Segment>)>,
}

/// A record that was appended.
#[derive(Debug)]
pub(crate) struct Appended {
    /// The segment that had to be opened for it.
    pub(crate) opened: Option<Arc<Segment>>,
    /// The file it is in.
    pub(crate) file: Arc<File>,
}

// === impl Segment ===

impl Segment {
    /// A segment another process left behind; it is sealed by that process's death. `None` when the file has no header,
    /// and so nothing in it.
    pub(crate) fn left_behind(path: PathBuf) -> io::Result<Option<Self>> {
        let mut file = File::open(&path)?;
        let mut header = [0; MAGIC.len() + size_of::<u64>()];
        match file.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let Some((magic, generation)) = header.split_first_chunk::<8>() else { return Ok(None) };
        let Some(generation) = generation.first_chunk::<8>().filter(|_| *magic == MAGIC) else { return Ok(None) };
        Ok(Some(Self {
            path,
            generation: u64::from_le_bytes(*generation),
            written: AtomicU64::new(file.metadata()?.len()),
            sealed: AtomicBool::new(true),
            left_behind: true,
        }))
    }

    /// How far the loader may read.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// How many bytes of records it holds.
    pub(crate) fn len(&self) -> u64 {
        self.written() - HEADER_LEN
    }

    /// Whether the writer has left it. Read this before [`Self::written`] to know that the latter is final.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }
}

// === impl Pool ===

impl Pool {
    /// A pool of at most `max` files.
    pub(crate) fn new(max: usize) -> Self {
        Self { free: Mutex::default(), max }
    }

    /// Takes a file in, or says that it has enough.
    pub(crate) fn put(&self, path: PathBuf) -> Result<(), PathBuf> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() >= self.max {
            return Err(path);
        }
        free.push(path);
        Ok(())
    }

    fn take(&self) -> Option<PathBuf> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Removes all files, when nobody is going to write any more.
    pub(crate) fn clear(&self) {
        while let Some(path) = self.take() {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, path = %path.display(), "a free segment cannot be removed");
            }
        }
    }
}

// === impl SegmentWriter ===

impl SegmentWriter {
    pub(crate) fn new(dir: &Path, shard: usize, max_len: u64, pool: Arc<Pool>) -> Self {
        Self { dir: dir.to_owned(), shard, next: 0, max_len, pool, open: None }
    }

    /// Appends one record, given as its encoded front and its body.
    ///
    /// # Errors
    /// Whatever the file system says. What was written of the record will be overwritten, so the segment stays readable.
    pub(crate) fn append(&mut self, front: &mut [u8], body: &[u8]) -> io::Result<Appended> {
        let len = (front.len() + body.len()) as u64;
        let full = self.open.as_ref().is_some_and(|(_, segment)| {
            let written = segment.written();
            written > HEADER_LEN && written + len > self.max_len
        });
        if full {
            self.leave();
        }
        let (opened, (file, segment)) = match &self.open {
            Some(open) => (None, open),
            None => {
                let open = self.create()?;
                (Some(Arc::clone(&open.1)), self.open.insert(open) as &_)
            }
        };
        seal(front, body, segment.generation);
        if let Err(error) = write_all(file, front, body) {
            if (&**file).seek(SeekFrom::Start(segment.written())).is_err() {
                // A torn record in the middle would hide all later ones: go on in another file.
                self.leave();
            }
            return Err(error);
        }
        segment.written.fetch_add(len, Ordering::Release);
        Ok(Appended { opened, file: Arc::clone(file) })
    }

    /// Leaves the current segment; the next record opens another.
    fn leave(&mut self) {
        if let Some((_, segment)) = self.open.take() {
            segment.sealed.store(true, Ordering::Release);
        }
    }

    fn create(&mut self) -> io::Result<(Arc<File>, Arc<Segment>)> {
        let path = self.dir.join(format!("{:02}-{:08}.seg", self.shard, self.next));
        // A free file keeps its bytes and gets a new name: names sort in the order of the records, for whoever inherits.
        let recycled = self.pool.take().and_then(|free| std::fs::rename(free, &path).ok());
        let mut file = OpenOptions::new().write(true).create(true).truncate(recycled.is_none()).open(&path)?;
        self.next += 1;
        // Random enough never to be the generation of what the file held before.
        let generation = Uuid::now_v7().as_u64_pair().1;
        file.write_all(&[MAGIC.as_slice(), &generation.to_le_bytes()].concat())?;
        let segment = Segment {
            path,
            generation,
            written: AtomicU64::new(HEADER_LEN),
            sealed: AtomicBool::new(false),
            left_behind: false,
        };
        Ok((Arc::new(file), Arc::new(segment)))
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.leave();
    }
}

/// One system call in the common case: a record is never half there because the process died between two writes.
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
    use super::*;
    use crate::journal::record::{Kind, encode};

    fn writer(dir: &Path, max_len: u64) -> SegmentWriter {
        SegmentWriter::new(dir, 3, max_len, Arc::new(Pool::new(2)))
    }

    fn append(writer: &mut SegmentWriter, body: &[u8]) -> Option<Arc<Segment>> {
        let mut front = Vec::new();
        encode(&mut front, Kind::Part, Uuid::nil(), None::<&()>, body);
        writer.append(&mut front, body).unwrap().opened
    }

    #[test]
    fn a_full_segment_is_sealed_and_followed_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), HEADER_LEN + 60);
        let first = append(&mut writer, b"x").unwrap();
        assert!(append(&mut writer, b"yz").is_none() && !first.is_sealed());
        let second = append(&mut writer, b"more").unwrap();
        assert!(first.is_sealed() && first.path < second.path && first.generation != second.generation);
        for segment in [&first, &second] {
            assert_eq!(std::fs::metadata(&segment.path).unwrap().len(), segment.written());
        }
    }

    #[test]
    fn a_record_larger_than_a_segment_gets_one_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), 4);
        assert!(append(&mut writer, b"123456789").is_some());
        assert!(append(&mut writer, b"1").is_some());
    }

    #[test]
    fn a_free_file_is_overwritten_in_place_under_its_new_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), 64);
        let old = append(&mut writer, &[7; 200]).unwrap();
        let old_len = old.written();
        writer.pool.put(old.path.clone()).unwrap();
        let new = append(&mut writer, b"x").unwrap();
        assert!(!old.path.exists());
        let bytes = std::fs::read(&new.path).unwrap();
        assert_eq!(bytes.len() as u64, old_len, "not truncated");
        assert_eq!(bytes[8..16], new.generation.to_le_bytes());
    }

    #[test]
    fn the_pool_is_bounded() {
        let pool = Pool::new(1);
        assert_eq!(pool.put("a".into()), Ok(()));
        assert_eq!(pool.put("b".into()), Err("b".into()));
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error_and_not_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let mut writer = writer(&gone, 100);
        let mut front = Vec::new();
        encode(&mut front, Kind::Part, Uuid::nil(), None::<&()>, b"");
        assert!(writer.append(&mut front, b"").is_err());
        std::fs::create_dir(&gone).unwrap();
        assert!(writer.append(&mut front, b"").unwrap().opened.is_some());
    }

    #[test]
    fn a_file_without_a_header_has_nothing_in_it() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [b"".as_slice(), b"signalbx", &[0; 64]] {
            let path = dir.path().join("x.seg");
            std::fs::write(&path, bytes).unwrap();
            assert!(Segment::left_behind(path).unwrap().is_none());
        }
    }
}

//! Reads a whole log in chunks, the oldest file first.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::files::{self, LogFile};

/// Maximum bytes of a chunk.
const CHUNK_BYTES: u64 = 64 * 1024;

/// A log that is being read. Output that is written in the meantime is not part of it.
#[derive(Debug)]
pub struct Download {
    path: PathBuf,
    /// The files that are still to be read, the oldest last.
    files: Vec<LogFile>,
    /// Number of bytes of the last one that were read.
    read: u64,
}

// === impl Download ===

impl Download {
    /// Opens the files of the log at `path`. A missing log is empty.
    ///
    /// # Errors
    /// When an existing file cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), files: files::open(path)?, read: 0 })
    }

    /// Returns the next bytes; `None` at the end.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some(file) = self.files.last_mut() {
            let rest = file.length - self.read;
            if rest == 0 {
                self.files.pop();
                self.read = 0;
                continue;
            }
            let count = usize::try_from(rest.min(CHUNK_BYTES)).unwrap_or_default();
            let chunk = match file.read_at(self.read, count) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    // A rotation has emptied the file after copying it.
                    let mut copy = copy_of(&self.path, file)?;
                    let chunk = copy.read_at(self.read, count)?;
                    copy.length = file.length;
                    *file = copy;
                    chunk
                }
                read => read?,
            };
            self.read += chunk.len() as u64;
            return Ok(Some(chunk));
        }
        Ok(None)
    }
}

/// Returns the copy of a file that was emptied.
fn copy_of(path: &Path, emptied: &LogFile) -> io::Result<LogFile> {
    let is_copy = |file: &LogFile| file.length >= emptied.length && file.begins_like(emptied);
    let gone = || io::Error::new(ErrorKind::NotFound, "the log was rotated away while it was read");
    files::open(path)?.into_iter().find(is_copy).ok_or_else(gone)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Retention, rotate, rotated};
    use super::*;

    fn rest(download: &mut Download) -> String {
        let mut all = Vec::new();
        while let Some(chunk) = download.read_chunk().unwrap() {
            assert!(chunk.len() as u64 <= CHUNK_BYTES);
            all.extend(chunk);
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn all_files_are_read_from_the_oldest_on() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        assert_eq!(rest(&mut Download::open(&log).unwrap()), "");
        let long = "long\n".repeat(50_000);
        fs::write(rotated(&log, 2), "one\n").unwrap();
        fs::write(rotated(&log, 1), &long).unwrap();
        fs::write(&log, "three\n").unwrap();
        let mut download = Download::open(&log).unwrap();
        fs::write(&log, "three\nfour\n").unwrap();
        assert_eq!(rest(&mut download), format!("one\n{long}three\n"));
    }

    #[test]
    fn a_rotation_does_not_cut_the_log_off() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let text: String = (0..50_000).map(|number| format!("line {number}\n")).collect();
        fs::write(&log, &text).unwrap();
        let mut download = Download::open(&log).unwrap();
        let first = String::from_utf8(download.read_chunk().unwrap().unwrap()).unwrap();
        let retention = Retention { max_size: 1 << 20, keep: 3 };
        rotate::by_copy(&log, &retention).unwrap();
        fs::write(&log, "newer\n").unwrap();
        rotate::by_copy(&log, &retention).unwrap();
        assert_eq!(first + &rest(&mut download), text);
    }

    #[test]
    fn a_log_that_is_gone_is_an_error_and_not_a_short_file() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        fs::write(&log, "line\n".repeat(50_000)).unwrap();
        let mut download = Download::open(&log).unwrap();
        download.read_chunk().unwrap().unwrap();
        rotate::by_copy(&log, &Retention { max_size: 1, keep: 0 }).unwrap();
        assert_eq!(download.read_chunk().unwrap_err().kind(), ErrorKind::NotFound);
    }
}

//! The files of one log: the present one and the rotated ones.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::rotated;

/// Bytes of the beginning of a file by which it is recognised after a rotation.
const BEGINNING: usize = 256;

/// Maximum number of rotated files that are looked for.
const MAX_FILES: u32 = 1000;

/// A file of a log, opened for reading. A rotation does not close it, but may empty it.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) file: File,
    /// Length in bytes when it was opened.
    pub(super) length: u64,
    /// The first bytes.
    beginning: Vec<u8>,
}

/// Opens the files of the log at `path`, the newest first. Missing and empty files are left out.
///
/// # Errors
/// When an existing file cannot be read.
pub(super) fn open(path: &Path) -> io::Result<Vec<LogFile>> {
    let mut files: Vec<LogFile> = Vec::new();
    for generation in 0..MAX_FILES {
        let file = if generation == 0 { File::open(path) } else { File::open(rotated(path, generation)) };
        match file {
            Ok(file) => {
                let file = LogFile::new(file)?;
                // A rotation between two iterations copies the file that was opened first.
                let is_copy = files.last().is_some_and(|newer| newer.begins_like(&file));
                if file.length > 0 && !is_copy {
                    files.push(file);
                }
            }
            // Right after a rotation the file may be missing although rotated ones exist.
            Err(error) if error.kind() == ErrorKind::NotFound && generation == 0 => {}
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

// === impl LogFile ===

impl LogFile {
    fn new(mut file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut beginning = Vec::new();
        file.by_ref().take(BEGINNING as u64).read_to_end(&mut beginning)?;
        Ok(Self { file, length, beginning })
    }

    /// Reads `count` bytes at a position.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] if the file was emptied by a rotation.
    pub(super) fn read_at(&mut self, position: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.file.seek(SeekFrom::Start(position))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns a number that stands for the first bytes below `end`; the same as long as the file only grows, also in
    /// its copies.
    pub(super) fn mark(&self, end: u64) -> u64 {
        let end = usize::try_from(end).unwrap_or(BEGINNING).min(self.beginning.len());
        let mut hasher = DefaultHasher::new();
        self.beginning[..end].hash(&mut hasher);
        hasher.finish()
    }

    /// Returns whether one of the files may be a copy of the other.
    pub(super) fn begins_like(&self, other: &Self) -> bool {
        let common = self.beginning.len().min(other.beginning.len());
        common > 0 && self.beginning[..common] == other.beginning[..common]
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_opened_from_the_newest_to_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        assert!(open(&log).unwrap().is_empty());
        fs::write(rotated(&log, 1), "one\n").unwrap();
        fs::write(rotated(&log, 2), "").unwrap();
        fs::write(rotated(&log, 3), "three\n").unwrap();
        let lengths = || open(&log).unwrap().iter().map(|file| file.length).collect::<Vec<_>>();
        assert_eq!(lengths(), [4, 6]);
        // A rotation has copied the file, and has not emptied it yet.
        fs::write(&log, "one\ntwo\n").unwrap();
        assert_eq!(lengths(), [8, 6]);
    }

    #[test]
    fn a_file_keeps_its_mark_while_it_grows() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let mark = |text: String, end: u64| {
            fs::write(&log, text).unwrap();
            open(&log).unwrap()[0].mark(end)
        };
        let short = mark("one\n".to_owned(), 4);
        assert_eq!(mark("one\ntwo\n".to_owned(), 4), short);
        assert_ne!(mark("one\ntwo\n".to_owned(), 8), short);
        assert_ne!(mark("two\n".to_owned(), 4), short);
        assert_eq!(mark("x".repeat(5000), 300), mark("x".repeat(9000), 4000));
    }
}

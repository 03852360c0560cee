//! Follows a file that grows, is truncated, or does not exist yet.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

/// Maximum bytes read per poll. If more were written, only the end is read.
const MAX_POLL_BYTES: u64 = 4 * 1024 * 1024;

/// Maximum bytes of a line. A longer line is passed on in pieces.
const MAX_LINE: usize = 64 * 1024;

/// A position in a growing file.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    offset: u64,
    /// Beginning of a line that is not complete yet.
    open: Vec<u8>,
}

/// Result of one poll.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NewOutput {
    /// Complete lines, each with its line end.
    pub text: Vec<u8>,
    /// Number of bytes before them that were skipped.
    pub left_out: u64,
    /// Length of the file.
    pub length: u64,
}

// === impl Follow ===

impl Follow {
    /// Follows a file from its present end.
    #[must_use]
    pub fn from_end(path: PathBuf) -> Self {
        let offset = std::fs::metadata(&path).map_or(0, |file| file.len());
        Self { path, offset, open: Vec::new() }
    }

    /// Reads the end of the copy after the file was truncated: output between the last poll and the copy.
    pub(super) fn rest_of(&mut self, copy: PathBuf) -> io::Result<NewOutput> {
        let open = std::mem::take(&mut self.open);
        let mut rest = Self { path: copy, offset: std::mem::take(&mut self.offset), open };
        let output = rest.poll();
        self.open = rest.open;
        output
    }

    /// Reads the output since the last poll.
    ///
    /// # Errors
    /// When the file exists but cannot be read.
    pub fn poll(&mut self) -> io::Result<NewOutput> {
        let length = match std::fs::metadata(&self.path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if length < self.offset {
            // Truncated, by us or by another process: the content is new.
            self.offset = 0;
        }
        let left_out = (length - self.offset).saturating_sub(MAX_POLL_BYTES);
        if length == self.offset {
            return Ok(NewOutput { length, ..NewOutput::default() });
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset + left_out))?;
        let mut bytes = if left_out > 0 { Vec::new() } else { std::mem::take(&mut self.open) };
        let read = file.take(length - self.offset - left_out).read_to_end(&mut bytes)?;
        self.offset += left_out + read as u64;
        // After skipped bytes, start at the next complete line.
        let begin = if left_out > 0 { memchr::memchr(b'\n', &bytes).map_or(0, |end| end + 1) } else { 0 };
        let end = memchr::memrchr(b'\n', &bytes).map_or(begin, |end| end + 1).max(begin);
        self.open = bytes.split_off(end);
        bytes.drain(..begin);
        if self.open.len() > MAX_LINE {
            bytes.append(&mut self.open);
            bytes.push(b'\n');
        }
        Ok(NewOutput { text: bytes, left_out: left_out + begin as u64, length })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;

    use super::*;

    fn text(follow: &mut Follow) -> String {
        String::from_utf8(follow.poll().unwrap().text).unwrap()
    }

    #[test]
    fn each_complete_line_is_returned_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut follow = Follow::from_end(path.clone());
        assert_eq!(text(&mut follow), "", "no file yet");
        let mut file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(text(&mut follow), "one\n");
        assert_eq!(text(&mut follow), "");
        file.write_all(b"o\n").unwrap();
        assert_eq!(text(&mut follow), "two\n");
        file.set_len(0).unwrap();
        file.write_all(b"3\n").unwrap();
        assert_eq!(text(&mut follow), "3\n", "an emptied file is read from the start");
    }

    #[test]
    fn lines_written_just_before_a_rotation_are_returned() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("a.log"), dir.path().join("a.log.1"));
        let mut follow = Follow::from_end(path.clone());
        fs::write(&path, "one\ntw").unwrap();
        assert_eq!(text(&mut follow), "one\n");
        fs::write(&copy, "one\ntwo\nthr").unwrap();
        fs::write(&path, "ee\n").unwrap();
        assert_eq!(follow.rest_of(copy).unwrap().text, b"two\n");
        assert_eq!(text(&mut follow), "three\n");
    }

    #[test]
    fn existing_lines_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "old\n").unwrap();
        assert_eq!(text(&mut Follow::from_end(path)), "");
    }

    #[test]
    fn only_the_end_of_a_flood_is_returned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut follow = Follow::from_end(path.clone());
        fs::write(&path, "0123456\n".repeat(1024 * 1024)).unwrap();
        let output = follow.poll().unwrap();
        assert_eq!(output.left_out + output.text.len() as u64, 8 * 1024 * 1024);
        assert!(output.text.starts_with(b"0123456\n") && output.text.len() as u64 <= MAX_POLL_BYTES);
        assert_eq!(follow.poll().unwrap().text, b"");
    }

    #[test]
    fn an_endless_line_is_not_buffered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut follow = Follow::from_end(path.clone());
        fs::write(&path, vec![b'x'; MAX_LINE + 1]).unwrap();
        assert_eq!(follow.poll().unwrap().text.len(), MAX_LINE + 2);
        assert_eq!(follow.open.len(), 0);
    }
}

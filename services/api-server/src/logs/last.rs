//! The last lines of a log, including its rotated files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::rotated;

/// Maximum bytes read per call, whatever the length of the lines.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes read per step backwards.
const STEP_BYTES: u64 = 64 * 1024;

/// Returns the last `count` lines of the log at `file`, oldest first; fewer if the log has fewer, or if they take more
/// than 8 MiB. A missing file has no lines.
///
/// # Errors
/// When an existing file cannot be read.
pub fn last_lines(file: &Path, count: usize) -> io::Result<Vec<String>> {
    let mut lines = VecDeque::new();
    let mut budget = MAX_BYTES;
    let mut generation = 0;
    while lines.len() < count && budget > 0 {
        let path = if generation == 0 { file.to_owned() } else { rotated(file, generation) };
        match File::open(&path) {
            Ok(file) => budget -= collect(file, count - lines.len(), budget, &mut lines)?,
            // Right after a rotation the file may be missing although rotated ones exist.
            Err(error) if error.kind() == ErrorKind::NotFound && generation == 0 => {}
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
        generation += 1;
    }
    Ok(lines.into())
}

/// Prepends at most `count` lines, and returns the number of bytes read.
fn collect(mut file: File, count: usize, budget: u64, lines: &mut VecDeque<String>) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut begin = end;
    let mut bytes = Vec::new();
    // One more line end than lines, so that the first line is complete.
    while begin > 0 && end - begin < budget && memchr::memchr_iter(b'\n', &bytes).count() <= count {
        let step = STEP_BYTES.min(begin).min(budget - (end - begin));
        begin -= step;
        file.seek(SeekFrom::Start(begin))?;
        let mut piece = Vec::new();
        file.by_ref().take(step).read_to_end(&mut piece)?;
        piece.append(&mut bytes);
        bytes = piece;
    }
    let whole = if begin == 0 { 0 } else { memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |end| end + 1) };
    let text = String::from_utf8_lossy(&bytes[whole..]);
    for line in text.lines().rev().take(count) {
        lines.push_front(line.to_owned());
    }
    Ok(end - begin)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_last_lines_are_read_across_rotated_files() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        assert_eq!(last_lines(&log, 10).unwrap(), [""; 0]);
        fs::write(rotated(&log, 2), "one\ntwo\n").unwrap();
        fs::write(rotated(&log, 1), "three\n").unwrap();
        fs::write(&log, "four\nfive").unwrap();
        assert_eq!(last_lines(&log, 1).unwrap(), ["five"]);
        assert_eq!(last_lines(&log, 4).unwrap(), ["two", "three", "four", "five"]);
        assert_eq!(last_lines(&log, 100).unwrap(), ["one", "two", "three", "four", "five"]);
    }

    #[test]
    fn a_long_log_is_read_backwards() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let text: String = (0..100_000).map(|n| format!("line {n:06}\n")).collect();
        fs::write(&log, text).unwrap();
        let lines = last_lines(&log, 20_000).unwrap();
        assert_eq!((lines.len(), lines[0].as_str(), lines[19_999].as_str()), (20_000, "line 080000", "line 099999"));
    }

    #[test]
    fn an_endless_line_is_truncated() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        fs::write(&log, vec![b'x'; 9 * 1024 * 1024]).unwrap();
        assert_eq!(last_lines(&log, 5).unwrap(), [""; 0], "its beginning is out of range");
        fs::write(&log, b"\xff\xfe broken\n").unwrap();
        assert_eq!(last_lines(&log, 5).unwrap(), ["\u{fffd}\u{fffd} broken"]);
    }
}

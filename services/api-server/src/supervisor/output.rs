//! Output of a child: status lines on its standard output, everything else in its log file.
//!
//! Standard error goes straight into a file, so that a child can go on logging after its supervisor has ended. Standard
//! output is a pipe that carries status lines only; the children ignore errors of writing to it.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, BufReader};
use tokio::process::ChildStdout;

use crate::instance::private_directory;

/// Maximum bytes of a status line. Usual ones have about 200 bytes; the rest of longer ones is dropped.
const MAX_LINE: usize = 16 * 1024;

/// Maximum bytes of the log that are kept as the cause of a failure.
const MAX_TAIL: u64 = 64 * 1024;

/// The status line announcing that a child accepts connections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Listening {
    /// Identifies this run of the child; its health endpoint has to answer with the same value.
    pub(super) instance: String,
    /// Listening address.
    pub(super) addr: SocketAddr,
}

/// Standard output, read line by line.
#[derive(Debug)]
pub(super) struct Lines {
    stdout: BufReader<ChildStdout>,
    line: Vec<u8>,
}

/// Log file of one run.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// Offset at which this run began, unless the file has been truncated since.
    begin: u64,
}

// === impl Listening ===

impl Listening {
    /// Parses a status line; `None` for every other line.
    pub(super) fn parse(line: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Status<'a> {
            event: &'a str,
        }
        let status: Status<'_> = serde_json::from_str(line).ok()?;
        if status.event == "listening" { serde_json::from_str(line).ok() } else { None }
    }
}

// === impl Lines ===

impl Lines {
    pub(super) fn new(stdout: ChildStdout) -> Self {
        Self { stdout: BufReader::new(stdout), line: Vec::new() }
    }

    /// Returns the next line without its line end; `None` once the child has closed its standard output. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            // A read error is treated as the end of the pipe.
            let bytes = self.stdout.fill_buf().await.unwrap_or_default();
            if bytes.is_empty() {
                return None;
            }
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let room = MAX_LINE - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let used = end.map_or(bytes.len(), |end| end + 1);
            self.stdout.consume(used);
            if end.is_some() {
                let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
                self.line.clear();
                return Some(line);
            }
        }
    }
}

// === impl Log ===

impl Log {
    /// Opens the file for appending, readable by the owner only, and creates its directory if necessary.
    pub(super) fn open(path: &Path) -> io::Result<(Self, File)> {
        if let Some(directory) = path.parent() {
            private_directory(directory)?;
        }
        let file = signalbox_private_files::options().append(true).create(true).open(path)?;
        let begin = file.metadata()?.len();
        Ok((Self { path: path.to_owned(), begin }, file))
    }

    /// Refers to the log of an adopted child. The offset at which its run began is unknown, so the tail may contain
    /// lines of an older run.
    #[cfg(unix)]
    pub(super) fn of_adopted(path: &Path) -> Self {
        Self { path: path.to_owned(), begin: 0 }
    }

    /// Reads the end of the output of this run, at most 64 KiB, starting at the beginning of a line.
    pub(super) async fn tail(&self) -> io::Result<String> {
        let mut file = tokio::fs::File::open(&self.path).await?;
        let length = file.metadata().await?.len();
        // A file that became shorter was rotated: its whole content is from this run.
        let begin = if length < self.begin { 0 } else { self.begin };
        let from = begin.max(length.saturating_sub(MAX_TAIL));
        file.seek(io::SeekFrom::Start(from)).await?;
        let mut bytes = Vec::new();
        file.take(MAX_TAIL).read_to_end(&mut bytes).await?;
        let cut = if from > begin { memchr::memchr(b'\n', &bytes).map_or(0, |end| end + 1) } else { 0 };
        Ok(String::from_utf8_lossy(&bytes[cut..]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use std::fs;

    use super::*;

    #[test]
    fn only_listening_lines_are_parsed() {
        let line = r#"{"event":"listening","service":"x","instance":"i","addr":"127.0.0.1:3001","port":3001,"pid":7}"#;
        let expected = Listening { instance: "i".to_owned(), addr: ([127, 0, 0, 1], 3001).into() };
        assert_eq!(Listening::parse(line), Some(expected));
        for other in ["Server listening on port 3001", r#"{"event":"draining"}"#, r#"{"event":"listening"}"#, "", "{"] {
            assert_eq!(Listening::parse(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn the_tail_contains_only_the_current_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/child.log");
        let (_, mut file) = Log::open(&path).unwrap();
        writeln!(file, "an older run").unwrap();
        let (log, mut file) = Log::open(&path).unwrap();
        writeln!(file, "this run").unwrap();
        assert_eq!(log.tail().await.unwrap(), "this run\n");
    }

    #[tokio::test]
    async fn the_tail_of_a_rotated_log_is_the_remaining_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("child.log");
        fs::write(&path, "an older run\n").unwrap();
        let (log, mut file) = Log::open(&path).unwrap();
        file.set_len(0).unwrap();
        writeln!(file, "this run").unwrap();
        assert_eq!(log.tail().await.unwrap(), "this run\n");
    }

    #[tokio::test]
    async fn a_long_tail_starts_at_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let (log, mut file) = Log::open(&dir.path().join("child.log")).unwrap();
        for n in 0..10_000 {
            writeln!(file, "line {n:05}").unwrap();
        }
        let tail = log.tail().await.unwrap();
        assert!(tail.len() <= 64 * 1024 && tail.len() > 64 * 1024 - 12);
        assert!(tail.starts_with("line ") && tail.ends_with("line 09999\n"));
    }
}

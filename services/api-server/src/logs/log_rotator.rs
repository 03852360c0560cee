//! The task that merges and rotates the logs.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use signalbox_daemon::log_file::is_deleted;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::follow::{Follow, NewOutput};
use super::{COMBINED, LogDir, Retention, rotate, rotated};
use crate::instance::private_directory;

/// Polling interval: short enough for a live view, and a poll of an idle log costs one system call.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Capacity of the channel to live readers, in poll results: some seconds of all logs.
const SUBSCRIBER_CAPACITY: usize = 64;

/// Result of a poll of one log.
#[derive(Debug)]
pub struct LogOutput {
    /// Name of the log.
    pub name: &'static str,
    /// Complete lines, each with its line end.
    pub text: Vec<u8>,
    /// Number of bytes before them that were skipped.
    pub left_out: u64,
}

/// Handle that shuts the task down.
#[derive(Debug)]
pub struct LogRotator {
    written: broadcast::Sender<Arc<LogOutput>>,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

/// State of the task.
#[derive(Debug)]
struct RotatorState {
    retention: Retention,
    sources: Vec<Source>,
    path: PathBuf,
    /// Channel to live readers.
    written_to: broadcast::Sender<Arc<LogOutput>>,
    /// `None` until there is something to write, and after a rotation.
    combined: Option<File>,
    written: u64,
    /// Whether a disk error was logged, so that it is not repeated in every poll.
    troubled: bool,
}

#[derive(Debug)]
struct Source {
    name: &'static str,
    path: PathBuf,
    follow: Follow,
}

/// Starts the task. `writers` are the names of the logs it follows. Existing content is not read.
#[must_use]
pub fn start_rotator(
    logs: &LogDir,
    writers: impl IntoIterator<Item = &'static str>,
    retention: Retention,
) -> LogRotator {
    let closing = CancellationToken::new();
    let state = RotatorState::new(logs, writers, retention);
    let written = state.written_to.clone();
    let task = tokio::spawn(work(state, closing.clone()));
    LogRotator { written, closing, task }
}

async fn work(mut state: RotatorState, closing: CancellationToken) {
    let mut last = false;
    while !last {
        // Poll once more after the end, for the last output of the children.
        last = tokio::time::timeout(POLL_INTERVAL, closing.cancelled()).await.is_ok();
        let looked = tokio::task::spawn_blocking(move || {
            state.poll();
            state
        });
        match looked.await {
            Ok(back) => state = back,
            Err(error) => {
                tracing::error!(%error, "log rotation has stopped");
                return;
            }
        }
    }
}

// === impl LogRotator ===

impl LogRotator {
    /// Returns a receiver of the output from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<LogOutput>> {
        self.written.subscribe()
    }

    /// Polls a last time, and ends. To be called after the children have ended.
    pub async fn close(self) {
        self.closing.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the log rotator task failed");
        }
    }
}

// === impl RotatorState ===

impl RotatorState {
    fn new(logs: &LogDir, writers: impl IntoIterator<Item = &'static str>, retention: Retention) -> Self {
        let sources = writers.into_iter().filter_map(|name| {
            let path = logs.file(name)?;
            Some(Source { name, follow: Follow::from_end(path.clone()), path })
        });
        let path = logs.path().join(format!("{COMBINED}.log"));
        Self {
            retention,
            sources: sources.collect(),
            path,
            written_to: broadcast::Sender::new(SUBSCRIBER_CAPACITY),
            combined: None,
            written: 0,
            troubled: false,
        }
    }

    fn poll(&mut self) {
        let outcome = self.try_poll();
        match outcome {
            Ok(()) => self.troubled = false,
            Err(error) if !self.troubled => {
                self.troubled = true;
                tracing::warn!(%error, "cannot process the logs, which are not merged or rotated meanwhile");
            }
            Err(_) => {}
        }
    }

    fn try_poll(&mut self) -> io::Result<()> {
        let mut joined = Vec::new();
        for source in &mut self.sources {
            let output = source.follow.poll()?;
            join(source.name, &output, &mut joined);
            let length = output.length;
            send_output(&self.written_to, source.name, output);
            if length >= self.retention.max_size {
                let left_out = rotate::by_copy(&source.path, &self.retention)?;
                if left_out > 0 {
                    tracing::warn!(log = source.name, left_out, "a log grew faster than it could be processed");
                } else {
                    let rest = source.follow.rest_of(rotated(&source.path, 1))?;
                    join(source.name, &rest, &mut joined);
                    send_output(&self.written_to, source.name, rest);
                }
            }
        }
        if joined.is_empty() { Ok(()) } else { self.write(&joined) }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.written >= self.retention.max_size {
            self.combined = None;
            rotate::by_rename(&self.path, &self.retention)?;
        }
        if self.combined.as_ref().map(is_deleted).transpose()?.unwrap_or_default() {
            self.combined = None;
        }
        let file = match &mut self.combined {
            Some(file) => file,
            none => {
                let file = append(&self.path)?;
                self.written = file.metadata()?.len();
                none.insert(file)
            }
        };
        file.write_all(text)?;
        self.written += text.len() as u64;
        Ok(())
    }
}

/// Sends new output to the live readers, if there are any.
fn send_output(written: &broadcast::Sender<Arc<LogOutput>>, name: &'static str, output: NewOutput) {
    let NewOutput { text, left_out, .. } = output;
    if written.receiver_count() > 0 && (!text.is_empty() || left_out > 0) {
        // The last receiver may just have been dropped.
        written.send(Arc::new(LogOutput { name, text, left_out })).ok();
    }
}

/// Appends lines, each prefixed with the name of its log.
fn join(name: &str, output: &NewOutput, joined: &mut Vec<u8>) {
    if output.left_out > 0 {
        joined.extend_from_slice(format!("[{name}] … {} bytes omitted …\n", output.left_out).as_bytes());
    }
    for line in output.text.split_inclusive(|byte| *byte == b'\n') {
        joined.extend_from_slice(format!("[{name}] ").as_bytes());
        joined.extend_from_slice(line);
    }
}

/// Opens a file for appending, readable by its owner only, and creates its directory if necessary.
fn append(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        private_directory(directory)?;
    }
    signalbox_private_files::options().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::SERVICES;
    use super::*;

    struct Room {
        logs: LogDir,
        state: RotatorState,
        _dir: tempfile::TempDir,
    }

    impl Room {
        fn new(retention: Retention) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let logs = LogDir::of(dir.path());
            fs::create_dir(logs.path()).unwrap();
            Self { state: RotatorState::new(&logs, SERVICES, retention), logs, _dir: dir }
        }

        fn say(&self, name: &str, text: &str) {
            append(&self.logs.file(name).unwrap()).unwrap().write_all(text.as_bytes()).unwrap();
        }

        fn read(&self, file: &str) -> String {
            fs::read_to_string(self.logs.path().join(file)).unwrap_or_default()
        }
    }

    const LARGE: Retention = Retention { max_size: 1 << 20, keep: 5 };

    #[test]
    fn the_combined_log_names_the_service_of_each_line() {
        let mut room = Room::new(LARGE);
        room.say("provider-router", "a\nb\n");
        room.say("qwen-proxy", "c\n");
        room.state.poll();
        room.say("provider-router", "d\n");
        room.state.poll();
        assert_eq!(
            room.read("combined.log"),
            "[provider-router] a\n[provider-router] b\n[qwen-proxy] c\n[provider-router] d\n"
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_combined_log_is_made_again_after_it_was_deleted() {
        let mut room = Room::new(LARGE);
        room.say("provider-router", "a\n");
        room.state.poll();
        fs::remove_dir_all(room.logs.path()).unwrap();
        room.state.poll();
        room.say("provider-router", "b\n");
        room.state.poll();
        assert_eq!(room.read("combined.log"), "[provider-router] b\n");
    }

    #[test]
    fn every_log_is_rotated_without_losing_lines() {
        let mut room = Room::new(Retention { max_size: 100, keep: 2 });
        for n in 0..50 {
            room.say("provider-router", &format!("line {n:02}\n"));
            room.state.poll();
        }
        let whole = |name: &str| {
            [2, 1].map(|n| room.read(&format!("{name}.log.{n}"))).concat() + &room.read(&format!("{name}.log"))
        };
        let kept = whole("provider-router");
        let first: usize = kept[5..7].parse().unwrap();
        let expected: String = (first..50).map(|n| format!("line {n:02}\n")).collect();
        assert!(kept.len() <= 3 * 104 && first > 0, "{kept}");
        assert_eq!(kept, expected);
        let joined = whole("combined");
        assert!(joined.ends_with("[provider-router] line 49\n") && joined.len() <= 3 * 130, "{joined}");
    }

    #[test]
    fn the_keeper_continues_after_errors() {
        let mut room = Room::new(LARGE);
        fs::create_dir(room.logs.path().join("combined.log")).unwrap();
        room.say("qwen-proxy", "lost\n");
        room.state.poll();
        assert!(room.state.troubled);
        fs::remove_dir(room.logs.path().join("combined.log")).unwrap();
        room.say("qwen-proxy", "heard\n");
        room.state.poll();
        assert!(!room.state.troubled);
        assert_eq!(room.read("combined.log"), "[qwen-proxy] heard\n");
    }

    #[tokio::test(start_paused = true)]
    async fn closing_writes_the_last_lines() {
        let room = Room::new(LARGE);
        let log_rotator = start_rotator(&room.logs, SERVICES, LARGE);
        room.say("qwen-proxy", "bye\n");
        log_rotator.close().await;
        assert_eq!(room.read("combined.log"), "[qwen-proxy] bye\n");
    }
}

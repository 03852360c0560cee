//! The lifeline of a supervised process: its stdin, which carries commands and whose end means that the supervisor is
//! gone.
//!
//! The supervisor holds the writing end. It can write `shutdown`; when it dies for any reason, the operating system
//! closes the pipe. A process that can be adopted then waits for another supervisor, whose connection replaces stdin.
//!
//! The watcher is a plain thread, not a task, and kills the process when the drain takes too long: a deadlocked runtime
//! must not leave an orphan that holds the port for ever. For the same reason it never logs: stderr may be a full pipe
//! without a reader, and the write would block for ever.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::exit::Exit;
use crate::shutdown::Shutdown;

/// Time allowed beyond the drain timeout: one second for streams to end themselves, and one for the rest of the
/// shutdown.
pub(crate) const EXIT_GRACE: Duration = Duration::from_secs(2);

/// Maximum bytes of a command line. Longer input is ignored.
const LINE_LIMIT: u64 = 1024;

/// Watcher of stdin. Dropping it announces that the process is about to exit by itself.
#[derive(Debug)]
pub(crate) struct Lifeline {
    orphaned: Arc<AtomicBool>,
    _leaving: mpsc::Sender<()>,
}

/// Source of the next supervisor after the present one is gone.
pub(crate) trait SuccessorSource: Send + 'static {
    /// Blocks until a successor connects. Returns `None` when the process has to shut down instead.
    fn wait(&self, shutdown: &Shutdown) -> Option<Box<dyn Read>>;
}

/// Successors of a process that cannot be adopted and therefore ends with its supervisor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoSuccessor;

// === impl Lifeline ===

impl Lifeline {
    /// Spawns a thread that reads commands from `input` until it ends, and then from each successor in turn.
    ///
    /// After the last of them the thread triggers `shutdown`. It calls `kill`, which ends the process, if the process
    /// is still running `limit` later.
    ///
    /// # Errors
    /// Returns [`Exit::Temporary`] when the thread cannot be started.
    pub(crate) fn watch(
        input: impl Read + Send + 'static,
        successors: impl SuccessorSource,
        shutdown: Shutdown,
        limit: Duration,
        kill: impl FnOnce() + Send + 'static,
    ) -> Result<Self, Exit> {
        let (leaving, left) = mpsc::channel();
        let orphaned = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&orphaned);
        let watch = move || {
            read_commands(input, &shutdown);
            while let Some(successor) = successors.wait(&shutdown) {
                read_commands(successor, &shutdown);
            }
            // If the drain had begun before, the end of the input is not its cause: the supervisor merely did not wait.
            flag.store(!shutdown.is_draining(), Ordering::Release);
            shutdown.trigger();
            if left.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                kill();
            }
        };
        std::thread::Builder::new()
            .name("lifeline".to_owned())
            .spawn(watch)
            .map_err(|error| Exit::Temporary(format!("cannot start the lifeline thread: {error}")))?;
        Ok(Self { orphaned, _leaving: leaving })
    }

    /// Returns `true` if the process is shutting down because its supervisor is gone.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.orphaned.load(Ordering::Acquire)
    }
}

// === impl NoSuccessor ===

impl SuccessorSource for NoSuccessor {
    fn wait(&self, _: &Shutdown) -> Option<Box<dyn Read>> {
        None
    }
}

/// Reads commands until the input ends or fails. Both mean that the supervisor is gone.
fn read_commands(input: impl Read, shutdown: &Shutdown) {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim_ascii() == b"shutdown" => shutdown.trigger(),
            // Unknown commands may come from a newer supervisor, which takes the lack of an answer for "unsupported".
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() {
        panic!("the drain ended in time");
    }

    /// Returns a pipe; the test holds its writing end.
    fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
        std::io::pipe().unwrap()
    }

    #[tokio::test]
    async fn the_end_of_stdin_drains_and_exits_as_orphaned() {
        let (reader, writer) = pipe();
        let shutdown = Shutdown::new();
        let lifeline = Lifeline::watch(reader, NoSuccessor, shutdown.clone(), Duration::from_secs(60), never).unwrap();
        assert!(!shutdown.is_draining());
        drop(writer);
        shutdown.draining().await;
        assert!(lifeline.is_orphaned());
    }

    #[tokio::test]
    async fn after_a_drain_command_the_supervisor_may_exit() {
        use std::io::Write;
        let (reader, mut writer) = pipe();
        let shutdown = Shutdown::new();
        let (killed, kill) = mpsc::channel();
        let kill_test = move || killed.send(()).unwrap();
        let lifeline = Lifeline::watch(reader, NoSuccessor, shutdown.clone(), Duration::ZERO, kill_test).unwrap();
        writer.write_all(b"hello\nshutdown\n").unwrap();
        shutdown.draining().await;
        drop(writer);
        kill.recv().unwrap();
        assert!(!lifeline.is_orphaned());
    }

    #[test]
    fn a_stuck_process_is_terminated_by_a_separate_thread() {
        let (killed, kill) = mpsc::channel();
        let kill_test = move || killed.send(()).unwrap();
        let lifeline = Lifeline::watch(std::io::empty(), NoSuccessor, Shutdown::new(), Duration::ZERO, kill_test);
        kill.recv().unwrap();
        assert!(lifeline.unwrap().is_orphaned());
    }

    #[test]
    fn an_endless_line_is_buffered_within_a_limit() {
        let shutdown = Shutdown::new();
        read_commands(std::io::repeat(b'x').take(LINE_LIMIT * 10), &shutdown);
        assert!(!shutdown.is_draining());
    }
}

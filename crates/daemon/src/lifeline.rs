//! The lifeline of a supervised process: its stdin.
//!
//! The supervisor holds the other end. It can write `shutdown`; when it dies, however it dies, the operating system closes the pipe.
//! A process that can be adopted then waits for another supervisor, whose connection takes the place of stdin.
//! The watcher is a plain thread and ends the process itself when the drain takes too long, so that a dead-locked runtime cannot
//! become an orphan that holds the port for ever. For the same reason it logs nothing: stderr may be a pipe that nobody reads, and
//! writing there would wait for ever.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::exit::Exit;
use crate::shutdown::Shutdown;

/// What leaving may take beyond the deadline of the drain: a second for streams to end themselves, and one for the rest.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// Commands are short. A longer line is none.
const LINE_LIMIT: u64 = 1024;

/// The watch over stdin. Dropping it says that the process is about to leave by itself.
#[derive(Debug)]
pub(crate) struct Lifeline {
    orphaned: Arc<AtomicBool>,
    _leaving: mpsc::Sender<()>,
}

/// Where the next supervisor comes from, when the present one is gone.
pub(crate) trait Successors: Send + 'static {
    /// Waits for one; `None` when the process has to leave.
    fn wait(&self, shutdown: &Shutdown) -> Option<Box<dyn Read>>;
}

/// Of a process that ends with its supervisor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoSuccessors;

// === impl Lifeline ===

impl Lifeline {
    /// Watches `input` until it ends, and then that of each successor. `kill` ends the process: it runs when the process is still
    /// there `limit` after that.
    pub(crate) fn watch(
        input: impl Read + Send + 'static,
        successors: impl Successors,
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
            // Asked to leave first, the process leaves for that reason; the supervisor just did not wait for the end.
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

    /// Whether the process leaves because its supervisor is gone.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.orphaned.load(Ordering::Acquire)
    }
}

// === impl NoSuccessors ===

impl Successors for NoSuccessors {
    fn wait(&self, _: &Shutdown) -> Option<Box<dyn Read>> {
        None
    }
}

/// Returns when the input ends or fails, which means the same: nobody is there.
fn read_commands(input: impl Read, shutdown: &Shutdown) {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim_ascii() == b"shutdown" => shutdown.trigger(),
            // Of a newer supervisor, perhaps; it sees by our silence that we do not know it.
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

    /// A pipe whose writing end the test holds.
    fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
        std::io::pipe().unwrap()
    }

    #[tokio::test]
    async fn the_end_of_stdin_drains_and_orphans() {
        let (reader, writer) = pipe();
        let shutdown = Shutdown::new();
        let lifeline = Lifeline::watch(reader, NoSuccessors, shutdown.clone(), Duration::from_secs(60), never).unwrap();
        assert!(!shutdown.is_draining());
        drop(writer);
        shutdown.draining().await;
        assert!(lifeline.is_orphaned());
    }

    #[tokio::test]
    async fn a_command_drains_and_whoever_gave_it_may_go() {
        use std::io::Write;
        let (reader, mut writer) = pipe();
        let shutdown = Shutdown::new();
        let (killed, kill) = mpsc::channel();
        let kill_test = move || killed.send(()).unwrap();
        let lifeline = Lifeline::watch(reader, NoSuccessors, shutdown.clone(), Duration::ZERO, kill_test).unwrap();
        writer.write_all(b"hello\nshutdown\n").unwrap();
        shutdown.draining().await;
        drop(writer);
        kill.recv().unwrap();
        assert!(!lifeline.is_orphaned());
    }

    #[test]
    fn a_stuck_process_is_ended_from_outside() {
        let (killed, kill) = mpsc::channel();
        let kill_test = move || killed.send(()).unwrap();
        let lifeline = Lifeline::watch(std::io::empty(), NoSuccessors, Shutdown::new(), Duration::ZERO, kill_test);
        kill.recv().unwrap();
        assert!(lifeline.unwrap().is_orphaned());
    }

    #[test]
    fn an_endless_line_is_no_endless_buffer() {
        let shutdown = Shutdown::new();
        read_commands(std::io::repeat(b'x').take(LINE_LIMIT * 10), &shutdown);
        assert!(!shutdown.is_draining());
    }
}

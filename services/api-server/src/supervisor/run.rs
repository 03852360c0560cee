//! One life of a child: from spawn to burial.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::output::{Lines, Listening, Log};
use super::probe::{self, NotReady};
use super::process::Process;
use super::{Exit, Spec};

/// Between two questions for readiness.
const PROBE_PAUSE: Duration = Duration::from_millis(100);

/// Between two looks at a group that is being killed.
const BURIAL_PAUSE: Duration = Duration::from_millis(10);

/// A question for readiness and, in time, its answer.
type Question = Pin<Box<dyn Future<Output = Result<(), NotReady>> + Send>>;

/// A process group and what is known about it.
pub(super) struct Run {
    name: &'static str,
    process: Process,
    /// `None` once the child has closed it.
    output: Option<Lines>,
    log: Log,
    since: Instant,
    listening: Option<Listening>,
    /// The question that is under way; `None` before the announcement and after the child is ready.
    probe: Option<Question>,
    not_ready: NotReady,
    /// How the leader ended; from then on the rest is being buried.
    exit: Option<Exit>,
    next_look: Instant,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It announced itself and its health agrees.
    Ready,
    /// The leader has ended.
    Exited,
    /// Nothing is left of it.
    Gone,
}

// === impl Run ===

impl Run {
    /// Spawns the child.
    pub(super) fn begin(name: &'static str, spec: &Spec) -> io::Result<Self> {
        let (log, file) = Log::open(&spec.log)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot open {}: {error}", spec.log.display())))?;
        let (process, stdout) = Process::spawn(name, spec, file)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot run {}: {error}", spec.program.display())))?;
        let now = Instant::now();
        Ok(Self {
            name,
            process,
            output: Some(Lines::new(stdout)?),
            log,
            since: now,
            listening: None,
            probe: None,
            not_ready: NotReady::Silent,
            exit: None,
            next_look: now,
        })
    }

    /// Waits for the next thing worth knowing. Cancel safe.
    pub(super) async fn news(&mut self) -> News {
        loop {
            tokio::select! {
                exit = self.process.exited(), if self.exit.is_none() => {
                    self.exit = Some(exit);
                    self.probe = None;
                    self.next_look = Instant::now();
                    return News::Exited;
                }
                line = next_line(&mut self.output) => match line {
                    Some(line) => self.hear(&line),
                    None => self.output = None,
                },
                answer = answer(&mut self.probe) => match answer {
                    Ok(()) => {
                        self.probe = None;
                        return News::Ready;
                    }
                    Err(not_ready) => {
                        self.not_ready = not_ready;
                        self.ask_after(PROBE_PAUSE);
                    }
                },
                () = sleep_until(self.next_look), if self.exit.is_some() => {
                    if self.process.bury() {
                        return News::Gone;
                    }
                    self.next_look = Instant::now() + BURIAL_PAUSE;
                }
            }
        }
    }

    /// Asks it to leave.
    pub(super) fn terminate(&mut self) {
        self.probe = None;
        self.process.terminate();
    }

    /// Kills it.
    pub(super) fn kill(&mut self) {
        self.probe = None;
        self.process.kill();
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.listening.as_ref().map(|listening| listening.addr)
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit
    }

    pub(super) fn not_ready(&self) -> &NotReady {
        &self.not_ready
    }

    /// The end of its log.
    pub(super) async fn tail(&mut self) -> String {
        self.log.tail().await.unwrap_or_else(|error| {
            tracing::warn!(child = self.name, %error, "cannot read the log of the child");
            String::new()
        })
    }

    fn hear(&mut self, line: &str) {
        match Listening::parse(line) {
            Some(listening) if self.listening.is_none() => {
                self.listening = Some(listening);
                self.ask_after(Duration::ZERO);
            }
            _ => tracing::debug!(child = self.name, line, "status line"),
        }
    }

    fn ask_after(&mut self, pause: Duration) {
        self.probe = self.listening.clone().map(|child| {
            let question = async move {
                tokio::time::sleep(pause).await;
                probe::ask(&child).await
            };
            Box::pin(question) as Question
        });
    }
}

/// The next line; waits for ever when there will be none.
async fn next_line(output: &mut Option<Lines>) -> Option<String> {
    match output {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}

/// The answer to the question under way; waits for ever when there is none.
async fn answer(probe: &mut Option<Question>) -> Result<(), NotReady> {
    match probe {
        Some(question) => question.await,
        None => std::future::pending().await,
    }
}

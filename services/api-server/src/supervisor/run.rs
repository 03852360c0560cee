//! One run of a child process: from spawn until its group is empty.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

#[cfg(unix)]
use signalbox_daemon::adoption::Adopted;
use tokio::time::{Instant, sleep_until};

use super::output::{Lines, Listening, Log};
use super::port::Port;
use super::probe::{self, Clients, NotReady, Target};
use super::process::{Process, Spawned};
use super::{Exit, Limits, Resources, Spec};
use crate::instance::reachable;

/// Interval between readiness checks.
const READINESS_INTERVAL: Duration = Duration::from_millis(100);

/// Interval between checks whether a group that is being killed is empty.
const REAP_INTERVAL: Duration = Duration::from_millis(10);

/// Delay of an answer, beyond what the check can have taken, from which on the machine is assumed to have been
/// suspended or this process to have been stopped.
const SUSPEND_THRESHOLD: Duration = Duration::from_secs(5);

/// A readiness or liveness check in progress.
type Question = Pin<Box<dyn Future<Output = Result<Clients, NotReady>> + Send>>;

/// A process group and the supervisor's knowledge of it.
pub(super) struct Run {
    name: &'static str,
    process: Process,
    /// `None` once the child has closed it.
    output: Option<Lines>,
    log: Log,
    since: Instant,
    /// Address of its own socket for health checks. `None` if it has none and has not announced its public address yet.
    probe_addr: Option<SocketAddr>,
    probe_interval: Duration,
    resources: Resources,
    memory_patience: Duration,
    /// Time since which it has exceeded its memory limit.
    heavy: Option<Instant>,
    listening: Option<Listening>,
    /// Whether it has been ready. From then on liveness is checked instead of readiness.
    ready: bool,
    /// Check in progress; `None` before the announcement.
    probe: Option<Question>,
    /// State of the client connections according to the last answer.
    clients: Clients,
    /// Time at which the current check was scheduled, on both clocks, and the pause before its request.
    asked: (Instant, SystemTime, Duration),
    /// Reason why the last check failed.
    not_ready: NotReady,
    /// Exit status of the leader; once it is set, the rest of the group is being killed.
    exit: Option<Exit>,
    next_look: Instant,
}

/// Events of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunEvent {
    /// The child has announced its listening address.
    Announced,
    /// The child is ready: its health endpoint confirms the announcement.
    Ready,
    /// A health check of the ready child succeeded.
    Alive,
    /// A health check of the ready child succeeded, but it has exceeded its memory limit for too long.
    Heavy,
    /// A health check of the ready child failed. `slept`: a suspension of the machine may be the reason.
    Missed { slept: bool },
    /// The leader has ended.
    Exited,
    /// The group is empty.
    Gone,
}

// === impl Run ===

impl Run {
    /// Spawns the child, to serve on this port.
    pub(super) fn begin(name: &'static str, spec: &Spec, port: &Port, limits: &Limits) -> io::Result<Self> {
        let (log, file) = Log::open(&spec.log)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot open {}: {error}", spec.log.display())))?;
        let Spawned { process, stdout, probe } = Process::spawn(name, spec, port, file)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot run {}: {error}", spec.program.display())))?;
        let now = Instant::now();
        Ok(Self {
            name,
            process,
            output: Some(Lines::new(stdout)),
            log,
            since: now,
            probe_addr: probe,
            probe_interval: limits.probe_interval,
            resources: spec.resources,
            memory_patience: limits.memory_patience,
            heavy: None,
            listening: None,
            ready: false,
            probe: None,
            clients: Clients::Served,
            asked: (now, SystemTime::now(), Duration::ZERO),
            not_ready: NotReady::Silent,
            exit: None,
            next_look: now,
        })
    }

    /// Takes over a child that has been serving under another supervisor.
    #[cfg(unix)]
    pub(super) fn adopted(
        name: &'static str,
        spec: &Spec,
        family: String,
        adopted: Adopted,
        limits: &Limits,
    ) -> io::Result<Self> {
        let Adopted { status, process, lifeline, .. } = adopted;
        let now = Instant::now();
        let mut run = Self {
            name,
            process: Process::adopted(name, spec, family, process, status.identity.pid, lifeline)?,
            output: None,
            log: Log::of_adopted(&spec.log),
            // An uptime before the epoch of the clock counts as zero.
            since: now.checked_sub(Duration::from_millis(status.uptime_ms)).unwrap_or(now),
            probe_addr: Some(status.probe),
            probe_interval: limits.probe_interval,
            resources: spec.resources,
            memory_patience: limits.memory_patience,
            heavy: None,
            listening: Some(Listening { instance: status.instance, addr: status.addr }),
            ready: true,
            probe: None,
            clients: Clients::Served,
            asked: (now, SystemTime::now(), Duration::ZERO),
            not_ready: NotReady::Silent,
            exit: None,
            next_look: now,
        };
        run.ask_after(Duration::ZERO);
        Ok(run)
    }

    /// Waits for the next event of the run. Cancel safe.
    pub(super) async fn next_event(&mut self) -> RunEvent {
        loop {
            tokio::select! {
                exit = self.process.exited(), if self.exit.is_none() => {
                    self.exit = Some(exit);
                    self.probe = None;
                    self.next_look = Instant::now();
                    return RunEvent::Exited;
                }
                line = next_line(&mut self.output) => match line {
                    Some(line) if self.handle_line(&line) => return RunEvent::Announced,
                    Some(_) => {}
                    None => self.output = None,
                },
                answer = answer(&mut self.probe) => {
                    if let Some(news) = self.answered(answer) {
                        return news;
                    }
                }
                () = sleep_until(self.next_look), if self.exit.is_some() => {
                    if self.process.bury() {
                        return RunEvent::Gone;
                    }
                    self.next_look = Instant::now() + REAP_INTERVAL;
                }
            }
        }
    }

    fn answered(&mut self, answer: Result<Clients, NotReady>) -> Option<RunEvent> {
        let slept = self.slept();
        match (answer, self.ready) {
            (Ok(clients), was_ready) => {
                self.ready = true;
                self.clients = clients;
                self.ask_after(self.probe_interval);
                Some(match was_ready {
                    false => RunEvent::Ready,
                    true if self.is_heavy() => RunEvent::Heavy,
                    true => RunEvent::Alive,
                })
            }
            (Err(not_ready), false) => {
                self.not_ready = not_ready;
                self.ask_after(READINESS_INTERVAL);
                None
            }
            (Err(dead), true) => {
                self.not_ready = dead;
                self.ask_after(self.probe_interval);
                Some(RunEvent::Missed { slept })
            }
        }
    }

    /// Returns whether the memory limit has been exceeded for long enough; if so, the measurement starts again.
    fn is_heavy(&mut self) -> bool {
        if !self.resources.is_exceeded_by(self.pid()) {
            self.heavy = None;
            return false;
        }
        let since = *self.heavy.get_or_insert_with(Instant::now);
        let heavy = since.elapsed() >= self.memory_patience;
        if heavy {
            self.heavy = None;
        }
        heavy
    }

    /// Returns whether the last answer took longer than the check itself can have.
    fn slept(&self) -> bool {
        let (asked, wall, pause) = self.asked;
        // A wall clock that was set back yields no information.
        slept(asked.elapsed(), wall.elapsed().unwrap_or_default(), pause)
    }

    /// Ends the group and waits until it is empty: asks it to exit if it is alive, and kills it after the grace period.
    pub(super) async fn end(mut self, grace: Duration) {
        let mut deadline = Instant::now();
        if self.exit.is_none() && !grace.is_zero() {
            self.terminate();
            deadline += grace;
        } else {
            self.kill();
        }
        let mut killed = false;
        loop {
            tokio::select! {
                news = self.next_event() => match news {
                    RunEvent::Gone => return,
                    RunEvent::Exited => self.kill(),
                    _ => {}
                },
                () = sleep_until(deadline), if !killed => {
                    self.kill();
                    killed = true;
                }
            }
        }
    }

    /// Asks the group to exit.
    pub(super) fn terminate(&mut self) {
        self.probe = None;
        self.process.terminate();
    }

    /// Kills the group.
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

    pub(super) fn is_adopted(&self) -> bool {
        self.process.is_adopted()
    }

    /// Returns the announced listening address.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.listening.as_ref().map(|listening| listening.addr)
    }

    /// Returns the address at which this process alone answers.
    pub(super) fn probe_addr(&self) -> Option<SocketAddr> {
        self.probe_addr
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Returns whether new clients get a connection.
    pub(super) fn serves_clients(&self) -> bool {
        self.clients == Clients::Served
    }

    pub(super) fn not_ready(&self) -> &NotReady {
        &self.not_ready
    }

    /// Reads the end of its log.
    pub(super) fn tail(&self) -> impl Future<Output = String> + Send + use<'_> {
        let (name, log) = (self.name, &self.log);
        async move {
            log.tail().await.unwrap_or_else(|error| {
                tracing::warn!(child = name, %error, "cannot read the log of the child");
                String::new()
            })
        }
    }

    /// Handles a status line. Returns whether it was the announcement.
    fn handle_line(&mut self, line: &str) -> bool {
        match Listening::parse(line) {
            Some(listening) if self.listening.is_none() && self.exit.is_none() => {
                self.probe_addr.get_or_insert_with(|| reachable(listening.addr));
                self.listening = Some(listening);
                self.ask_after(Duration::ZERO);
                true
            }
            _ => {
                tracing::debug!(child = self.name, line, "status line");
                false
            }
        }
    }

    fn ask_after(&mut self, pause: Duration) {
        let ready = self.ready;
        self.asked = (Instant::now(), SystemTime::now(), pause);
        self.probe = self.listening.clone().zip(self.probe_addr).map(|(child, addr)| {
            let question = async move {
                tokio::time::sleep(pause).await;
                let path = if ready { "/health/live" } else { "/health/ready" };
                probe::ask(&Target { addr, instance: &child.instance, path }).await
            };
            Box::pin(question) as Question
        });
    }
}

/// Returns whether the machine was suspended or this process was stopped.
///
/// A suspended machine stops the monotonic clock, but not the wall clock; a stopped process stops neither. Setting the
/// wall clock forward looks like a suspension, which forgives one health check and has no other effect: all deadlines
/// are monotonic.
fn slept(monotonic: Duration, wall: Duration, pause: Duration) -> bool {
    monotonic > pause + probe::PROBE_TIMEOUT + SUSPEND_THRESHOLD || wall > monotonic + SUSPEND_THRESHOLD
}

/// Returns the next line; pending for ever after the last.
async fn next_line(output: &mut Option<Lines>) -> Option<String> {
    match output {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}

/// Returns the answer of the check in progress; pending for ever if there is none.
async fn answer(probe: &mut Option<Question>) -> Result<Clients, NotReady> {
    match probe {
        Some(question) => question.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fc_31_a_wall_clock_jump_counts_as_suspend_only() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        let pause = second * 2;
        assert!(!slept(pause, pause, pause), "no jump");
        assert!(slept(pause, pause + hour, pause), "the clock was set forward, or the system was suspended");
        // Set back: no time has passed by the wall clock.
        assert!(!slept(pause, Duration::ZERO, pause));
        assert!(slept(hour, hour, pause), "the process was suspended");
    }
}

//! The one task that owns a child's state: it turns commands, news and deadlines into events of the table, does what
//! the table says, and publishes the outcome.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::run::{News, Run};
use super::state::{Effect, Event, Fault, Machine, State};
use super::{Cause, Command, Exit, Limits, Phase, Snapshot, Spec, Unmet, Want};

/// See the module documentation.
pub(super) struct Actor {
    name: &'static str,
    limits: Limits,
    machine: Machine,
    inbox: mpsc::Receiver<Command>,
    /// The handle is gone: finish, then end.
    closed: bool,
    publish: watch::Sender<Snapshot>,
    /// What the next spawn runs.
    spec: Option<Box<Spec>>,
    run: Option<Run>,
    generation: u64,
    /// Whose command is being carried out.
    taken: Option<oneshot::Sender<()>>,
    waiting: Vec<Waiting>,
}

/// Somebody who waits for a command to be fulfilled.
struct Waiting {
    goal: Goal,
    ticket: oneshot::Sender<Result<(), Unmet>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Up,
    Down,
}

// === impl Actor ===

impl Actor {
    pub(super) fn new(
        name: &'static str,
        limits: Limits,
        inbox: mpsc::Receiver<Command>,
        publish: watch::Sender<Snapshot>,
    ) -> Self {
        Self {
            name,
            limits,
            machine: Machine::new(limits),
            inbox,
            closed: false,
            publish,
            spec: None,
            run: None,
            generation: 0,
            taken: None,
            waiting: Vec::new(),
        }
    }

    /// Runs until the handle is gone and so is the child.
    pub(super) async fn run(mut self) {
        while let Some(event) = self.next().await {
            self.happen(event).await;
            self.taken = None;
        }
    }

    async fn next(&mut self) -> Option<Event> {
        let deadline = self.machine.deadline();
        tokio::select! {
            command = self.inbox.recv(), if !self.closed => match command {
                Some(command) => Some(self.accept(command)),
                None => {
                    self.closed = true;
                    Some(Event::Stop)
                }
            },
            news = news(&mut self.run), if self.run.is_some() => Some(match news {
                News::Ready => Event::Ready,
                News::Exited => Event::Exited,
                News::Gone => Event::Gone,
            }),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Some(Event::Tick),
            else => None,
        }
    }

    /// Takes a command: whoever wanted the opposite is told so.
    fn accept(&mut self, command: Command) -> Event {
        let (event, goal) = match command.want {
            Want::Start(spec) => {
                self.spec = Some(spec);
                (Event::Start, Goal::Up)
            }
            Want::Restart(spec) => {
                self.spec = Some(spec);
                (Event::Restart, Goal::Up)
            }
            Want::Stop => (Event::Stop, Goal::Down),
        };
        let (stay, superseded): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.goal == goal);
        self.waiting = stay;
        superseded.into_iter().for_each(|waiting| waiting.answer(Err(Unmet::Superseded)));
        self.taken = Some(command.taken);
        self.waiting.push(Waiting { goal, ticket: command.ticket });
        event
    }

    /// Lets an event happen, and what follows from it.
    async fn happen(&mut self, event: Event) {
        let mut cause = None;
        match self.machine.on(event, Instant::now()) {
            Effect::Nothing => {}
            Effect::Spawn => {
                self.run = None;
                if let Err(message) = self.spawn() {
                    self.machine.on(Event::SpawnFailed, Instant::now());
                    cause = Some(Cause { message, exit: None, tail: String::new() });
                }
            }
            Effect::Terminate => self.run.iter_mut().for_each(Run::terminate),
            Effect::Kill => self.run.iter_mut().for_each(Run::kill),
        }
        match self.machine.state() {
            State::Failed(fault) if event == Event::Gone => cause = self.post_mortem(fault).await,
            State::Stuck if event == Event::Tick => cause = Some(self.stuck()),
            _ => {}
        }
        if event == Event::Gone && !matches!(self.machine.state(), State::Starting { .. }) {
            self.run = None;
        }
        self.publish(cause);
        self.answer();
    }

    fn spawn(&mut self) -> Result<(), String> {
        let spec = self.spec.as_ref().ok_or("nothing to run")?;
        self.run = Some(Run::begin(self.name, spec).map_err(|error| error.to_string())?);
        self.generation += 1;
        Ok(())
    }

    /// Why the run that has just been buried was a failure.
    async fn post_mortem(&mut self, fault: Fault) -> Option<Cause> {
        let run = self.run.as_mut()?;
        let exit = run.exit();
        let end = exit.unwrap_or(Exit::Unknown);
        let name = self.name;
        let message = match (fault, end) {
            (Fault::NeverReady, _) => {
                format!("Startup timeout ({}s): {}", self.limits.startup.as_secs(), run.not_ready())
            }
            (_, Exit::Code(98)) => match self.spec.as_ref().map_or(0, |spec| spec.port) {
                0 => format!("{name} found its port in use"),
                port => format!("Port {port} is already in use"),
            },
            (Fault::ExitedEarly | Fault::NotSpawned, _) => format!("{name} {end} before it was ready"),
            (Fault::Crashed, _) => format!("{name} {end} without being asked to"),
            (Fault::WasStuck, _) => format!("{name} {end} long after it was killed"),
        };
        Some(Cause { message, exit, tail: run.tail().await })
    }

    fn stuck(&self) -> Cause {
        let pid = self.run.as_ref().map_or(0, Run::pid);
        let message = format!("{}: process group {pid} survives SIGKILL; nothing is started beside it", self.name);
        Cause { message, exit: None, tail: String::new() }
    }

    fn publish(&self, cause: Option<Cause>) {
        let state = self.machine.state();
        let Some(phase) = state.phase() else { return };
        let cause = cause.map(Arc::new);
        let run = self.run.as_ref();
        let name = self.name;
        self.publish.send_if_modified(|snapshot| {
            let changed = snapshot.state != phase || snapshot.generation != self.generation || cause.is_some();
            if !changed {
                return false;
            }
            let kept = if phase == Phase::Error { snapshot.cause.take() } else { None };
            *snapshot = Snapshot {
                state: phase,
                pid: run.map(Run::pid),
                addr: if phase == Phase::Running { run.and_then(Run::addr) } else { None },
                since: run.map(Run::since),
                generation: self.generation,
                cause: cause.or(kept),
                forced: matches!(state, State::Stopped { forced: true }),
            };
            match (&snapshot.cause, snapshot.forced) {
                (Some(cause), _) => tracing::error!(child = name, "{cause}"),
                (None, true) => tracing::warn!(child = name, "stopped, but it had to be killed"),
                (None, false) => {
                    tracing::info!(child = name, pid = snapshot.pid, addr = ?snapshot.addr, "{}", phase.as_str());
                }
            }
            true
        });
    }

    /// Answers the tickets whose question is settled.
    fn answer(&mut self) {
        let failed = || {
            let cause = self.publish.borrow().cause.clone();
            cause.map_or(Err(Unmet::Closed), |cause| Err(Unmet::Failed(cause)))
        };
        let outcome: Result<(), Unmet> = match self.machine.state() {
            State::Starting { .. } | State::Stopping { .. } => return,
            State::Stopped { .. } | State::Running => Ok(()),
            State::Stuck | State::Failed(_) => failed(),
        };
        std::mem::take(&mut self.waiting).into_iter().for_each(|waiting| waiting.answer(outcome.clone()));
    }
}

/// The news of the run; waits for ever when there is none.
async fn news(run: &mut Option<Run>) -> News {
    match run {
        Some(run) => run.news().await,
        None => std::future::pending().await,
    }
}

// === impl Waiting ===

impl Waiting {
    fn answer(self, outcome: Result<(), Unmet>) {
        // Nobody has to wait for an answer.
        self.ticket.send(outcome).ok();
    }
}

//! The task that owns a child's state: turns commands, [`RunEvent`] of the process and deadlines into events of the
//! state table, carries out the resulting effects, and publishes the outcome.

mod report;
mod spawn;
mod tickets;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use self::tickets::{Goal, Tickets};
use super::port::Port;
use super::run::{Run, RunEvent};
use super::shared_listener::{ServingGuard, SharedListener};
use super::state::{Effect, Event, Machine, Retry, State};
use super::{AdoptedChild, Cause, ChildCommand, Desired, Fault, Limits, Snapshot, Spec};

/// Task state; see the module documentation.
pub(super) struct Actor {
    name: &'static str,
    limits: Limits,
    machine: Machine,
    inbox: mpsc::Receiver<ChildCommand>,
    /// The handle was dropped: stop the child, then end.
    closed: bool,
    publish: watch::Sender<Snapshot>,
    /// Spec of the serving generation, or of the next one.
    spec: Option<Arc<Spec>>,
    /// Bound while a process listens on it or is about to.
    port: Option<Arc<Port>>,
    /// State shared with the other children of the worker group.
    shared_listener: SharedListener,
    /// Held while the child answers clients.
    serving: Option<ServingGuard>,
    run: Option<Run>,
    /// Process that is to be adopted.
    adopted_child: Option<AdoptedChild>,
    /// New generation that is to take over.
    next_generation: Option<NextGeneration>,
    /// Old generations that are finishing their streams.
    draining: JoinSet<()>,
    /// Time since which no process serves although one should.
    unserved_since: Option<Instant>,
    /// Number of the serving generation.
    generation: u64,
    /// Number of processes spawned so far.
    spawned: u64,
    restarts: u64,
    /// Fault of the run that is ending.
    fault: Option<Fault>,
    /// Acknowledges the command being carried out, when dropped.
    taken: Option<oneshot::Sender<()>>,
    tickets: Tickets,
}

/// A new generation that has not taken over yet.
struct NextGeneration {
    run: Run,
    spec: Arc<Spec>,
    /// Its own port; `None` if it shares the present one.
    port: Option<Arc<Port>>,
    generation: u64,
}

// === impl Actor ===

impl Actor {
    pub(super) fn new(
        name: &'static str,
        limits: Limits,
        shared_listener: SharedListener,
        inbox: mpsc::Receiver<ChildCommand>,
        publish: watch::Sender<Snapshot>,
    ) -> Self {
        // Any number will do: it only has to differ between children.
        let seed = uuid::Uuid::now_v7().as_u64_pair().1;
        Self {
            name,
            limits,
            machine: Machine::new(limits, seed),
            inbox,
            closed: false,
            publish,
            spec: None,
            port: None,
            shared_listener,
            serving: None,
            run: None,
            adopted_child: None,
            next_generation: None,
            draining: JoinSet::new(),
            unserved_since: None,
            generation: 0,
            spawned: 0,
            restarts: 0,
            fault: None,
            taken: None,
            tickets: Tickets::default(),
        }
    }

    /// Runs until the handle has been dropped and the child is gone.
    pub(super) async fn run(mut self) {
        while let Some(event) = self.next().await {
            let span = self.tickets.span();
            self.apply(event).instrument(span).await;
            self.taken = None;
            // A group that outlives SIGKILL is not waited for.
            if self.closed && matches!(self.machine.state(), State::Stuck { .. }) {
                break;
            }
        }
    }

    async fn next(&mut self) -> Option<Event> {
        let fallback_responder = self.unserved_since.map(|unserved_since| unserved_since + self.limits.fallback_delay);
        let deadline = self.machine.deadline().into_iter().chain(fallback_responder).min();
        tokio::select! {
            // A closed inbox is ready for ever, so it is asked no more. Its end is a stop: no handle is left to stop
            // the child later.
            command = self.inbox.recv(), if !self.closed => Some(match command {
                Some(command) => self.accept(command),
                None => {
                    self.closed = true;
                    Event::Stop
                }
            }),
            run_event = next_event(self.run.as_mut()), if self.run.is_some() => Some(self.event_of(run_event)),
            run_event = next_event(self.next_generation.as_mut().map(|next_generation| &mut next_generation.run)), if self.next_generation.is_some() => Some(match run_event {
                RunEvent::Ready => Event::NextReady,
                RunEvent::Exited => Event::NextExited,
                // Until it takes over, only whether it becomes ready counts.
                RunEvent::Announced | RunEvent::Alive | RunEvent::Heavy | RunEvent::Missed { .. } | RunEvent::Gone => Event::Tick,
            }),
            // An empty set returns `None`, which disables this branch until something drains.
            Some(_) = self.draining.join_next() => Some(Event::Drained),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Some(Event::Tick),
            else => None,
        }
    }

    /// Turns [`RunEvent`] of the serving generation into an event.
    fn event_of(&mut self, run_event: RunEvent) -> Event {
        match run_event {
            RunEvent::Announced => {
                // From here on it accepts connections itself.
                self.serving = Some(self.shared_listener.serve());
                self.unserved_since = Some(Instant::now());
                Event::Tick
            }
            RunEvent::Ready => Event::Ready,
            RunEvent::Alive => Event::Alive,
            // A process that is too large has answered the probe all the same.
            RunEvent::Heavy => {
                self.machine.on(Event::Alive, Instant::now());
                Event::Heavy
            }
            RunEvent::Missed { slept } => {
                // After a pause of the whole machine, the child has not been silent for as long as the clock says.
                if slept {
                    self.machine.on(Event::Slept, Instant::now());
                }
                Event::Missed
            }
            RunEvent::Exited => Event::Exited { retry: retry(self.run.as_ref()) },
            RunEvent::Gone => Event::Gone,
        }
    }

    /// Takes a command, and answers the tickets of older commands that wanted the opposite.
    fn accept(&mut self, command: ChildCommand) -> Event {
        let (event, goal, spec) = match command.desired {
            Desired::Start(spec) => (Event::Start, Goal::Up, Some(spec)),
            // Two processes can share a port, but not listen on overlapping addresses that differ.
            Desired::Restart(spec) => {
                let blocked = self.port.as_ref().is_some_and(|port| port.is_in_the_way_of(&spec.listen));
                (if blocked { Event::Replace } else { Event::Restart }, Goal::Replaced, Some(spec))
            }
            Desired::Stop => (Event::Stop, Goal::Down, None),
            Desired::Adopt(spec, adopted_child) => {
                let vacant = matches!(self.machine.state(), State::Stopped { .. });
                self.adopted_child = vacant.then_some(*adopted_child);
                (Event::Adopt, Goal::Up, vacant.then_some(spec))
            }
        };
        // A start does not change a running process; a restart passes its spec to the generation it spawns.
        let serving = matches!(self.machine.state(), State::Running { .. });
        if let Some(spec) = spec
            && !(serving && goal == Goal::Up)
        {
            self.spec = Some(Arc::new(*spec));
        }
        self.tickets.add(goal, command.ticket, command.span);
        self.taken = Some(command.taken);
        event
    }

    /// Applies an event to the state table, and carries out the effect.
    async fn apply(&mut self, event: Event) {
        let before = self.machine.state();
        let effect = self.machine.on(event, Instant::now());
        self.note_fault(before, event);
        let cause = match effect {
            Effect::Nothing => None,
            Effect::Spawn => self.spawn(event).await,
            Effect::ServeAdopted => self.serve_adopted().await,
            Effect::SpawnNext => {
                let heavy = (event == Event::Heavy).then(|| self.heavy());
                self.spawn_next().await.or(heavy)
            }
            Effect::TakeOver => {
                self.take_over();
                None
            }
            Effect::Promote => self.promote().await,
            Effect::DropNext => self.drop_next(event).await,
            Effect::Terminate => {
                // The replacement listens elsewhere on the same port, which must be free by then.
                if event == Event::Replace {
                    self.port = None;
                }
                self.run.iter_mut().for_each(Run::terminate);
                self.release_next();
                None
            }
            Effect::Kill => {
                self.run.iter_mut().for_each(Run::kill);
                None
            }
        };
        let cause = match self.machine.state() {
            State::Failed | State::Backoff { .. } if event == Event::Gone => self.post_mortem().await,
            State::Stuck { .. } if event == Event::Tick => Some(self.stuck()),
            _ => cause,
        };
        // A restart without delay has spawned the next run already.
        if event == Event::Gone && !matches!(self.machine.state(), State::Starting { .. }) {
            self.run = None;
        }
        self.update_port();
        self.report(cause);
    }

    /// Makes the new generation the serving one. The old generation drains within the same grace period as a stop.
    fn take_over(&mut self) {
        let Some(next_generation) = self.next_generation.take() else { return };
        if let Some(old) = self.run.replace(next_generation.run) {
            self.draining.spawn(old.end(self.limits.grace));
        }
        self.port = next_generation.port.or_else(|| self.port.take());
        self.generation = next_generation.generation;
        self.restarts += 1;
    }

    /// Replaces the lost serving generation by the new one.
    async fn promote(&mut self) -> Option<Cause> {
        let cause = self.post_mortem().await;
        self.take_over();
        cause
    }

    async fn drop_next(&mut self, event: Event) -> Option<Cause> {
        let next_generation = self.next_generation.take()?;
        let fault = if event == Event::Tick { Fault::NeverReady } else { Fault::ExitedEarly };
        let cause = self.cause_of(fault, &next_generation.run, &next_generation.spec).await;
        // It has never served, so there is nothing to drain.
        self.draining.spawn(next_generation.run.end(std::time::Duration::ZERO));
        Some(cause.of_handover())
    }

    fn release_next(&mut self) {
        if let Some(next_generation) = self.next_generation.take() {
            self.draining.spawn(next_generation.run.end(self.limits.grace));
        }
    }

    /// Closes the port when no process may listen on it, and starts the fallback responder when a process has been due
    /// for too long.
    fn update_port(&mut self) {
        let state = self.machine.state();
        if !state.keeps_port() {
            self.port = None;
        }
        match state {
            State::Running { .. } if self.serving.is_none() => self.serving = Some(self.shared_listener.serve()),
            State::Running { .. } | State::Starting { .. } => {}
            _ => self.serving = None,
        }
        if !state.is_dark() {
            if self.unserved_since.take().is_some() {
                // A child that still has no serving process starts the fallback responder again after its own wait.
                self.shared_listener.dismiss();
            }
            return;
        }
        let now = Instant::now();
        let unserved_since = *self.unserved_since.get_or_insert(now);
        if now < unserved_since + self.limits.fallback_delay {
            return;
        }
        // Check again after another interval: a child that serves now may stop later.
        self.unserved_since = Some(now);
        let answered =
            self.shared_listener.has_fallback() || self.shared_listener.is_served_by_others(self.serving.as_ref());
        if let Some(port) = self.port.as_ref().filter(|_| !answered)
            && let Err(error) = self.shared_listener.start_fallback(port)
        {
            tracing::warn!(child = self.name, %error, "cannot run the fallback responder, clients have to wait");
        }
    }
}

/// Waits for the next [`RunEvent`] of a run; pending for ever if there is none.
async fn next_event(run: Option<&mut Run>) -> RunEvent {
    match run {
        Some(run) => run.next_event().await,
        None => std::future::pending().await,
    }
}

/// Returns whether a restart can help after this exit.
fn retry(run: Option<&Run>) -> Retry {
    run.and_then(Run::exit).map_or(Retry::Limited, super::Exit::retry)
}

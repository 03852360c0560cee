//! What may follow what: the life of a child as a table. No processes, no files, no clock of its own.

use tokio::time::Instant;

use super::{Limits, Phase};

/// The table and where we are in it.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    limits: Limits,
}

/// Where a child is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing runs. `forced`: the last process had to be killed.
    Stopped { forced: bool },
    /// A process was spawned and is not ready; after `deadline` it is given up.
    Starting { deadline: Instant },
    /// The process is ready.
    Running,
    /// The group is on its way out; what happens at `deadline` depends on `stage`.
    Stopping { then: Then, stage: Stage, deadline: Instant, forced: bool },
    /// The group outlives SIGKILL. Nothing new may be spawned beside it.
    Stuck,
    /// The group is gone, and that was not asked for.
    Failed(Fault),
}

/// What follows when the group is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Rest,
    Start,
    Fail(Fault),
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Asked to leave.
    Asked,
    /// SIGKILL was sent.
    Killed,
}

/// Why a child failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotSpawned,
    ExitedEarly,
    NeverReady,
    Crashed,
    /// It was stuck, and left at last.
    WasStuck,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Start,
    Stop,
    Restart,
    /// There is no process after all.
    SpawnFailed,
    /// It announced itself and its health agrees.
    Ready,
    /// The leader has ended; it is not reaped, and others may live in its group.
    Exited,
    /// The group is proven empty.
    Gone,
    /// A deadline may have passed.
    Tick,
}

/// What has to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Spawn,
    /// Ask the group to leave.
    Terminate,
    /// SIGKILL to the group.
    Kill,
}

// === impl Machine ===

impl Machine {
    pub(super) fn new(limits: Limits) -> Self {
        Self { state: State::Stopped { forced: false }, limits }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// The table. What is not in it changes nothing: a report that comes too late is no error.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Effect {
        use State::{Failed, Running, Starting, Stopped, Stopping, Stuck};
        let (next, effect) = match (self.state, event) {
            (Stopped { .. } | Failed(_), Event::Start | Event::Restart) => (self.starting(now), Effect::Spawn),
            (Failed(_), Event::Stop) => (Stopped { forced: false }, Effect::Nothing),

            (Starting { .. }, Event::Ready) => (Running, Effect::Nothing),
            (Starting { .. }, Event::SpawnFailed) => (Failed(Fault::NotSpawned), Effect::Nothing),
            (Starting { .. }, Event::Exited) => {
                (self.killing(Then::Fail(Fault::ExitedEarly), false, now), Effect::Kill)
            }
            (Starting { deadline }, Event::Tick) if deadline <= now => {
                (self.killing(Then::Fail(Fault::NeverReady), true, now), Effect::Kill)
            }
            (Running, Event::Exited) => (self.killing(Then::Fail(Fault::Crashed), false, now), Effect::Kill),
            (Starting { .. } | Running, Event::Stop) => (self.asking(Then::Rest, now), Effect::Terminate),
            (Starting { .. } | Running, Event::Restart) => (self.asking(Then::Start, now), Effect::Terminate),

            (Stopping { stage, deadline, forced, .. }, Event::Start | Event::Restart) => {
                (Stopping { then: Then::Start, stage, deadline, forced }, Effect::Nothing)
            }
            (Stopping { stage, deadline, forced, .. }, Event::Stop) => {
                (Stopping { then: Then::Rest, stage, deadline, forced }, Effect::Nothing)
            }
            (Stopping { then, stage: Stage::Asked, deadline, .. }, Event::Tick) if deadline <= now => {
                (self.killing(then, true, now), Effect::Kill)
            }
            (Stopping { stage: Stage::Killed, deadline, .. }, Event::Tick) if deadline <= now => {
                (Stuck, Effect::Nothing)
            }
            (Stopping { then, forced, .. }, Event::Exited) => (self.killing(then, forced, now), Effect::Kill),
            (Stopping { then: Then::Rest, forced, .. }, Event::Gone) => (Stopped { forced }, Effect::Nothing),
            (Stopping { then: Then::Start, .. }, Event::Gone) => (self.starting(now), Effect::Spawn),
            (Stopping { then: Then::Fail(fault), .. }, Event::Gone) => (Failed(fault), Effect::Nothing),

            (Stuck, Event::Stop | Event::Exited) => (Stuck, Effect::Kill),
            (Stuck, Event::Gone) => (Failed(Fault::WasStuck), Effect::Nothing),

            (state, _) => (state, Effect::Nothing),
        };
        self.state = next;
        effect
    }

    /// When to send the next [`Event::Tick`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Starting { deadline } | State::Stopping { deadline, .. } => Some(deadline),
            State::Stopped { .. } | State::Running | State::Stuck | State::Failed(_) => None,
        }
    }

    fn starting(&self, now: Instant) -> State {
        State::Starting { deadline: now + self.limits.startup }
    }

    fn asking(&self, then: Then, now: Instant) -> State {
        State::Stopping { then, stage: Stage::Asked, deadline: now + self.limits.grace, forced: false }
    }

    fn killing(&self, then: Then, forced: bool, now: Instant) -> State {
        State::Stopping { then, stage: Stage::Killed, deadline: now + self.limits.kill_wait, forced }
    }
}

// === impl State ===

impl State {
    /// What people see; `None` while a failing child is being buried, because what they saw before stays true until
    /// its group is proven empty and the cause is known.
    pub(super) fn phase(self) -> Option<Phase> {
        match self {
            Self::Stopped { .. } => Some(Phase::Stopped),
            Self::Starting { .. } => Some(Phase::Starting),
            Self::Running => Some(Phase::Running),
            Self::Stopping { then: Then::Fail(_), .. } => None,
            Self::Stopping { .. } => Some(Phase::Stopping),
            Self::Stuck | Self::Failed(_) => Some(Phase::Error),
        }
    }
}

#[cfg(test)]
mod tests;

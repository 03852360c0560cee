//! Lifecycle of a child as a state table: which transition follows which event. Free of processes, files and clocks.

mod backoff;
mod phase;

use tokio::time::Instant;

use self::backoff::Backoff;
use super::Limits;

/// Maximum old generations that may be finishing their streams beside the serving one. A further restart waits until
/// one of them has ended.
const MAX_DRAINING: usize = 3;

/// State table and present state.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    limits: Limits,
    backoff: Backoff,
    /// Failures since the last time the child was ready for long enough or was started by a command.
    failures: u32,
    /// Groups that are ending beside the one in `state`.
    draining: usize,
    /// End of the period within which the first failed health check is not counted.
    forgiving: Option<Instant>,
}

/// States of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No process. `forced`: the last one had to be killed.
    Stopped { forced: bool },
    /// Spawned but not ready; killed at `deadline`.
    Starting { deadline: Instant },
    /// Ready since `since`. Degraded while `misses` is not zero.
    Running { since: Instant, misses: u32, handover: Option<Handover> },
    /// The group is ending; the action at `deadline` depends on `stage`.
    Stopping { then: Then, stage: Stage, deadline: Instant, forced: bool },
    /// Failed; started again at `until`.
    Backoff { until: Instant },
    /// A group outlives SIGKILL. No process may be spawned beside it.
    Stuck { stage: Stage },
    /// Failed for good: the group is gone without a request to stop, and is not started again.
    Failed,
}

/// Progress of a new generation beside the serving one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handover {
    /// To be spawned once fewer old generations are draining.
    Wanted { since: Instant },
    /// Spawned but not ready; dropped at `deadline`, and the old one stays. `again`: a further restart was requested
    /// meanwhile.
    Rising { deadline: Instant, again: bool },
}

/// Next step after the group is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Rest,
    Start,
    Fail { retry: Retry },
}

/// Restart policy after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// Final: the operator has to act (bad usage, bad configuration, no such program).
    Never,
    /// After a growing delay, up to [`Limits::restart_limit`] failures in a row.
    Limited,
    /// After a growing delay, without limit: another program has its port, and may release it.
    Always,
    /// After the shortest delay, and not counted as a failure: it was asked to exit from outside, and did.
    Uncounted,
}

/// Progress of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Asked to exit.
    Asked,
    /// SIGKILL was sent.
    Killed,
    /// The group is gone; older generations are still finishing their streams.
    Draining,
}

/// Inputs of the state table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Start,
    Stop,
    Restart,
    /// A restart whose sockets cannot be bound while the serving process has its own: that process has to exit first.
    Replace,
    /// A process that is serving already has been adopted.
    Adopt,
    /// No process could be spawned.
    SpawnFailed {
        retry: Retry,
    },
    /// The child is ready: its health endpoint confirms the announcement.
    Ready,
    /// A health check of the ready process succeeded.
    Alive,
    /// A health check of the ready process failed.
    Missed,
    /// The memory limit has been exceeded for too long.
    Heavy,
    /// The leader has ended. It is not reaped yet, and its group may have other members.
    Exited {
        retry: Retry,
    },
    /// The group is proven empty.
    Gone,
    /// The new generation could not be spawned.
    NextNotSpawned,
    /// The new generation is ready.
    NextReady,
    /// The new generation has ended.
    NextExited,
    /// A group that was ending beside the serving one is gone.
    Drained,
    /// The machine was suspended, or this process was stopped.
    Slept,
    /// A deadline may have passed.
    Tick,
}

/// Action that the actor has to carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Spawn,
    /// Make the adopted process the serving one.
    ServeAdopted,
    /// Spawn a new generation beside the serving one.
    SpawnNext,
    /// The new generation becomes the serving one; the old one drains.
    TakeOver,
    /// The serving generation is lost; the new one replaces it, ready or not.
    Promote,
    /// Kill the new generation; the serving one stays unchanged.
    DropNext,
    /// Ask the group to exit, and the new generation if there is one.
    Terminate,
    /// Send SIGKILL to the group.
    Kill,
}

// === impl Machine ===

impl Machine {
    pub(super) fn new(limits: Limits, seed: u64) -> Self {
        let backoff = Backoff::new(limits.restart_delay, limits.restart_delay_max, seed);
        Self { state: State::Stopped { forced: false }, limits, backoff, failures: 0, draining: 0, forgiving: None }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Returns the number of failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Applies an event. Combinations without an entry change nothing, because a report that arrives late is not an
    /// error.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Effect {
        use State::{Backoff, Failed, Running, Starting, Stopped, Stopping, Stuck};
        match event {
            Event::Drained => self.draining = self.draining.saturating_sub(1),
            Event::Slept => self.forgiving = Some(now + self.limits.suspend_grace),
            _ => {}
        }
        let (next, effect) = match (self.state, event) {
            (Running { since, misses, handover }, event) => self.on_running(since, misses, handover, event, now),
            (Stopping { then, stage, deadline, forced }, event) => {
                self.on_stopping(then, stage, deadline, forced, event, now)
            }

            (Stopped { .. }, Event::Adopt) => (running(now), Effect::ServeAdopted),
            (Stopped { .. } | Failed | Backoff { .. }, Event::Start | Event::Restart | Event::Replace) => {
                self.fresh_start(now)
            }
            (Backoff { until }, Event::Tick) if until <= now => (self.starting(now), Effect::Spawn),
            (Failed | Backoff { .. }, Event::Stop) => (self.rest(false, now), Effect::Nothing),

            (Starting { .. }, Event::Ready) => (running(now), Effect::Nothing),
            (Starting { .. }, Event::SpawnFailed { retry }) => (self.failed(retry, now), Effect::Nothing),
            (Starting { .. }, Event::Exited { retry }) => {
                // Before it was ready it cannot have been asked to exit.
                let retry = if retry == Retry::Uncounted { Retry::Limited } else { retry };
                (self.killing(Then::Fail { retry }, false, now), Effect::Kill)
            }
            (Starting { deadline }, Event::Tick) if deadline <= now => {
                (self.killing(Then::Fail { retry: Retry::Limited }, true, now), Effect::Kill)
            }
            (Starting { .. }, Event::Stop) => (self.asking(Then::Rest, now), Effect::Terminate),
            (Starting { .. }, Event::Restart | Event::Replace) => (self.asking(Then::Start, now), Effect::Terminate),

            (Stuck { stage: Stage::Draining }, Event::Drained) if self.draining == 0 => (Failed, Effect::Nothing),
            (Stuck { stage: Stage::Asked | Stage::Killed }, Event::Gone) => (Failed, Effect::Nothing),
            (state @ Stuck { .. }, Event::Stop | Event::Exited { .. }) => (state, Effect::Kill),

            (state, _) => (state, Effect::Nothing),
        };
        self.state = next;
        effect
    }

    fn on_running(
        &mut self,
        since: Instant,
        misses: u32,
        handover: Option<Handover>,
        event: Event,
        now: Instant,
    ) -> (State, Effect) {
        let with = |handover| State::Running { since, misses, handover };
        let rising = match handover {
            Some(Handover::Rising { deadline, again }) => Some((deadline, again)),
            Some(Handover::Wanted { .. }) | None => None,
        };
        match (event, rising) {
            (Event::Exited { .. }, Some((deadline, _))) => self.promote(deadline),
            (Event::Exited { retry }, None) => {
                self.forget_old_failures(since, now);
                (self.killing(Then::Fail { retry }, false, now), Effect::Kill)
            }
            (Event::Alive, _) => (State::Running { since, misses: 0, handover }, Effect::Nothing),
            (Event::Missed, _) if self.pardon(now) => (with(handover), Effect::Nothing),
            (Event::Missed, _) if misses + 1 < self.limits.probe_failures => {
                (State::Running { since, misses: misses + 1, handover }, Effect::Nothing)
            }
            (Event::Missed, Some((deadline, _))) => self.promote(deadline),
            (Event::Missed, None) => {
                self.forget_old_failures(since, now);
                (self.asking(Then::Fail { retry: Retry::Limited }, now), Effect::Terminate)
            }

            (Event::Stop, rising) => {
                self.draining += usize::from(rising.is_some());
                (self.asking(Then::Rest, now), Effect::Terminate)
            }
            (Event::Replace, rising) => {
                self.draining += usize::from(rising.is_some());
                (self.asking(Then::Start, now), Effect::Terminate)
            }
            (Event::Restart, Some((deadline, _))) => {
                (with(Some(Handover::Rising { deadline, again: true })), Effect::Nothing)
            }
            (Event::Restart, None) => self.hand_over(since, misses, now),
            (Event::Heavy, None) if handover.is_none() => self.hand_over(since, misses, now),
            (Event::Tick | Event::Drained, None) if handover.is_some() => self.hand_over(since, misses, now),

            (Event::NextReady, Some((_, again))) => {
                self.draining += 1;
                self.forget_old_failures(since, now);
                let handover = again.then_some(Handover::Wanted { since: now });
                (State::Running { since: now, misses: 0, handover }, Effect::TakeOver)
            }
            (Event::NextNotSpawned, Some(_)) => (with(None), Effect::Nothing),
            (Event::NextExited, Some(_)) => {
                self.draining += 1;
                (with(None), Effect::DropNext)
            }
            (Event::Tick, Some((deadline, _))) if deadline <= now => {
                self.draining += 1;
                (with(None), Effect::DropNext)
            }
            _ => (with(handover), Effect::Nothing),
        }
    }

    fn on_stopping(
        &mut self,
        then: Then,
        stage: Stage,
        deadline: Instant,
        forced: bool,
        event: Event,
        now: Instant,
    ) -> (State, Effect) {
        let towards = |then| State::Stopping { then, stage, deadline, forced };
        match (event, stage) {
            // None of our processes listens any more, so a new generation need not wait for old streams.
            (Event::Start | Event::Restart | Event::Replace, Stage::Draining) => self.fresh_start(now),
            (Event::Start | Event::Restart | Event::Replace, _) => (towards(Then::Start), Effect::Nothing),
            (Event::Stop, _) => (towards(Then::Rest), Effect::Nothing),
            (Event::Drained, Stage::Draining) => (self.rest(forced, now), Effect::Nothing),
            (Event::Tick, Stage::Asked) if deadline <= now => (self.killing(then, true, now), Effect::Kill),
            (Event::Tick, stage) if deadline <= now => (State::Stuck { stage }, Effect::Nothing),
            (Event::Exited { .. }, Stage::Asked | Stage::Killed) => (self.killing(then, forced, now), Effect::Kill),
            (Event::Gone, Stage::Asked | Stage::Killed) => match then {
                Then::Rest => (self.rest(forced, now), Effect::Nothing),
                Then::Start => self.fresh_start(now),
                Then::Fail { retry } => (self.failed(retry, now), Effect::Nothing),
            },
            _ => (towards(then), Effect::Nothing),
        }
    }

    /// Returns the time of the next [`Event::Tick`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Starting { deadline } | State::Stopping { deadline, .. } => Some(deadline),
            State::Backoff { until } => Some(until),
            State::Running { handover: Some(Handover::Rising { deadline, .. }), .. } => Some(deadline),
            State::Running { handover: Some(Handover::Wanted { since }), .. } if self.draining < MAX_DRAINING => {
                Some(since)
            }
            State::Running { .. } | State::Stopped { .. } | State::Stuck { .. } | State::Failed => None,
        }
    }

    /// Starts by a command: earlier failures no longer count.
    fn fresh_start(&mut self, now: Instant) -> (State, Effect) {
        self.failures = 0;
        (self.starting(now), Effect::Spawn)
    }

    fn hand_over(&self, since: Instant, misses: u32, now: Instant) -> (State, Effect) {
        let (handover, effect) = if self.draining < MAX_DRAINING {
            (Handover::Rising { deadline: now + self.limits.startup, again: false }, Effect::SpawnNext)
        } else {
            (Handover::Wanted { since: now }, Effect::Nothing)
        };
        (State::Running { since, misses, handover: Some(handover) }, effect)
    }

    fn promote(&mut self, deadline: Instant) -> (State, Effect) {
        self.draining += 1;
        (State::Starting { deadline }, Effect::Promote)
    }

    fn forget_old_failures(&mut self, since: Instant, now: Instant) {
        if now.saturating_duration_since(since) >= self.limits.restart_reset {
            self.failures = 0;
        }
    }

    /// Returns whether a failed health check is attributed to a suspension; once per suspension.
    fn pardon(&mut self, now: Instant) -> bool {
        self.forgiving.take().is_some_and(|until| now < until)
    }

    fn failed(&mut self, retry: Retry, now: Instant) -> State {
        let limit = self.limits.restart_limit;
        self.failures += u32::from(retry != Retry::Uncounted);
        match retry {
            Retry::Never => State::Failed,
            Retry::Limited if self.failures >= limit => State::Failed,
            Retry::Limited | Retry::Always => State::Backoff { until: now + self.backoff.delay(self.failures) },
            Retry::Uncounted => State::Backoff { until: now + self.backoff.delay(1) },
        }
    }

    /// Returns the state after a stop: stopping while older generations finish their streams, stopped otherwise.
    fn rest(&mut self, forced: bool, now: Instant) -> State {
        self.failures = 0;
        if self.draining == 0 {
            return State::Stopped { forced };
        }
        let deadline = now + self.limits.grace + self.limits.kill_wait;
        State::Stopping { then: Then::Rest, stage: Stage::Draining, deadline, forced }
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

fn running(now: Instant) -> State {
    State::Running { since: now, misses: 0, handover: None }
}

#[cfg(test)]
mod tests;

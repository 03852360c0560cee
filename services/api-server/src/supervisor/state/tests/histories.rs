//! Properties that hold for every sequence of events.

use proptest::prelude::*;

use super::*;

/// Model of the outside world: which processes are alive.
#[derive(Debug, Default)]
struct World {
    serving: bool,
    next_generation: bool,
    draining: usize,
}

impl World {
    /// Returns whether an event can occur: processes that do not exist report nothing.
    fn can(&self, event: Event, machine: &Machine) -> bool {
        let leaving = matches!(machine.state(), State::Stopping { .. } | State::Stuck { .. });
        match event {
            Event::Ready | Event::Alive | Event::Missed | Event::Heavy | Event::Exited { .. } => self.serving,
            // A group is proven empty only after it was ending.
            Event::Gone => self.serving && leaving,
            Event::NextReady | Event::NextExited | Event::NextNotSpawned => self.next_generation,
            Event::Drained => self.draining > 0,
            Event::SpawnFailed { .. } => self.serving && matches!(machine.state(), State::Starting { .. }),
            Event::Start
            | Event::Stop
            | Event::Restart
            | Event::Replace
            | Event::Adopt
            | Event::Slept
            | Event::Tick => true,
        }
    }

    fn suffer(&mut self, event: Event, effect: Effect) -> Result<(), TestCaseError> {
        match event {
            Event::Gone | Event::SpawnFailed { .. } => self.serving = false,
            Event::Drained => self.draining -= 1,
            Event::NextNotSpawned => self.next_generation = false,
            _ => {}
        }
        match effect {
            Effect::Spawn => {
                prop_assert!(!self.serving && !self.next_generation, "spawned while another process is running");
                self.serving = true;
            }
            Effect::ServeAdopted => {
                prop_assert!(
                    !self.serving && !self.next_generation && self.draining == 0,
                    "adopted while another process is \
                    running"
                );
                self.serving = true;
            }
            Effect::SpawnNext => {
                prop_assert!(
                    self.serving && !self.next_generation,
                    "a new generation without an old one, or with two others"
                );
                prop_assert!(self.draining < MAX_DRAINING);
                self.next_generation = true;
            }
            Effect::TakeOver | Effect::Promote => {
                prop_assert!(self.serving && self.next_generation);
                self.next_generation = false;
                self.draining += 1;
            }
            Effect::DropNext => {
                prop_assert!(self.next_generation);
                self.next_generation = false;
                self.draining += 1;
            }
            Effect::Terminate => {
                prop_assert!(self.serving);
                self.draining += usize::from(std::mem::take(&mut self.next_generation));
            }
            Effect::Kill => prop_assert!(self.serving || self.draining > 0),
            Effect::Nothing => {}
        }
        Ok(())
    }
}

const EVENTS: [Event; 22] = [
    Event::Start,
    Event::Stop,
    Event::Restart,
    Event::Replace,
    Event::Adopt,
    Event::SpawnFailed { retry: Retry::Limited },
    Event::SpawnFailed { retry: Retry::Never },
    Event::Ready,
    Event::Alive,
    Event::Missed,
    Event::Heavy,
    Event::Exited { retry: Retry::Limited },
    Event::Exited { retry: Retry::Never },
    Event::Exited { retry: Retry::Always },
    Event::Exited { retry: Retry::Uncounted },
    Event::Gone,
    Event::NextNotSpawned,
    Event::NextReady,
    Event::NextExited,
    Event::Drained,
    Event::Slept,
    Event::Tick,
];

/// Generates events, and the seconds since the previous one. Indices instead of events, because they are generated
/// faster.
fn history(longest: usize) -> impl Strategy<Value = Vec<(usize, u64)>> {
    prop::collection::vec((0..EVENTS.len(), 0u64..20), 0..longest)
}

/// Returns whether a visible transition is permitted, as (e) of the design lists them.
fn is_legal(before: State, after: State, event: Event) -> bool {
    use Phase::{Error, Running, Starting, Stopped, Stopping};
    let (Some(from), Some(to)) = (before.phase(), after.phase()) else { return true };
    from == to
        || match (from, to) {
            (Stopped | Error, Starting) => {
                matches!(event, Event::Start | Event::Restart | Event::Replace | Event::Tick)
            }
            (Starting, Running) => event == Event::Ready,
            (Stopped, Running) => event == Event::Adopt,
            (Starting | Running, Stopping | Error) | (Stopping, Stopped | Starting | Error) => true,
            // A new generation that is not ready yet replaced a lost one.
            (Running, Starting) => matches!(event, Event::Exited { .. } | Event::Missed),
            (Error, Stopped | Stopping) => matches!(event, Event::Stop),
            _ => false,
        }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// For every sequence of events: only permitted transitions; never two serving processes; a correct count of
    /// draining ones; a deadline in every state that waits for an event; and no process at rest.
    #[test]
    fn i6_no_event_sequence_violates_the_invariants(script in history(50)) {
        let mut now = Instant::now();
        let mut machine = machine();
        let mut world = World::default();
        for (event, later) in script {
            let event = EVENTS[event];
            if !world.can(event, &machine) {
                continue;
            }
            now += Duration::from_secs(later);
            let before = machine.state();
            let effect = machine.on(event, now);
            let after = machine.state();
            world.suffer(event, effect)?;
            prop_assert!(is_legal(before, after, event), "{before:?} -{event:?}-> {after:?}");
            prop_assert_eq!(machine.draining, world.draining);
            prop_assert_eq!(after.is_handing_over() && world.next_generation, world.next_generation);
            match after {
                State::Stopped { .. } => prop_assert!(!world.serving && !world.next_generation && world.draining == 0),
                State::Failed | State::Backoff { .. } => prop_assert!(!world.serving && !world.next_generation),
                State::Starting { .. } | State::Stopping { .. } => prop_assert!(machine.deadline().is_some()),
                State::Running { .. } => prop_assert!(world.serving),
                State::Stuck { .. } => {}
            }
        }
    }

    /// The last command wins, whatever came before it, once every process that was asked to exit has ended.
    #[test]
    fn i7_the_last_command_wins(script in history(40), up in any::<bool>()) {
        let mut now = Instant::now();
        let mut machine = machine();
        let mut world = World::default();
        let last = if up { Event::Start } else { Event::Stop };
        for (event, later) in script.into_iter().map(|(event, later)| (EVENTS[event], later)).chain([(last, 0)]) {
            if world.can(event, &machine) {
                now += Duration::from_secs(later);
                let effect = machine.on(event, now);
                world.suffer(event, effect)?;
            }
        }
        // From here on every request to the outside world is fulfilled.
        for _ in 0..20 {
            let event = match machine.state() {
                State::Starting { .. } => Event::Ready,
                State::Stopping { stage: Stage::Asked, .. } => CRASH,
                State::Stopping { stage: Stage::Killed, .. } | State::Stuck { stage: Stage::Killed | Stage::Asked } => Event::Gone,
                State::Stopping { stage: Stage::Draining, .. } | State::Stuck { stage: Stage::Draining } => Event::Drained,
                _ => break,
            };
            let effect = machine.on(event, now);
            world.suffer(event, effect)?;
        }
        let end = machine.state();
        if up {
            // No process may be started beside a group that outlived SIGKILL.
            prop_assert!(matches!(end, State::Running { .. } | State::Failed), "{end:?}");
        } else {
            prop_assert!(matches!(end, State::Stopped { .. } | State::Failed), "{end:?}");
        }
    }
}

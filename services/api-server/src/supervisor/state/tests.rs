use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits =
    Limits { startup: Duration::from_secs(30), grace: Duration::from_secs(10), kill_wait: Duration::from_secs(2) };

const EVENTS: [Event; 8] = [
    Event::Start,
    Event::Stop,
    Event::Restart,
    Event::SpawnFailed,
    Event::Ready,
    Event::Exited,
    Event::Gone,
    Event::Tick,
];

/// Feeds events `at` seconds after the beginning and returns the effects and the last state.
fn play(script: &[(u64, Event)]) -> (Vec<Effect>, State) {
    let begin = Instant::now();
    let mut machine = Machine::new(LIMITS);
    let effects = script.iter().map(|(at, event)| machine.on(*event, begin + Duration::from_secs(*at))).collect();
    (effects, machine.state())
}

#[test]
fn a_quiet_life() {
    let (effects, end) =
        play(&[(0, Event::Start), (1, Event::Ready), (5, Event::Stop), (6, Event::Exited), (6, Event::Gone)]);
    assert_eq!(effects, [Effect::Spawn, Effect::Nothing, Effect::Terminate, Effect::Kill, Effect::Nothing]);
    assert_eq!(end, State::Stopped { forced: false });
}

#[test]
fn never_ready_is_killed_and_failed() {
    let (effects, end) =
        play(&[(0, Event::Start), (29, Event::Tick), (30, Event::Tick), (30, Event::Exited), (30, Event::Gone)]);
    assert_eq!(effects, [Effect::Spawn, Effect::Nothing, Effect::Kill, Effect::Kill, Effect::Nothing]);
    assert_eq!(end, State::Failed(Fault::NeverReady));
}

#[test]
fn an_end_that_was_not_asked_for_is_a_failure() {
    assert_eq!(play(&[(0, Event::Start), (1, Event::Exited), (1, Event::Gone)]).1, State::Failed(Fault::ExitedEarly));
    let crash = [(0, Event::Start), (1, Event::Ready), (9, Event::Exited), (9, Event::Gone)];
    assert_eq!(play(&crash).1, State::Failed(Fault::Crashed));
    assert_eq!(play(&[(0, Event::Start), (0, Event::SpawnFailed)]).1, State::Failed(Fault::NotSpawned));
}

#[test]
fn sigterm_ignored_is_killed_after_the_grace() {
    let (effects, end) = play(&[
        (0, Event::Start),
        (1, Event::Ready),
        (2, Event::Stop),
        (11, Event::Tick),
        (12, Event::Tick),
        (12, Event::Exited),
        (12, Event::Gone),
    ]);
    assert_eq!(effects[3..5], [Effect::Nothing, Effect::Kill]);
    assert_eq!(end, State::Stopped { forced: true });
}

#[test]
fn a_start_during_a_stop_spawns_only_after_the_group_is_gone() {
    let (effects, end) = play(&[
        (0, Event::Start),
        (1, Event::Ready),
        (2, Event::Stop),
        (3, Event::Start),
        (4, Event::Exited),
        (4, Event::Gone),
    ]);
    assert_eq!(effects[3..], [Effect::Nothing, Effect::Kill, Effect::Spawn]);
    assert!(matches!(end, State::Starting { .. }));
}

#[test]
fn the_last_command_during_a_stop_wins() {
    let script = [
        (0, Event::Start),
        (1, Event::Stop),
        (1, Event::Start),
        (1, Event::Restart),
        (1, Event::Stop),
        (2, Event::Exited),
        (2, Event::Gone),
    ];
    assert_eq!(play(&script).1, State::Stopped { forced: false });
}

#[test]
fn a_group_that_survives_sigkill_blocks_every_start() {
    let script = [
        (0, Event::Start),
        (1, Event::Ready),
        (2, Event::Stop),
        (12, Event::Tick),
        (14, Event::Tick),
        (15, Event::Start),
        (16, Event::Restart),
    ];
    let (effects, end) = play(&script);
    assert_eq!(end, State::Stuck);
    assert_eq!(effects[5..], [Effect::Nothing, Effect::Nothing]);
}

#[test]
fn a_burial_is_not_shown_before_it_is_over() {
    let begin = Instant::now();
    let mut machine = Machine::new(LIMITS);
    machine.on(Event::Start, begin);
    machine.on(Event::Exited, begin);
    assert_eq!(machine.state().phase(), None);
    machine.on(Event::Gone, begin);
    assert_eq!(machine.state().phase(), Some(Phase::Error));
}

proptest! {
    /// Whatever happens in whatever order: no spawn while a process may be alive, and every spawn is followed by a
    /// state with a deadline, so that no state can be waited in for ever.
    #[test]
    fn never_two_processes(script in prop::collection::vec((0usize..EVENTS.len(), 0u64..20), 0..60)) {
        let mut now = Instant::now();
        let mut machine = Machine::new(LIMITS);
        let mut alive = false;
        for (event, later) in script {
            let event = EVENTS[event];
            // The world is consistent: processes that do not exist report nothing, and those that do were spawned.
            match event {
                Event::Ready | Event::Exited | Event::Gone if !alive => continue,
                Event::SpawnFailed => continue,
                _ => {}
            }
            // A group is reported empty only after it was on its way out.
            if event == Event::Gone && !matches!(machine.state(), State::Stopping { .. } | State::Stuck) {
                continue;
            }
            now += Duration::from_secs(later);
            if event == Event::Gone {
                alive = false;
            }
            let effect = machine.on(event, now);
            if effect == Effect::Spawn {
                prop_assert!(!alive, "spawned beside a living process");
                prop_assert!(machine.deadline().is_some());
                alive = true;
            }
            if matches!(machine.state(), State::Stopped { .. } | State::Failed(_)) {
                prop_assert!(!alive, "{:?} with a living process", machine.state());
            }
        }
    }
}

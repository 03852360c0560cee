mod histories;

use std::time::Duration;

use super::*;
use crate::supervisor::Phase;

const CRASH: Event = Event::Exited { retry: Retry::Limited };

fn limits() -> Limits {
    Limits { restart_delay: Duration::from_secs(1), ..Limits::default() }
}

fn machine() -> Machine {
    Machine::new(limits(), 7)
}

/// Applies events `at` seconds after the beginning, and returns the effects and the last state.
fn play(script: &[(u64, Event)]) -> (Vec<Effect>, State) {
    let begin = Instant::now();
    let mut machine = machine();
    let effects = script.iter().map(|(at, event)| machine.on(*event, begin + Duration::from_secs(*at))).collect();
    (effects, machine.state())
}

/// Starts the child, or lets the back-off pass, and crashes it after it has been ready for `after`.
fn crash_once(machine: &mut Machine, now: &mut Instant, after: Duration) {
    match machine.state() {
        State::Backoff { until } => {
            *now = until;
            assert_eq!(machine.on(Event::Tick, *now), Effect::Spawn);
        }
        _ => assert_eq!(machine.on(Event::Start, *now), Effect::Spawn),
    }
    machine.on(Event::Ready, *now);
    *now += after;
    for event in [CRASH, Event::Gone] {
        machine.on(event, *now);
    }
}

#[test]
fn a_child_starts_runs_and_stops() {
    let (effects, end) = play(&[(0, Event::Start), (1, Event::Ready), (5, Event::Stop), (6, CRASH), (6, Event::Gone)]);
    assert_eq!(effects, [Effect::Spawn, Effect::Nothing, Effect::Terminate, Effect::Kill, Effect::Nothing]);
    assert_eq!(end, State::Stopped { forced: false });
}

#[test]
fn fc_16_a_child_that_is_never_ready_is_killed_and_retried() {
    let (effects, end) =
        play(&[(0, Event::Start), (29, Event::Tick), (30, Event::Tick), (30, CRASH), (30, Event::Gone)]);
    assert_eq!(effects, [Effect::Spawn, Effect::Nothing, Effect::Kill, Effect::Kill, Effect::Nothing]);
    assert!(matches!(end, State::Backoff { .. }), "{end:?}");
}

#[test]
fn fc_18_an_unexpected_exit_is_a_failure_and_is_restarted() {
    let early = play(&[(0, Event::Start), (1, CRASH), (1, Event::Gone)]).1;
    let crash = play(&[(0, Event::Start), (1, Event::Ready), (9, CRASH), (9, Event::Gone)]).1;
    for end in [early, crash] {
        assert!(matches!(end, State::Backoff { .. }), "{end:?}");
    }
    let (effects, end) = play(&[(0, Event::Start), (1, CRASH), (1, Event::Gone), (9, Event::Tick)]);
    assert_eq!(effects.last(), Some(&Effect::Spawn));
    assert!(matches!(end, State::Starting { .. }));
}

#[test]
fn fc_19_the_eighth_consecutive_failure_is_final() {
    let (mut machine, mut now) = (machine(), Instant::now());
    for failure in 1..=8 {
        crash_once(&mut machine, &mut now, Duration::from_secs(1));
        assert_eq!(machine.failures(), failure);
        assert_eq!(machine.state() == State::Failed, failure == 8, "{failure}");
    }
    assert_eq!(machine.on(Event::Start, now), Effect::Spawn, "a command may start it again");
    assert_eq!(machine.failures(), 0);
}

#[test]
fn fc_19_delays_double() {
    let (mut machine, mut now) = (machine(), Instant::now());
    let mut longest = Duration::ZERO;
    for failure in 1..=5 {
        crash_once(&mut machine, &mut now, Duration::from_secs(1));
        let State::Backoff { until } = machine.state() else { panic!("{failure}") };
        assert!(until - now > longest, "{failure}");
        longest = until - now;
    }
}

#[test]
fn fc_20_one_minute_of_readiness_resets_the_failure_count() {
    let (mut machine, mut now) = (machine(), Instant::now());
    for _ in 1..=8 {
        crash_once(&mut machine, &mut now, Duration::from_secs(59));
    }
    assert_eq!(machine.state(), State::Failed);

    let mut machine = self::machine();
    for _ in 0..50 {
        crash_once(&mut machine, &mut now, Duration::from_secs(60));
        assert_eq!(machine.failures(), 1);
    }
}

#[test]
fn fc_21_a_permanent_failure_is_not_retried() {
    let bad = Event::Exited { retry: Retry::Never };
    assert_eq!(play(&[(0, Event::Start), (1, bad), (1, Event::Gone)]).1, State::Failed);
    assert_eq!(play(&[(0, Event::Start), (0, Event::SpawnFailed { retry: Retry::Never })]).1, State::Failed);
    let passing = play(&[(0, Event::Start), (0, Event::SpawnFailed { retry: Retry::Limited })]).1;
    assert!(matches!(passing, State::Backoff { .. }), "{passing:?}");
}

#[test]
fn a_port_in_use_is_retried_without_limit_and_with_growing_delay() {
    let (mut machine, mut now) = (machine(), Instant::now());
    machine.on(Event::Start, now);
    let mut delays = Vec::new();
    for failures in 1..=50 {
        machine.on(Event::SpawnFailed { retry: Retry::Always }, now);
        assert_eq!(machine.failures(), failures);
        let State::Backoff { until } = machine.state() else { panic!("{:?}", machine.state()) };
        assert!(machine.state().retry_at().is_some(), "it is not reported");
        delays.push(until - now);
        now = until;
        assert_eq!(machine.on(Event::Tick, now), Effect::Spawn);
    }
    assert!(delays[40] > delays[0] * 10 && delays[40] <= limits().restart_delay_max * 2, "{delays:?}");
    machine.on(Event::Exited { retry: Retry::Always }, now);
    machine.on(Event::Gone, now);
    assert!(matches!(machine.state(), State::Backoff { .. }), "a child that detects it itself");
    assert_eq!(machine.on(Event::Start, now), Effect::Spawn);
    machine.on(Event::Ready, now);
    assert!(matches!(machine.state(), State::Running { .. }));
}

#[test]
fn an_exit_requested_by_another_process_is_not_a_failure() {
    let left = Event::Exited { retry: Retry::Uncounted };
    let (mut machine, mut now) = (machine(), Instant::now());
    machine.on(Event::Start, now);
    for _ in 0..50 {
        machine.on(Event::Ready, now);
        assert_eq!(machine.on(left, now), Effect::Kill);
        machine.on(Event::Gone, now);
        assert_eq!(machine.failures(), 0);
        let State::Backoff { until } = machine.state() else { panic!("{:?}", machine.state()) };
        assert!(until - now <= limits().restart_delay * 2);
        now = until;
        assert_eq!(machine.on(Event::Tick, now), Effect::Spawn);
    }
    // Before it is ready it cannot have been asked to exit.
    machine.on(left, now);
    machine.on(Event::Gone, now);
    assert_eq!(machine.failures(), 1);
    // Earlier failures still count.
    crash_once(&mut machine, &mut now, Duration::ZERO);
    let State::Backoff { until } = machine.state() else { panic!("{:?}", machine.state()) };
    machine.on(Event::Tick, until);
    machine.on(Event::Ready, until);
    machine.on(left, until);
    machine.on(Event::Gone, until);
    assert_eq!(machine.failures(), 2);
}

#[test]
fn fc_26_an_ignored_sigterm_is_followed_by_sigkill() {
    let (effects, end) = play(&[
        (0, Event::Start),
        (1, Event::Ready),
        (2, Event::Stop),
        (11, Event::Tick),
        (12, Event::Tick),
        (12, CRASH),
        (12, Event::Gone),
    ]);
    assert_eq!(effects[3..5], [Effect::Nothing, Effect::Kill]);
    assert_eq!(end, State::Stopped { forced: true });
}

#[test]
fn fc_24_a_start_during_a_stop_waits_for_the_process_group_to_exit() {
    let (effects, end) = play(&[
        (0, Event::Start),
        (1, Event::Ready),
        (2, Event::Stop),
        (3, Event::Start),
        (4, CRASH),
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
        (2, CRASH),
        (2, Event::Gone),
    ];
    assert_eq!(play(&script).1, State::Stopped { forced: false });
}

#[test]
fn fc_27_a_group_that_survives_sigkill_blocks_every_start() {
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
    assert!(matches!(end, State::Stuck { .. }));
    assert_eq!(effects[5..], [Effect::Nothing, Effect::Nothing]);
}

#[test]
fn a_stop_is_not_reported_before_the_group_has_exited() {
    let begin = Instant::now();
    let mut machine = machine();
    machine.on(Event::Start, begin);
    machine.on(CRASH, begin);
    assert_eq!(machine.state().phase(), None);
    machine.on(Event::Gone, begin);
    assert_eq!(machine.state().phase(), Some(Phase::Error));
}

#[test]
fn fc_28_three_failed_health_checks_cause_a_restart_and_two_do_not() {
    let start = [(0, Event::Start), (1, Event::Ready), (3, Event::Missed), (5, Event::Missed)];
    let (_, degraded) = play(&start);
    assert!(!degraded.is_healthy() && degraded.phase() == Some(Phase::Running));
    let well = [&start[..], &[(7, Event::Alive), (9, Event::Missed), (11, Event::Missed)]].concat();
    assert_eq!(play(&well).1.phase(), Some(Phase::Running));
    let (effects, end) = play(&[&start[..], &[(7, Event::Missed), (8, CRASH), (8, Event::Gone)]].concat());
    assert_eq!(effects[4], Effect::Terminate);
    assert!(matches!(end, State::Backoff { .. }), "{end:?}");
}

#[test]
fn fc_32_after_a_suspend_one_failed_health_check_is_ignored() {
    let missed = |times: usize| vec![(3, Event::Missed); times];
    let slept = [(0, Event::Start), (1, Event::Ready), (3, Event::Slept)];
    let (_, state) = play(&[&slept[..], &missed(1)].concat());
    assert!(state.is_healthy());
    let (effects, _) = play(&[&slept[..], &missed(4)].concat());
    assert_eq!(effects.last(), Some(&Effect::Terminate), "forgiven once");
    let later = [&slept[..], &[(14, Event::Missed)]].concat();
    assert!(!play(&later).1.is_healthy(), "ignored for a while");
}

#[test]
fn a_new_generation_is_ready_before_the_old_one_drains() {
    let up = [(0, Event::Start), (1, Event::Ready), (2, Event::Restart)];
    let (effects, state) = play(&[&up[..], &[(3, Event::NextReady), (9, Event::Drained)]].concat());
    assert_eq!(effects[2..], [Effect::SpawnNext, Effect::TakeOver, Effect::Nothing]);
    assert!(!state.is_handing_over() && state.phase() == Some(Phase::Running));
}

#[test]
fn a_failed_new_generation_is_dropped_and_the_old_one_stays() {
    let up = [(0, Event::Start), (1, Event::Ready), (2, Event::Restart)];
    for bad in [(3, Event::NextExited), (32, Event::Tick)] {
        let (effects, state) = play(&[&up[..], &[bad, (33, Event::Drained)]].concat());
        assert_eq!(effects[3], Effect::DropNext);
        assert!(!state.is_handing_over() && state.is_healthy(), "{state:?}");
    }
    let (_, state) = play(&[&up[..], &[(2, Event::NextNotSpawned)]].concat());
    assert!(!state.is_handing_over() && state.is_healthy());
}

#[test]
fn a_new_generation_replaces_an_old_one_that_crashed() {
    let up = [(0, Event::Start), (1, Event::Ready), (2, Event::Restart)];
    let (effects, state) = play(&[&up[..], &[(3, CRASH), (4, Event::Ready)]].concat());
    assert_eq!(effects[3], Effect::Promote);
    assert_eq!(state.phase(), Some(Phase::Running));
}

#[test]
fn a_restart_during_a_handover_starts_another_handover() {
    let script = [
        (0, Event::Start),
        (1, Event::Ready),
        (2, Event::Restart),
        (3, Event::Restart),
        (4, Event::NextReady),
        (4, Event::Tick),
    ];
    let (effects, _) = play(&script);
    assert_eq!(effects[2..], [Effect::SpawnNext, Effect::Nothing, Effect::TakeOver, Effect::SpawnNext]);
}

#[test]
fn a_stop_completes_when_old_generations_have_exited() {
    let stopped = [
        (0, Event::Start),
        (1, Event::Ready),
        (2, Event::Restart),
        (3, Event::NextReady),
        (4, Event::Stop),
        (5, CRASH),
        (5, Event::Gone),
    ];
    assert_eq!(play(&stopped).1.phase(), Some(Phase::Stopping));
    assert_eq!(play(&[&stopped[..], &[(6, Event::Drained)]].concat()).1, State::Stopped { forced: false });
    let (effects, _) = play(&[&stopped[..], &[(6, Event::Start)]].concat());
    assert_eq!(effects.last(), Some(&Effect::Spawn), "no process listens any more");
}

#[test]
fn a_running_process_is_adopted_only_without_a_child() {
    let (effects, end) = play(&[(0, Event::Adopt), (1, Event::Adopt), (2, Event::Missed), (3, Event::Alive)]);
    assert_eq!(effects, [Effect::ServeAdopted, Effect::Nothing, Effect::Nothing, Effect::Nothing]);
    assert!(matches!(end, State::Running { misses: 0, .. }));
    let late = play(&[(0, Event::Start), (1, Event::Adopt)]);
    assert_eq!(late.0[1], Effect::Nothing);
    let gone = play(&[(0, Event::Adopt), (9, CRASH), (9, Event::Gone)]).1;
    assert!(matches!(gone, State::Backoff { .. }));
}

#[test]
fn a_child_over_its_memory_limit_serves_until_it_is_replaced() {
    let up = [(0, Event::Start), (1, Event::Ready), (40, Event::Heavy), (42, Event::Heavy)];
    let (effects, end) = play(&up);
    assert_eq!(effects[2..], [Effect::SpawnNext, Effect::Nothing]);
    assert!(matches!(end, State::Running { handover: Some(Handover::Rising { again: false, .. }), .. }));
    assert_eq!(play(&[(0, Event::Start), (1, Event::Heavy)]).0[1], Effect::Nothing);
}

#[test]
fn conflicting_sockets_are_closed_before_new_ones_are_bound() {
    let (effects, end) =
        play(&[(0, Event::Start), (1, Event::Ready), (2, Event::Replace), (3, CRASH), (4, Event::Gone)]);
    assert_eq!(effects[2..], [Effect::Terminate, Effect::Kill, Effect::Spawn]);
    assert!(matches!(end, State::Starting { .. }));
}

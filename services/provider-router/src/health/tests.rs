use super::*;

fn target() -> Arc<TargetHealth> {
    Arc::new(TargetHealth::new("p", "m"))
}

fn fail(target: &Arc<TargetHealth>, now: u64, times: u32) {
    for _ in 0..times {
        target.begin(now).failed(now);
    }
}

#[test]
fn five_failures_in_a_row_open_and_one_probe_closes() {
    let target = target();
    fail(&target, 1_000, 4);
    target.begin(1_000).completed(1_000);
    fail(&target, 1_000, 4);
    assert_eq!(target.blocked(1_000), None, "an answer in between starts the count afresh");
    fail(&target, 1_000, 1);
    let Some(Blocked::Open(until)) = target.blocked(1_000) else { panic!("open: {target:?}") };
    assert!((10_000..=12_000).contains(&until), "{until}");
    assert_eq!(target.blocked(until), None, "half-open");
    let probe = target.begin(until);
    assert!(probe.is_probe());
    assert_eq!(target.blocked(until), Some(Blocked::Probed));
    assert!(!target.begin(until).is_probe(), "only one");
    probe.answered(until + 5, Began::Unknown);
    drop(probe);
    assert_eq!((target.blocked(until + 5), target.state(until + 5)), (None, State::Closed));
    assert!(target.share(until + 5) < 0.2 && target.share(until + 40_000) >= 1.0);
}

#[test]
fn a_failed_probe_waits_longer_and_an_abandoned_one_frees_its_place() {
    let target = target();
    fail(&target, 1, 5);
    let mut now = target.blocked(1).unwrap().until();
    drop(target.begin(now));
    assert_eq!(target.blocked(now), None, "the client of the probe left");
    let mut waits = Vec::new();
    for _ in 0..20 {
        fail(&target, now, 1);
        let until = target.blocked(now).unwrap().until();
        waits.push(until - now);
        now = until;
    }
    assert!(waits[0] >= 9_000 && waits[19] >= 270_000, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 330_000), "{waits:?}");
    assert!(now > 600_000);
}

#[test]
fn failures_of_attempts_that_began_before_do_not_count() {
    let target = target();
    let late = target.begin(1);
    fail(&target, 2, 5);
    let until = target.blocked(2).unwrap().until();
    late.failed(5_000);
    assert_eq!(target.blocked(5_000).unwrap().until(), until);
    late.answered(5_001, Began::Token);
    assert_eq!(target.blocked(5_001).unwrap().until(), until, "nor do their answers");
}

#[test]
fn a_provider_that_asks_to_wait_is_left_alone_for_at_most_five_minutes() {
    let target = target();
    target.begin(10).put_aside(10, Duration::from_secs(2));
    assert_eq!(target.blocked(2_009), Some(Blocked::Aside(2_010)));
    assert_eq!(target.blocked(2_010), None);
    target.begin(10).put_aside(10, Duration::from_secs(u64::MAX));
    assert_eq!(target.blocked(11), Some(Blocked::Aside(300_010)));
    target.reset();
    assert_eq!(target.blocked(11), None);
}

#[test]
fn attempts_are_in_flight_until_they_are_dropped() {
    let target = target();
    let trials: Vec<Trial> = (0..3).map(|_| target.begin(1)).collect();
    assert_eq!(target.in_flight(), 3);
    drop(trials);
    assert_eq!(target.in_flight(), 0);
}

#[test]
fn fast_failures_count_as_slow_answers() {
    let target = target();
    assert_eq!((target.latency(1, true), target.latency(1, false)), (None, None));
    target.begin(1).failed(2);
    assert!([true, false].iter().all(|stream| target.latency(2, *stream).unwrap() >= 9_999.0));
}

#[test]
fn first_tokens_and_whole_answers_are_measured_apart() {
    let target = target();
    target.begin(1_000).answered(4_000, Began::Unknown);
    assert_eq!((target.latency(4_000, true), target.latency(4_000, false)), (None, None));
    target.begin(4_000).answered(4_200, Began::Token);
    target.begin(4_000).answered(34_000, Began::Whole);
    let (token, whole) = (target.latency(4_200, true).unwrap(), target.latency(34_000, false).unwrap());
    assert!((199.0..201.0).contains(&token) && (29_999.0..30_001.0).contains(&whole), "{token} {whole}");
}

#[test]
fn every_change_of_a_breaker_is_an_alert() {
    let alerts = Alerts::default();
    let target = Arc::new(TargetHealth::told("p", None, "", alerts.clone()));
    fail(&target, 1, 5);
    let mut heard = alerts.listen();
    let mut states = || {
        let mut states = Vec::new();
        while let Ok(alert) = heard.try_recv() {
            let Alert::Breaker(change) = &*alert else { panic!("{alert:?}") };
            assert_eq!((&*change.provider_id, &change.model), ("p", &None));
            states.push((change.state, change.cooldown_ms.is_some()));
        }
        states
    };
    assert_eq!(states(), [], "nobody listened when it opened");
    let mut until = target.blocked(1).unwrap().until();
    fail(&target, until, 1);
    assert_eq!(states(), [(BreakerState::HalfOpen, false), (BreakerState::Open, true)]);
    until = target.blocked(until).unwrap().until();
    target.begin(until).answered(until, Began::Whole);
    assert_eq!(states(), [(BreakerState::HalfOpen, false), (BreakerState::Closed, false)]);
    for _ in 0..100 {
        target.begin(until).put_aside(until, Duration::from_secs(2));
    }
    assert_eq!(states(), [(BreakerState::Ejected, true)], "told once, however many requests were refused");
    target.begin(until + 2_000).put_aside(until + 2_000, Duration::from_secs(2));
    assert_eq!(states(), [(BreakerState::Ejected, true)], "asked to wait again");
    target.begin(until).completed(until);
    assert_eq!(states(), []);
}

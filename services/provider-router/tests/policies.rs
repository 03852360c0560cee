//! `latency` against `round-robin`, where one of four targets becomes slow, fails or refuses.

#[path = "../examples/policies/simulation.rs"]
mod simulation;

use signalbox_core::schema::RoutePolicy;

use self::simulation::{DISTURBED, LENGTH, Run, Scenario, run};

const SEEDS: [u64; 5] = [1, 2, 3, 42, 1_000];

/// Returns the runs of both policies with each seed.
fn runs(scenario: Scenario) -> Vec<(Run, Run)> {
    let both = |seed| (run(scenario, RoutePolicy::RoundRobin, seed), run(scenario, RoutePolicy::Latency, seed));
    SEEDS.into_iter().map(both).collect()
}

#[test]
fn runs_are_repeatable_and_complete() {
    // Cool-downs of breakers differ by chance, but nothing fails here.
    let [one, other] = [(); 2].map(|()| run(Scenario::LatencyStep, RoutePolicy::Latency, 7));
    assert_eq!(one.answers, other.answers);
    // A Poisson process with 20 requests a second for 300 s: 6,000 requests, within 5 standard deviations.
    assert!((5_600..6_400).contains(&one.answers.len()), "{}", one.answers.len());
    assert_eq!(one.failures, 0, "there is always another target");
}

#[test]
fn without_a_disturbance_both_are_equally_fast() {
    for scenario in Scenario::ALL {
        for (round_robin, latency) in runs(scenario) {
            let before = |run: &Run| run.mean((10_000, DISTURBED.0));
            let ratio = before(&latency) / before(&round_robin);
            assert!((0.8..1.2).contains(&ratio), "{}: {ratio}", scenario.title());
        }
    }
}

#[test]
fn a_slow_target_is_left_by_latency_and_not_by_round_robin() {
    for (round_robin, latency) in runs(Scenario::LatencyStep) {
        let (slow, fast) = (round_robin.quantile(0.95, DISTURBED).unwrap(), latency.quantile(0.95, DISTURBED).unwrap());
        assert!(slow > 2_000.0 && fast < slow / 2.0, "95th percentile: {slow} against {fast} ms");
        let (slow, fast) = (round_robin.mean(DISTURBED), latency.mean(DISTURBED));
        assert!(fast < slow * 0.6, "mean: {slow} against {fast} ms");
        // It is not forgotten: some requests notice when it has recovered.
        assert!(
            latency.by_disturbed > 0 && latency.by_disturbed * 5 < round_robin.by_disturbed,
            "{}",
            latency.by_disturbed
        );
    }
}

#[test]
fn a_target_that_fails_often_is_left_by_both_and_earlier_by_latency() {
    for (round_robin, latency) in runs(Scenario::BrownOut) {
        assert!(
            latency.failed_attempts * 2 < round_robin.failed_attempts,
            "{} against {}",
            latency.failed_attempts,
            round_robin.failed_attempts
        );
        assert!(latency.mean(DISTURBED) < round_robin.mean(DISTURBED));
    }
}

#[test]
fn waves_of_refusals_are_waited_for_under_both_policies() {
    for (round_robin, latency) in runs(Scenario::RateLimitWaves) {
        for run in [&round_robin, &latency] {
            // A quarter of the requests of these 60 s would be refused if nothing waited: 300.
            assert!(run.failed_attempts < 150, "{} refusals", run.failed_attempts);
        }
        let ratio = latency.mean(DISTURBED) / round_robin.mean(DISTURBED);
        assert!(ratio < 1.1, "{ratio}");
    }
}

#[test]
fn the_recovered_target_is_used_again() {
    for scenario in Scenario::ALL {
        for (round_robin, latency) in runs(scenario) {
            let after = (LENGTH - 60_000, LENGTH);
            let ratio = latency.mean(after) / round_robin.mean(after);
            assert!((0.8..1.2).contains(&ratio), "{}: {ratio}", scenario.title());
        }
    }
}

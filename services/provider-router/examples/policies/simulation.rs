//! A simulation of routing policies: requests, planned by the router's own plan and health, against targets whose times
//! and failures follow a scenario. The clock is given, and the random numbers are seeded, so that runs
//! are repeatable, but for the cool-downs of breakers.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use provider_router::{
    catalog::Snapshot,
    health::{Began, Trial},
    metrics::Metrics,
    random::Rng,
    route::{Candidate, RequestFacts, plan},
};
use signalbox_core::{
    schema::{Provider, Route, RoutePlan, RoutePolicy, RouteTarget},
    secret::Secret,
};
use signalbox_store::{Sealer, catalog::Catalog};
use signalbox_upstream::AddressPolicy;

/// Length of a run in milliseconds, and the interval in which the scenario disturbs a target.
pub(crate) const LENGTH: u64 = 300_000;
pub(crate) const DISTURBED: (u64, u64) = (60_000, 180_000);
/// Requests per second.
const RATE: f64 = 20.0;
/// The targets; the scenario disturbs the first one.
const TARGETS: [&str; 4] = ["a", "b", "c", "d"];
/// Usual time to the first token, and the time from it to the end of the answer, in milliseconds.
const FIRST_TOKEN: f64 = 300.0;
const STREAM: f64 = 2_000.0;
/// Requests in flight that double the time of a target.
const CAPACITY: f64 = 40.0;

/// Disturbance of the first target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Its first token takes ten times as long.
    LatencyStep,
    /// Half of its requests fail, after a second.
    BrownOut,
    /// It refuses all requests with 429 and `Retry-After: 2` for 10 of every 20 seconds.
    RateLimitWaves,
}

/// The answers of a run, each with its arrival and the time to its first token in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) answers: Vec<(u64, f64)>,
    /// Requests for which all targets failed.
    pub(crate) failures: usize,
    /// Attempts that failed.
    pub(crate) failed_attempts: usize,
    /// Requests that the first target answered while it was disturbed.
    pub(crate) by_disturbed: usize,
}

/// An event of the simulation.
enum Event {
    Arrival,
    /// The head of an answer, or a failure.
    Answer {
        request: Request,
        is_good: bool,
    },
    /// The end of an answer.
    End {
        trial: Trial,
    },
}

/// A request, and its current attempt.
struct Request {
    arrived: u64,
    left: Vec<Candidate>,
    trial: Trial,
    target: usize,
}

/// The events, in the order of their times.
#[derive(Default)]
struct Queue {
    times: BinaryHeap<Reverse<(u64, usize)>>,
    events: Vec<Option<Event>>,
}

// === impl Scenario ===

impl Scenario {
    pub(crate) const ALL: [Self; 3] = [Self::LatencyStep, Self::BrownOut, Self::RateLimitWaves];

    /// Returns the title of its plot.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::LatencyStep => "Latency step (×10)",
            Self::BrownOut => "Brown-out (half fail)",
            Self::RateLimitWaves => "429 waves (10 of 20 s)",
        }
    }

    /// Returns how long a target takes at a time, and whether it answers.
    fn attempt(self, target: usize, now: u64, in_flight: u32, rng: &mut Rng) -> (f64, bool) {
        let spread = 0.7 + 0.6 * rng.unit();
        let usual = FIRST_TOKEN * spread * (1.0 + f64::from(in_flight) / CAPACITY);
        if target != 0 || !(DISTURBED.0..DISTURBED.1).contains(&now) {
            return (usual, true);
        }
        match self {
            Self::LatencyStep => (usual * 10.0, true),
            Self::BrownOut if rng.unit() < 0.5 => (1_000.0 * spread, false),
            Self::RateLimitWaves if now % 20_000 < 10_000 => (150.0 * spread, false),
            Self::BrownOut | Self::RateLimitWaves => (usual, true),
        }
    }

    /// Returns the wait that a failure asks for.
    const fn wait(self) -> Option<std::time::Duration> {
        match self {
            Self::RateLimitWaves => Some(std::time::Duration::from_secs(2)),
            Self::LatencyStep | Self::BrownOut => None,
        }
    }
}

// === impl Queue ===

impl Queue {
    fn push(&mut self, at: u64, event: Event) {
        self.times.push(Reverse((at, self.events.len())));
        self.events.push(Some(event));
    }

    fn pop(&mut self) -> Option<(u64, Event)> {
        let Reverse((at, place)) = self.times.pop()?;
        Some((at, self.events.get_mut(place)?.take()?))
    }
}

// === impl Run ===

impl Run {
    /// Returns a quantile of the times to the first token of the requests that arrived in an interval.
    pub(crate) fn quantile(&self, share: f64, (from, to): (u64, u64)) -> Option<f64> {
        let mut times: Vec<f64> =
            self.answers.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, time)| *time).collect();
        times.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "some thousand")]
        let place = share * times.len().saturating_sub(1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        times.get(place.round() as usize).copied()
    }

    /// Returns the mean time to the first token of the requests that arrived in an interval.
    pub(crate) fn mean(&self, (from, to): (u64, u64)) -> f64 {
        let times = self.answers.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, time)| *time);
        let (sum, count) = times.fold((0.0, 0.0), |(sum, count), time| (sum + time, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    }
}

/// Returns a catalogue with one route over all targets.
fn snapshot(policy: RoutePolicy) -> Snapshot {
    let provider = |id: &str| Provider {
        id: id.to_owned(),
        name: id.to_owned(),
        kind: "echo".to_owned(),
        enabled: true,
        priority: 0,
        description: None,
        created_at: 0,
        updated_at: 0,
    };
    let target = |id: &str| RouteTarget { provider: id.to_owned(), model: "m".to_owned(), ..RouteTarget::default() };
    let plan = RoutePlan { policy, targets: TARGETS.map(target).into(), ..RoutePlan::default() };
    let catalog = Catalog {
        version: 1,
        providers: TARGETS.map(|id| (provider(id), Vec::new(), Vec::new())).into(),
        models: Vec::new(),
        lists: Vec::new(),
        settings: Vec::new(),
        prices: None,
        imported_prices: None,
        routes: vec![Route {
            id: "r".to_owned(),
            model: "r".to_owned(),
            enabled: true,
            plan,
            created_at: 0,
            updated_at: 0,
        }],
        keys: Vec::new(),
    };
    Snapshot::new(catalog, &Sealer::new(&Secret::new([0; 32])), &AddressPolicy::default(), &Metrics::default(), None)
}

/// Runs a scenario under a policy.
pub(crate) fn run(scenario: Scenario, policy: RoutePolicy, seed: u64) -> Run {
    let snapshot = snapshot(policy);
    let (mut rng, mut queue, mut run) = (Rng::new(seed), Queue::default(), Run::default());
    queue.push(1, Event::Arrival);
    while let Some((now, event)) = queue.pop() {
        match event {
            Event::Arrival => {
                let gap = -(1.0 - rng.unit()).ln() * 1_000.0 / RATE;
                let next = now + rounded(gap).max(1);
                if next < LENGTH {
                    queue.push(next, Event::Arrival);
                }
                let facts = RequestFacts {
                    model: Some("r"),
                    session: None,
                    body: b"{}",
                    unix_ms: 0,
                    overrides: None,
                    owner: None,
                    stream: true,
                    takes_turn: true,
                };
                let Ok(plan) = plan(&snapshot, &facts, None, now, &mut rng) else { continue };
                let mut left = plan.candidates;
                left.reverse();
                try_next(scenario, (now, now), left, &mut queue, &mut rng, &mut run);
            }
            Event::Answer { request, is_good: true } => {
                request.trial.answered(now, Began::Token);
                #[expect(clippy::cast_precision_loss, reason = "some minutes in milliseconds")]
                run.answers.push((request.arrived, (now - request.arrived) as f64));
                let is_disturbed = request.target == 0 && (DISTURBED.0..DISTURBED.1).contains(&request.arrived);
                run.by_disturbed += usize::from(is_disturbed);
                queue.push(now + rounded(STREAM), Event::End { trial: request.trial });
            }
            Event::Answer { request, is_good: false } => {
                run.failed_attempts += 1;
                request.trial.failed_for(now, scenario.wait());
                drop(request.trial);
                try_next(scenario, (request.arrived, now), request.left, &mut queue, &mut rng, &mut run);
            }
            Event::End { trial } => trial.completed(now),
        }
    }
    run
}

/// Asks the next target of a request.
fn try_next(
    scenario: Scenario,
    (arrived, now): (u64, u64),
    mut left: Vec<Candidate>,
    queue: &mut Queue,
    rng: &mut Rng,
    run: &mut Run,
) {
    let Some(candidate) = left.pop() else {
        run.failures += 1;
        return;
    };
    let health = Arc::clone(&candidate.health);
    let (takes, is_good) = scenario.attempt(candidate.target, now, health.in_flight(), rng);
    let request = Request { arrived, left, trial: health.begin(now), target: candidate.target };
    queue.push(now + rounded(takes).max(1), Event::Answer { request, is_good });
}

fn rounded(millis: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number of milliseconds")]
    let millis = millis.round() as u64;
    millis
}

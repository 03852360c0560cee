//! `metrics:tick`: what the router does, once a second.
//!
//! The router counts; the rates are differences between two looks at its counters. All subscribers share one look.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_management::live::{Activity, Latency, ProviderActivity};
use tokio::time::Instant;

use super::payload;
use super::room::Topic;
use crate::app::App;

/// The events.
pub(super) const METRICS: Topic = Topic {
    subscribe: "metrics:subscribe",
    unsubscribe: "metrics:unsubscribe",
    event: "metrics:tick",
    error: "metrics:error",
    path: "/api/metrics/series",
    period: Duration::from_secs(1),
};

/// Maximum time between two looks whose difference is a rate. A longer pause means that there were no subscribers.
const MAX_GAP: Duration = Duration::from_secs(5);
/// Number of requests whose times are shown.
const LATENCIES: usize = 20;

/// The previous look at the counters.
#[derive(Debug, Default)]
pub(super) struct Ticker(Mutex<Option<Look>>);

/// Counters of all router processes, by their instance.
#[derive(Clone, Debug)]
struct Look {
    at: Instant,
    counts: HashMap<String, Counts>,
}

/// Counters of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    requests: u64,
    errors: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
}

// === impl Ticker ===

impl Ticker {
    /// Asks the router, and returns the event.
    pub(super) async fn tick(&self, app: App) -> Value {
        let activity = app.router.activity().await;
        self.event(&activity, Instant::now())
    }

    fn event(&self, activity: &[Activity], now: Instant) -> Value {
        let counts = activity.iter().map(|process| (process.instance.clone(), Counts::of(process))).collect();
        let look = (!activity.is_empty()).then_some(Look { at: now, counts });
        let mut before = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rates = look.as_ref().zip(before.as_ref()).and_then(|(look, before)| look.since(before));
        *before = look;
        drop(before);
        let rate = |count: fn(&Counts) -> u64| rates.map(|(sum, seconds)| per_second(count(&sum), seconds));
        let known = |total: u64| (!activity.is_empty()).then_some(total);
        json!({
            "router": !activity.is_empty(),
            "in_flight": known(activity.iter().map(|process| process.in_flight).sum()),
            "requests_per_s": rate(|sum| sum.requests),
            "errors_per_s": rate(|sum| sum.errors),
            "tokens_per_s": rate(|sum| sum.prompt_tokens + sum.completion_tokens),
            "prompt_tokens_per_s": rate(|sum| sum.prompt_tokens),
            "completion_tokens_per_s": rate(|sum| sum.completion_tokens),
            "latencies": latencies(activity),
            "providers": providers(activity),
            "timestamp": payload::timestamp(),
        })
    }
}

// === impl Look ===

impl Look {
    /// Returns what has been counted since an earlier look, and the seconds between both; `None` after too long a time.
    fn since(&self, before: &Self) -> Option<(Counts, f64)> {
        let elapsed = self.at.saturating_duration_since(before.at);
        if elapsed.is_zero() || elapsed > MAX_GAP {
            return None;
        }
        // A process that has started since then has counted from zero.
        let sum = self.counts.iter().fold(Counts::default(), |sum, (instance, counts)| {
            sum.plus(counts.minus(before.counts.get(instance).copied().unwrap_or_default()))
        });
        Some((sum, elapsed.as_secs_f64()))
    }
}

// === impl Counts ===

impl Counts {
    const fn of(process: &Activity) -> Self {
        Self {
            requests: process.requests,
            errors: process.errors,
            prompt_tokens: process.prompt_tokens,
            completion_tokens: process.completion_tokens,
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            errors: self.errors.saturating_add(other.errors),
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
        }
    }

    const fn minus(self, before: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            errors: self.errors.saturating_sub(before.errors),
            prompt_tokens: self.prompt_tokens.saturating_sub(before.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_sub(before.completion_tokens),
        }
    }
}

/// Returns a rate with two decimals.
#[expect(clippy::cast_precision_loss, reason = "counts of a second are small")]
fn per_second(count: u64, seconds: f64) -> f64 {
    (count as f64 / seconds * 100.0).round() / 100.0
}

/// Returns the times of the requests that ended last, the newest last within each process.
fn latencies(activity: &[Activity]) -> Vec<Latency> {
    let each = LATENCIES / activity.len().max(1);
    let newest = |process: &Activity| {
        let skip = process.latencies.len().saturating_sub(each.max(1));
        process.latencies.iter().skip(skip).copied().collect::<Vec<_>>()
    };
    activity.iter().flat_map(newest).collect()
}

/// Returns the state of each provider. Of several processes, the one with the most trouble counts.
fn providers(activity: &[Activity]) -> Vec<ProviderActivity> {
    let mut providers: BTreeMap<&str, ProviderActivity> = BTreeMap::new();
    for provider in activity.iter().flat_map(|process| &process.providers) {
        providers
            .entry(&provider.id)
            .and_modify(|known| {
                known.healthy &= provider.healthy;
                known.breaker = known.breaker.max(provider.breaker);
                known.cooldown_ms = known.cooldown_ms.max(provider.cooldown_ms);
                known.in_flight += provider.in_flight;
            })
            .or_insert_with(|| provider.clone());
    }
    providers.into_values().collect()
}

#[cfg(test)]
mod tests {
    use signalbox_management::live::Breaker;

    use super::*;

    fn process(instance: &str, requests: u64) -> Activity {
        let provider = ProviderActivity {
            id: "p".to_owned(),
            healthy: instance != "b",
            breaker: if instance == "b" { Breaker::Open } else { Breaker::Closed },
            cooldown_ms: (instance == "b").then_some(500),
            in_flight: 2,
        };
        let latencies = (0..32).map(|n| Latency { duration_ms: n, first_byte_ms: None }).collect();
        Activity {
            instance: instance.to_owned(),
            in_flight: 2,
            requests,
            errors: requests / 10,
            prompt_tokens: requests * 3,
            completion_tokens: requests * 2,
            latencies,
            providers: vec![provider],
            ..Activity::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_differences_between_two_looks() {
        let ticker = Ticker::default();
        let first = ticker.event(&[process("a", 100)], Instant::now());
        assert_eq!((&first["router"], &first["in_flight"]), (&json!(true), &json!(2)));
        assert_eq!(first["requests_per_s"], Value::Null, "nothing is known about the time before");
        assert_eq!(first["latencies"].as_array().map(Vec::len), Some(20));
        assert_eq!(first["latencies"][19]["duration_ms"], 31);
        tokio::time::advance(Duration::from_secs(2)).await;
        let second = ticker.event(&[process("a", 160)], Instant::now());
        for (name, rate) in [("requests", 30.0), ("errors", 3.0), ("tokens", 150.0), ("prompt_tokens", 90.0)] {
            assert_eq!(second[format!("{name}_per_s")], rate, "{name}");
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        let restarted = ticker.event(&[process("c", 7)], Instant::now());
        assert_eq!(restarted["requests_per_s"], 7.0, "a new process counts from zero");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(ticker.event(&[process("c", 900)], Instant::now())["requests_per_s"], Value::Null);
    }

    #[tokio::test]
    async fn without_a_router_nothing_is_known() {
        let event = Ticker::default().event(&[], Instant::now());
        assert_eq!((&event["router"], &event["in_flight"]), (&json!(false), &Value::Null));
        assert_eq!((&event["latencies"], &event["providers"]), (&json!([]), &json!([])));
    }

    #[tokio::test]
    async fn the_process_with_the_most_trouble_counts() {
        let event = Ticker::default().event(&[process("a", 1), process("b", 1)], Instant::now());
        let expected = json!([{"id": "p", "healthy": false, "breaker": "open", "cooldown_ms": 500, "in_flight": 4}]);
        assert_eq!((&event["providers"], &event["in_flight"]), (&expected, &json!(4)));
        assert_eq!(event["latencies"].as_array().map(Vec::len), Some(20));
    }
}

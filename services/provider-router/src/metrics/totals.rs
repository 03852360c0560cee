//! Running totals of all requests, from which rates are computed.

use std::sync::atomic::{AtomicU64, Ordering};

use signalbox_core::{openai::Usage, schema::RequestStatus};
use signalbox_management::live::Latency;
use tokio::time::Duration;

/// Number of requests whose times are kept.
const LATENCIES: usize = 32;

/// Totals since the start of the process. Their readers may see one of them change before another.
#[derive(Debug, Default)]
pub struct Totals {
    requests: AtomicU64,
    ended: AtomicU64,
    errors: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    /// Times of the requests that ended last, by their number: milliseconds of the duration, and those to the first
    /// byte increased by one.
    latencies: [AtomicU64; LATENCIES],
}

/// The totals at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TotalsNow {
    /// Requests that have begun.
    pub requests: u64,
    /// Requests that have ended.
    pub ended: u64,
    /// Requests that have failed.
    pub errors: u64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
    /// The requests that ended last, the newest last.
    pub latencies: Vec<Latency>,
}

// === impl Totals ===

impl Totals {
    /// Counts a request that begins.
    pub fn begun(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that has ended. `first_byte` is the time to the first byte of its answer, if there was one.
    pub fn ended(&self, status: RequestStatus, duration: Duration, first_byte: Option<Duration>) {
        let number = self.ended.fetch_add(1, Ordering::Relaxed);
        if status.has_failed() {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let first_byte = first_byte.map_or(0, |time| millis(time).saturating_add(1));
        let packed = u64::from(millis(duration)) << 32 | u64::from(first_byte);
        if let Some(place) = self.latencies.get(place_of(number)) {
            place.store(packed, Ordering::Relaxed);
        }
    }

    /// Adds the tokens of an answer.
    pub(super) fn tokens(&self, usage: &Usage) {
        let count = |tokens: i64| u64::try_from(tokens).unwrap_or_default();
        self.prompt_tokens.fetch_add(count(usage.prompt_tokens), Ordering::Relaxed);
        self.completion_tokens.fetch_add(count(usage.completion_tokens), Ordering::Relaxed);
    }

    /// Returns the present totals.
    #[must_use]
    pub fn now(&self) -> TotalsNow {
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        let ended = read(&self.ended);
        let latency = |number| {
            let packed = self.latencies.get(place_of(number)).map_or(0, &read);
            let low = u32::try_from(packed & u64::from(u32::MAX)).unwrap_or_default();
            let duration_ms = u32::try_from(packed >> 32).unwrap_or(u32::MAX);
            Latency { duration_ms, first_byte_ms: low.checked_sub(1) }
        };
        TotalsNow {
            requests: read(&self.requests),
            ended,
            errors: read(&self.errors),
            prompt_tokens: read(&self.prompt_tokens),
            completion_tokens: read(&self.completion_tokens),
            latencies: (ended.saturating_sub(LATENCIES as u64)..ended).map(latency).collect(),
        }
    }
}

/// Returns the place of the request that ended with this number.
fn place_of(number: u64) -> usize {
    usize::try_from(number % LATENCIES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_times_come_last() {
        let totals = Totals::default();
        assert_eq!(totals.now(), TotalsNow::default());
        for n in 0..40 {
            let first_byte = (n % 2 == 0).then(|| Duration::from_millis(n));
            totals.ended(RequestStatus::Completed, Duration::from_millis(n * 10), first_byte);
        }
        let now = totals.now();
        assert_eq!((now.ended, now.errors, now.latencies.len()), (40, 0, LATENCIES));
        assert_eq!(now.latencies[0], Latency { duration_ms: 80, first_byte_ms: Some(8) });
        assert_eq!(now.latencies[31], Latency { duration_ms: 390, first_byte_ms: None });
    }

    #[test]
    fn failures_and_tokens_are_counted() {
        let totals = Totals::default();
        totals.begun();
        for status in [RequestStatus::Failed, RequestStatus::Truncated, RequestStatus::Cancelled] {
            totals.ended(status, Duration::MAX, None);
        }
        totals.tokens(&Usage::new(5, 7));
        totals.tokens(&Usage::new(1, -3));
        let now = totals.now();
        assert_eq!((now.requests, now.ended, now.errors), (1, 3, 2));
        assert_eq!((now.prompt_tokens, now.completion_tokens), (6, 7));
        assert_eq!(now.latencies[0], Latency { duration_ms: u32::MAX, first_byte_ms: None });
    }
}

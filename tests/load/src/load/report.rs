//! Statistics of the client.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Results of a run. Times are microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Successful requests.
    pub ok: u64,
    /// Failed requests, by reason.
    pub errors: BTreeMap<String, u64>,
    /// Requests per second, up to the last successful answer.
    pub per_second: f64,
    /// Maximum number of requests in flight.
    pub peak: u64,
    /// Time from the start of a request to the last byte of its answer.
    pub total: Quantiles,
    /// Time from the upstream's write of a chunk to the client's read.
    pub lag: Quantiles,
}

/// Quantiles in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Number of values.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Maximum.
    pub max: f64,
}

/// Statistics of a run in progress.
#[derive(Debug)]
pub(super) struct Tally {
    ok: u64,
    errors: BTreeMap<String, u64>,
    in_flight: u64,
    peak: u64,
    last_ok: Option<Instant>,
    total: Nanos,
    lag: Nanos,
}

/// A histogram of nanoseconds with three significant digits; values beyond its range count as its maximum.
#[derive(Debug)]
struct Nanos(Option<Histogram<u64>>);

/// Ten minutes: longer than any run.
const LONGEST_NS: u64 = 600_000_000_000;
/// Maximum number of different errors: error texts contain parts of answers, which may vary arbitrarily.
const MAX_KINDS: usize = 16;

// === impl Report ===

impl Report {
    /// Returns the number of failed requests.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

// === impl Tally ===

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            ok: 0,
            errors: BTreeMap::new(),
            in_flight: 0,
            peak: 0,
            last_ok: None,
            total: Nanos::new(),
            lag: Nanos::new(),
        }
    }

    pub(super) fn began(&mut self) {
        self.in_flight += 1;
        self.peak = self.peak.max(self.in_flight);
    }

    pub(super) fn ended(&mut self, start: Instant, outcome: Result<(), String>) {
        self.in_flight -= 1;
        match outcome {
            Ok(()) => {
                self.ok += 1;
                self.total.record(start.elapsed());
                self.last_ok = Some(Instant::now());
            }
            Err(reason) if self.errors.len() < MAX_KINDS => *self.errors.entry(reason).or_default() += 1,
            Err(_) => *self.errors.entry("others".to_owned()).or_default() += 1,
        }
    }

    pub(super) fn chunk_came(&mut self, after: Duration) {
        self.lag.record(after);
    }

    pub(super) fn report(&self, begin: Instant) -> Report {
        let seconds = self.last_ok.map_or(0.0, |last| (last - begin).as_secs_f64());
        Report {
            ok: self.ok,
            errors: self.errors.clone(),
            #[expect(clippy::cast_precision_loss, reason = "display only")]
            per_second: if seconds > 0.0 { self.ok as f64 / seconds } else { 0.0 },
            peak: self.peak,
            total: self.total.quantiles(),
            lag: self.lag.quantiles(),
        }
    }
}

// === impl Nanos ===

impl Nanos {
    fn new() -> Self {
        // The bounds are constants that the histogram accepts.
        Self(Histogram::new_with_max(LONGEST_NS, 3).ok())
    }

    fn record(&mut self, duration: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(LONGEST_NS));
        }
    }

    fn quantiles(&self) -> Quantiles {
        let Some(histogram) = &self.0 else { return Quantiles::default() };
        let micros = |ns: u64| Duration::from_nanos(ns).as_secs_f64() * 1e6;
        let at = |quantile| micros(histogram.value_at_quantile(quantile));
        Quantiles { count: histogram.len(), p50: at(0.5), p99: at(0.99), max: micros(histogram.max()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_requests_of_a_run_are_counted() {
        let mut tally = Tally::new();
        let begin = Instant::now();
        for _ in 0..2 {
            tally.began();
        }
        tokio::time::advance(Duration::from_millis(500)).await;
        tally.ended(begin, Ok(()));
        tally.ended(begin, Err("broken".to_owned()));
        let report = tally.report(begin);
        assert_eq!((report.ok, report.failed(), report.peak), (1, 1, 2));
        assert!((report.per_second - 2.0).abs() < 0.01, "{}", report.per_second);
        assert!((report.total.p50 - 500_000.0).abs() < 500.0, "{}", report.total.p50);
        assert_eq!(report.lag, Quantiles::default());
    }

    #[test]
    fn the_number_of_error_kinds_is_bounded() {
        let mut tally = Tally::new();
        for number in 0..1000 {
            tally.began();
            tally.ended(Instant::now(), Err(number.to_string()));
        }
        assert_eq!((tally.errors.len(), tally.errors.values().sum::<u64>()), (MAX_KINDS + 1, 1000));
    }
}

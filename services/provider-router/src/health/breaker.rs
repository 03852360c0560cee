//! A circuit breaker.
//!
//! ```text
//!            5 failures in a row, or
//!            half of at least 20 in 30 s                    cool-down is over
//!   Closed ------------------------------> Open --------------------------------> HalfOpen
//!     ^                                     ^                                        │
//!     │                                     └──────────── the probe fails ───────────┤
//!     └───────────────────────────── the probe is answered ──────────────────────────┘
//! ```
//! Half-open, one request is let through, the *probe*. The cool-down is a third of the time since the target was last
//! well, at least 10 s and at most 5 min, and up to a tenth more or less by chance: so the end of an outage is noticed
//! after a third of its length. An outage that follows within a minute of the recovery continues the one before.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Number of failures in a row that open the breaker.
const MAX_CONSECUTIVE: u32 = 5;
/// Minimum number of answers and failures in the window for its rate to count.
const MIN_SAMPLES: u64 = 20;
/// Shortest and longest cool-down, in milliseconds.
const COOL_DOWN: (u64, u64) = (10_000, 300_000);
/// Time after the recovery within which another outage continues the last one.
const RELAPSE: u64 = 60_000;
/// Time after the recovery during which the share of requests grows.
const SLOW_START: u64 = 30_000;
/// Smallest share during that time.
const MIN_SHARE: f64 = 0.1;
/// Number of buckets of the window, and the milliseconds of each.
const BUCKETS: usize = 6;
const BUCKET_MILLIS: u64 = 5_000;

/// State of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Requests pass.
    Closed,
    /// No requests pass until this time.
    Open {
        /// End of the cool-down.
        until: u64,
    },
    /// One request is let through.
    HalfOpen,
}

/// A change that operators are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The breaker opened for this time.
    Opened {
        /// Length of the cool-down.
        millis: u64,
    },
    /// The breaker closed.
    Closed,
}

/// A breaker; all times are given.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// End of the cool-down; 0 while the breaker is closed.
    until: AtomicU64,
    /// Time of the last opening.
    opened: AtomicU64,
    /// Begin of the outage to which that belongs.
    outage: AtomicU64,
    /// Time of the last recovery.
    recovered: AtomicU64,
    consecutive: AtomicU32,
    is_probed: AtomicBool,
    window: Window,
}

/// Counts of answers and failures of the last 30 s. A bucket has its number in the upper half of the word, then 16 bits
/// for each of the two counts.
#[derive(Debug, Default)]
struct Window([AtomicU64; BUCKETS]);

// === impl State ===

impl State {
    /// Returns the word for the state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

// === impl Breaker ===

impl Breaker {
    pub(super) fn state(&self, now: u64) -> State {
        match self.until.load(Ordering::Relaxed) {
            0 => State::Closed,
            until if until > now => State::Open { until },
            _ => State::HalfOpen,
        }
    }

    pub(super) fn is_probed(&self) -> bool {
        self.is_probed.load(Ordering::Relaxed)
    }

    /// Returns whether the attempt that begins now is the probe.
    pub(super) fn takes_probe(&self) -> bool {
        self.until.load(Ordering::Relaxed) != 0 && !self.is_probed.swap(true, Ordering::Relaxed)
    }

    pub(super) fn release_probe(&self) {
        self.is_probed.store(false, Ordering::Relaxed);
    }

    /// Returns the share of its weight that the target has now.
    pub(super) fn share(&self, now: u64) -> f64 {
        let recovered = self.recovered.load(Ordering::Relaxed);
        let since = now.saturating_sub(recovered);
        if recovered == 0 || since >= SLOW_START {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "both are small")]
        let share = since as f64 / SLOW_START as f64;
        share.max(MIN_SHARE)
    }

    /// Takes the beginning of an answer to an attempt that began at `began`: closes the breaker.
    pub(super) fn answered(&self, now: u64, began: u64) -> Option<Change> {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 || began < self.opened.load(Ordering::Relaxed) {
            return None;
        }
        self.until.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        self.consecutive.store(0, Ordering::Relaxed);
        self.window.clear();
        self.recovered.store(now, Ordering::Relaxed);
        self.release_probe();
        Some(Change::Closed)
    }

    /// Takes a complete answer.
    pub(super) fn completed(&self, now: u64) {
        if self.consecutive.load(Ordering::Relaxed) != 0 {
            self.consecutive.store(0, Ordering::Relaxed);
        }
        self.window.add(now, false);
    }

    /// Takes a failure of an attempt that began at `began`. `jitter` is from 0 to 1.
    pub(super) fn failed(&self, now: u64, began: u64, is_probe: bool, jitter: f64) -> Option<Change> {
        let until = self.until.load(Ordering::Relaxed);
        if until != 0 {
            let change = is_probe.then(|| self.open(until, now, jitter)).flatten();
            if is_probe {
                self.release_probe();
            }
            return change;
        }
        // An attempt from before the recovery says nothing about the time after it.
        if began < self.recovered.load(Ordering::Relaxed) {
            return None;
        }
        let consecutive = self.consecutive.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let (total, failed) = self.window.add(now, true);
        let is_rate = total >= MIN_SAMPLES && failed * 2 >= total;
        (consecutive >= MAX_CONSECUTIVE || is_rate).then(|| self.open(0, now, jitter)).flatten()
    }

    fn open(&self, from: u64, now: u64, jitter: f64) -> Option<Change> {
        let recovered = self.recovered.load(Ordering::Relaxed);
        let outage = self.outage.load(Ordering::Relaxed);
        let continues = outage != 0 && (from != 0 || now.saturating_sub(recovered) < RELAPSE);
        let outage = if continues { outage } else { now };
        let base = (now.saturating_sub(outage) / 3).clamp(COOL_DOWN.0, COOL_DOWN.1);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most a tenth of five minutes"
        )]
        let millis = base - base / 10 + (jitter.clamp(0.0, 1.0) * (base / 5) as f64) as u64;
        self.until.compare_exchange(from, now.saturating_add(millis), Ordering::Relaxed, Ordering::Relaxed).ok()?;
        self.outage.store(outage, Ordering::Relaxed);
        self.opened.store(now, Ordering::Relaxed);
        Some(Change::Opened { millis })
    }

    /// Closes the breaker and forgets everything.
    pub(super) fn reset(&self) {
        for time in [&self.until, &self.opened, &self.outage, &self.recovered] {
            time.store(0, Ordering::Relaxed);
        }
        self.consecutive.store(0, Ordering::Relaxed);
        self.release_probe();
        self.window.clear();
    }
}

// === impl Window ===

impl Window {
    /// Counts an answer or a failure. Returns all of the window, and the failures among them.
    fn add(&self, now: u64, failed: bool) -> (u64, u64) {
        let number = now / BUCKET_MILLIS;
        let stamp = number & u64::from(u32::MAX);
        let Some(bucket) = self.0.get(usize::try_from(number % BUCKETS as u64).unwrap_or_default()) else {
            return (0, 0);
        };
        let added = |word: u64| {
            let (mut total, mut failures) = if word >> 32 == stamp { counts(word) } else { (0, 0) };
            total = (total + 1).min(0xFFFF);
            failures = (failures + u64::from(failed)).min(0xFFFF);
            Some(stamp << 32 | total << 16 | failures)
        };
        // The function never returns `None`.
        let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added);
        if !failed {
            return (0, 0);
        }
        let words = self.0.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let recent = words.filter(|word| stamp.wrapping_sub(word >> 32) < BUCKETS as u64);
        recent.map(counts).fold((0, 0), |(total, failures), (more, failed)| (total + more, failures + failed))
    }

    fn clear(&self) {
        for bucket in &self.0 {
            bucket.store(0, Ordering::Relaxed);
        }
    }
}

const fn counts(word: u64) -> (u64, u64) {
    ((word >> 16) & 0xFFFF, word & 0xFFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_twenty_in_half_a_minute_open() {
        let breaker = Breaker::default();
        for n in 0..19_u64 {
            let now = 1_000 + n * 1_000;
            if n % 2 == 0 {
                assert_eq!(breaker.failed(now, now, false, 0.5), None, "{n}");
            } else {
                breaker.completed(now);
            }
        }
        assert!(matches!(breaker.failed(20_000, 20_000, false, 0.5), Some(Change::Opened { millis: 10_000 })));
    }

    #[test]
    fn old_failures_and_few_requests_do_not_open() {
        let breaker = Breaker::default();
        // A failure and an answer every 4 s: never 20 in 30 s.
        for n in 1..200_u64 {
            assert_eq!(breaker.failed(n * 4_000, n * 4_000, false, 0.0), None);
            breaker.completed(n * 4_000 + 1);
        }
        // Every third fails.
        for n in 0..3_000_u64 {
            let now = 2_000_000 + n * 100;
            match n % 3 {
                0 => assert_eq!(breaker.failed(now, now, false, 0.0), None),
                _ => breaker.completed(now),
            }
        }
    }

    #[test]
    fn the_cool_down_is_a_third_of_the_outage() {
        let breaker = Breaker::default();
        let mut now = 1_000;
        for _ in 0..5 {
            breaker.failed(now, now, false, 0.5);
        }
        let mut ends = Vec::new();
        for _ in 0..8 {
            let State::Open { until } = breaker.state(now) else { panic!("open") };
            now = until;
            ends.push((until - 1_000) / 1_000);
            assert!(breaker.takes_probe());
            breaker.failed(now, now, true, 0.5);
        }
        assert_eq!(ends, [10, 20, 30, 40, 53, 71, 94, 126]);
    }

    #[test]
    fn a_relapse_continues_the_outage() {
        let cool_down = |pause: u64| {
            let breaker = Breaker::default();
            let fail = |now| (0..5).filter_map(|_| breaker.failed(now, now, false, 0.5)).next_back();
            assert_eq!(fail(1), Some(Change::Opened { millis: 10_000 }));
            assert!(breaker.takes_probe());
            assert_eq!(breaker.answered(120_001, 120_000), Some(Change::Closed));
            fail(120_001 + pause)
        };
        assert_eq!(cool_down(30_000), Some(Change::Opened { millis: 50_000 }));
        assert_eq!(cool_down(60_000), Some(Change::Opened { millis: 10_000 }));
    }
}

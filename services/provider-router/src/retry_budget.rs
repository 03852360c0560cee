//! Budget of the repetitions of all requests.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Thousandths of a repetition that each request adds to the budget.
const PER_REQUEST: i64 = 100;
/// Thousandths that a repetition takes.
const PER_RETRY: i64 = 1_000;
/// Thousandths up to which the budget grows with time alone: by one repetition a second.
const MINIMUM: i64 = 10 * PER_RETRY;
/// Thousandths up to which it grows with requests.
const MAXIMUM: i64 = 100 * PER_RETRY;

/// Budget of the repetitions of all requests: 10 % of the requests, and at least one a second in the long run. It keeps
/// repetitions from multiplying the load of providers that are failing. Changes of the target need no budget.
#[derive(Debug)]
pub struct RetryBudget {
    thousandths: AtomicI64,
    /// Time of the last growth, see [`crate::health::now`].
    grown: AtomicU64,
}

// === impl RetryBudget ===

impl RetryBudget {
    /// Counts a request.
    pub(crate) fn deposit(&self) {
        if self.thousandths.load(Ordering::Relaxed) < MAXIMUM {
            self.thousandths.fetch_add(PER_REQUEST, Ordering::Relaxed);
        }
    }

    /// Takes a repetition. Returns whether the budget allows it.
    pub(crate) fn take(&self, now: u64) -> bool {
        let before = self.grown.swap(now, Ordering::Relaxed);
        let grown = i64::try_from(now.saturating_sub(before)).unwrap_or(i64::MAX).min(MINIMUM);
        let taken = self.thousandths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |thousandths| {
            // One repetition per second is one thousandth per millisecond.
            let thousandths = thousandths.max((thousandths + grown).min(MINIMUM));
            Some(if thousandths >= PER_RETRY { thousandths - PER_RETRY } else { thousandths })
        });
        taken.is_ok_and(|before| before.max((before + grown).min(MINIMUM)) >= PER_RETRY)
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { thousandths: AtomicI64::new(MINIMUM), grown: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_a_tenth_of_the_requests_and_grows_with_time() {
        let budget = RetryBudget::default();
        let take = |now| (0..1_000).take_while(|_| budget.take(now)).count();
        assert_eq!(take(1), 10);
        (0..50).for_each(|_| budget.deposit());
        assert_eq!(take(1), 5);
        assert_eq!(take(3_001), 3);
        assert_eq!(take(1_000_000), 10, "not more than the minimum");
        (0..100_000).for_each(|_| budget.deposit());
        assert_eq!(take(1_000_000), 100);
    }
}

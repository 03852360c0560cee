//! Distribution of the times to the first token of a target, for the quantiles of hedged routes.
//!
//! A histogram with four buckets per power of two. The weight of old answers is halved now and then, so that it follows
//! the present.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use super::floor;

/// Buckets: the last one has all times from about a minute on.
const BUCKETS: usize = 64;
/// Minimum number of answers from which a quantile is known.
const MIN_SAMPLES: u32 = 20;
/// Number of answers from which all counts are halved.
const MAX_SAMPLES: u32 = 1_024;

/// Counts of answers by their time to the first token. Allocated at first use.
#[derive(Debug, Default)]
pub(super) struct FirstTokens(OnceLock<Box<[AtomicU32]>>);

// === impl FirstTokens ===

impl FirstTokens {
    pub(super) fn observe(&self, millis: u64) {
        let buckets = self.0.get_or_init(|| (0..BUCKETS).map(|_| AtomicU32::new(0)).collect());
        if let Some(bucket) = buckets.get(bucket_of(millis)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        if buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum::<u32>() >= MAX_SAMPLES {
            // Answers that are counted meanwhile may get lost, which changes no quantile noticeably.
            buckets.iter().for_each(|bucket| bucket.store(bucket.load(Ordering::Relaxed) / 2, Ordering::Relaxed));
        }
    }

    /// Returns the milliseconds within which this share of the answers began, rounded up to the end of their bucket;
    /// `None` if too few answers are known.
    pub(super) fn quantile(&self, share: f64) -> Option<u64> {
        let counts: Vec<u32> = self.0.get()?.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total: u32 = counts.iter().sum();
        if total < MIN_SAMPLES {
            return None;
        }
        let needed = floor((f64::from(total) * share).ceil()).max(1);
        let mut sum = 0;
        let at = counts.iter().position(|count| {
            sum += u64::from(*count);
            sum >= needed
        });
        at.map(end_of)
    }
}

/// Returns the bucket of a time: two bits of it behind the first one.
fn bucket_of(millis: u64) -> usize {
    let millis = millis.max(4);
    let power = 63 - millis.leading_zeros();
    let quarter = (millis >> (power - 2)) & 3;
    let at = u64::from(power - 2) * 4 + quarter;
    usize::try_from(at).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// Returns the end of a bucket in milliseconds.
const fn end_of(at: usize) -> u64 {
    ((at % 4) as u64 + 5) << (at / 4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_are_known_from_twenty_answers_on() {
        let times = FirstTokens::default();
        (0..19).for_each(|_| times.observe(100));
        assert_eq!(times.quantile(0.5), None);
        times.observe(5_000);
        let (half, most, all) = (times.quantile(0.5), times.quantile(0.95), times.quantile(0.999));
        assert!((100..=125).contains(&half.unwrap()) && half == most, "{half:?} {most:?}");
        assert!((5_000..=6_250).contains(&all.unwrap()), "{all:?}");
    }

    #[test]
    fn old_answers_are_forgotten() {
        let times = FirstTokens::default();
        (0..2_000).for_each(|_| times.observe(10_000));
        (0..4_000).for_each(|_| times.observe(50));
        assert!(times.quantile(0.9).unwrap() < 100);
    }

    proptest! {
        #[test]
        fn a_time_is_in_its_bucket(millis in 0_u64..50_000, share in 0.5_f64..0.999) {
            let at = bucket_of(millis);
            prop_assert!(millis < end_of(at));
            prop_assert!(at == 0 || end_of(at - 1) <= millis.max(4));
            let times = FirstTokens::default();
            (0..20).for_each(|_| times.observe(millis));
            prop_assert_eq!(times.quantile(share), Some(end_of(at)));
        }
    }
}

//! Delay before a failed child is started again.

use std::time::Duration;

/// Maximum share of a delay that is added or subtracted, so that two children that failed together do not restart
/// together.
const JITTER: f64 = 0.2;

/// Delay after each failure in a row: `first`, doubling up to `longest`, ±20 %. Pseudo-random from a seed, so that a
/// history can be replayed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    seed: u64,
}

// === impl Backoff ===

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, seed }
    }

    /// Returns the delay after this many failures in a row, starting at 1.
    pub(super) fn delay(&mut self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let plain = self.first.saturating_mul(1 << doublings).min(self.longest);
        plain.mul_f64(1.0 - JITTER + 2.0 * JITTER * self.roll())
    }

    /// Returns a uniform pseudo-random number from 0 to 1 (SplitMix64).
    fn roll(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let high = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default();
        f64::from(high) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_with_20_percent_jitter() {
        for seed in 0..1000 {
            let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30), seed);
            for (failures, plain) in
                [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 16.0), (7, 30.0), (400, 30.0)]
            {
                let delay = backoff.delay(failures).as_secs_f64();
                assert!((plain * 0.8..=plain * 1.2).contains(&delay), "{failures}: {delay}");
            }
        }
    }

    #[test]
    fn jitter_separates_two_restarts() {
        let delay = |seed| Backoff::new(Duration::from_secs(1), Duration::from_secs(30), seed).delay(1);
        assert_ne!(delay(1), delay(2));
        assert_eq!(delay(1), delay(1));
    }
}

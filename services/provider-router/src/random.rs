//! Random numbers for routing: fast, seeded, and of no use for secrets.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// Increment of SplitMix64: 2⁶⁴ divided by the golden ratio, made odd.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// A generator of random numbers: SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng(u64);

/// Source of generators, shared by all requests.
#[derive(Debug)]
pub struct Seeds(AtomicU64);

// === impl Rng ===

impl Rng {
    /// Creates a generator; equal seeds give equal numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mixed(self.0)
    }

    /// Returns a number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        unit_of(self.bits())
    }

    /// Returns an index below `len`, or 0 if that is 0.
    pub fn below(&mut self, len: usize) -> usize {
        let len = len as u64;
        // The product of two 64-bit numbers; its upper half is below `len`.
        usize::try_from((u128::from(self.bits()) * u128::from(len)) >> 64).unwrap_or_default()
    }

    /// Returns the indices below `len` in random order.
    pub fn shuffled(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for last in (1..len).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

// === impl Seeds ===

impl Seeds {
    /// Returns a generator of its own for one request.
    pub fn rng(&self) -> Rng {
        Rng::new(mixed(self.0.fetch_add(GAMMA, Ordering::Relaxed)))
    }
}

impl Default for Seeds {
    fn default() -> Self {
        Self(AtomicU64::new(RandomState::new().hash_one(0_u8)))
    }
}

/// Spreads the bits of a number evenly.
#[must_use]
pub const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// Converts random bits to a number in `0.0..1.0`.
#[must_use]
pub fn unit_of(bits: u64) -> f64 {
    // 53 bits convert to a double without loss.
    #[expect(clippy::cast_precision_loss, reason = "53 bits convert to a double without loss")]
    let number = (bits >> 11) as f64;
    number / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_in_range() {
        let mut rng = Rng::new(7);
        let (mut counts, mut sum) = ([0_u32; 5], 0.0);
        for _ in 0..100_000 {
            counts[rng.below(5)] += 1;
            let unit = rng.unit();
            assert!((0.0..1.0).contains(&unit));
            sum += unit;
        }
        assert!(counts.iter().all(|count| (19_500..20_500).contains(count)), "{counts:?}");
        assert!((49_500.0..50_500.0).contains(&sum), "{sum}");
        assert_eq!(rng.below(0), 0);
        let mut order = rng.shuffled(9);
        order.sort_unstable();
        assert_eq!(order, (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn requests_get_different_numbers() {
        let seeds = Seeds::default();
        assert_ne!(seeds.rng().bits(), seeds.rng().bits());
    }
}

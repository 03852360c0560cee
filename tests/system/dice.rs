//! Reproducible random numbers.

/// A pseudo-random sequence determined by its seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

/// Returns the repetitions of a test: the number in the environment variable, or else the quick default.
///
/// # Panics
/// Panics if the value of the variable is not a number.
pub(crate) fn times(variable: &str, quick: usize) -> usize {
    std::env::var(variable).map_or(quick, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number")))
}

// === impl Dice ===

impl Dice {
    /// Creates a generator with the seed in `CHAOS_SEED`, or a new one; the seed is printed, for repeating a failed
    /// test.
    #[expect(clippy::print_stderr, reason = "the seed is needed to reproduce a failure")]
    pub(crate) fn new() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        let seed = times("CHAOS_SEED", usize::try_from(now.as_micros() & 0xFFFF_FFFF).unwrap());
        eprintln!("CHAOS_SEED={seed}");
        Self(seed as u64)
    }

    /// Returns another, independent generator.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Returns a random element.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

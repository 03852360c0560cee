//! Chance that can be repeated.

/// A sequence of numbers that its seed decides (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

/// Something a test does as often as the environment says, and otherwise as often as is quick.
///
/// # Panics
/// When the environment says something else than a number.
pub(crate) fn times(variable: &str, quick: usize) -> usize {
    std::env::var(variable).map_or(quick, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

// === impl Dice ===

impl Dice {
    /// Dice with the seed in `CHAOS_SEED`, or with one of their own; it is printed, which a test that fails shows.
    #[expect(clippy::print_stderr, reason = "whoever reads about a failure needs the seed")]
    pub(crate) fn new() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        let seed = times("CHAOS_SEED", usize::try_from(now.as_micros() & 0xFFFF_FFFF).unwrap());
        eprintln!("CHAOS_SEED={seed}");
        Self(seed as u64)
    }

    /// Other dice, which go on independently.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// One of these.
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

//! Counts durations in logarithmic buckets.
//!
//! Each bucket is 9 % wider than the one before, so that a percentile is at most 4.5 % off. Only buckets with a count
//! are kept: those of a minute are rarely more than forty.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Ratio of the bounds of neighbouring buckets.
const GROWTH: f64 = 1.09;

/// The bound of the last bucket but one: twelve days in milliseconds.
const LAST_BOUND: f64 = 1e9;

/// Upper bounds of the buckets from the second on, in milliseconds. The first bucket is for zero.
static BOUNDS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let next = |bound: &f64| Some(bound * GROWTH).filter(|_| *bound < LAST_BOUND);
    std::iter::successors(Some(1.0), next).collect()
});

/// Counts of durations in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<usize, i64>);

// === impl Histogram ===

impl Histogram {
    /// Counts a duration in milliseconds.
    pub fn add(&mut self, ms: i64) {
        // Durations are far below the numbers that a double does not represent.
        let bucket = if ms <= 0 { 0 } else { 1 + BOUNDS.partition_point(|bound| *bound < ms as f64) };
        let count = self.0.entry(bucket.min(BOUNDS.len())).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, more) in &other.0 {
            let count = self.0.entry(*bucket).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// Subtracts the counts of another histogram as far as they are part of this one; `other` keeps the rest.
    pub(crate) fn subtract(&mut self, other: &mut Self) {
        for (bucket, less) in &mut other.0 {
            if let Some(count) = self.0.get_mut(bucket) {
                let common = (*count).min(*less);
                *count -= common;
                *less -= common;
            }
        }
        self.0.retain(|_, count| *count > 0);
        other.0.retain(|_, count| *count > 0);
    }

    /// Returns the duration in milliseconds below or at which `percent` % of the counted ones are, in hundredths;
    /// `None` if nothing was counted.
    #[must_use]
    pub fn percentile(&self, percent: i64) -> Option<f64> {
        let total = self.0.values().fold(0_i64, |sum, count| sum.saturating_add(*count));
        let rank = i128::from(total) * i128::from(percent);
        let rank = ((rank + 99) / 100).max(1);
        let mut seen = 0_i128;
        let bucket = self.0.iter().find(|(_, count)| {
            seen += i128::from(**count);
            seen >= rank
        });
        let Some(place) = bucket?.0.checked_sub(1) else { return Some(0.0) };
        let bound = BOUNDS.get(place).copied().unwrap_or(LAST_BOUND);
        // The point of the bucket that is equally far, relatively, from both of its bounds.
        Some((bound * 2.0 / (GROWTH + 1.0) * 100.0).round() / 100.0)
    }

    /// Parses the text of a histogram. Parts that are no counts are ignored, because sums are not worth an error.
    pub(crate) fn parse(text: &str) -> Self {
        let part = |part: &str| {
            let (bucket, count) = part.split_once(':')?;
            Some((bucket.parse().ok().filter(|bucket| *bucket <= BOUNDS.len())?, count.parse().ok()?))
        };
        Self(text.split(',').filter_map(part).filter(|(_, count)| *count > 0).collect())
    }

    /// Returns the histogram as a text: `bucket:count`, separated by commas.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (bucket, count) in &self.0 {
            if !text.is_empty() {
                text.push(',');
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "{bucket}:{count}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[i64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|ms| histogram.add(*ms));
        histogram
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Histogram::default().percentile(50), None);
        assert_eq!(Histogram::default().text(), "");
        assert_eq!(Histogram::parse(""), Histogram::default());
    }

    #[test]
    fn the_ends_of_the_range_are_counted() {
        assert_eq!(of(&[0, -5]).percentile(99), Some(0.0));
        assert_eq!(of(&[0]).text(), "0:1");
        let longest = of(&[i64::MAX, i64::MAX]);
        assert_eq!(Histogram::parse(&longest.text()), longest);
        assert!(longest.percentile(50).unwrap() > 9e8);
    }

    #[test]
    fn damaged_parts_are_ignored() {
        assert_eq!(Histogram::parse("3:2,x,4:,:1,5:-1,99999:1,6:1").text(), "3:2,6:1");
    }

    proptest! {
        #[test]
        fn percentiles_are_within_5_percent_of_the_exact_ones(
            values in prop::collection::vec(prop_oneof![0..50_i64, 1..5000_i64, 1..900_000_i64], 1..300),
            percent in 1..=100_i64,
            split in any::<prop::sample::Index>(),
        ) {
            let (first, second) = values.split_at(split.index(values.len()));
            let mut merged = Histogram::parse(&of(first).text());
            merged.merge(&of(second));
            prop_assert_eq!(&merged, &of(&values));
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = (sorted.len() * usize::try_from(percent).unwrap()).div_ceil(100).max(1);
            let exact = sorted[rank - 1] as f64;
            let found = merged.percentile(percent).unwrap();
            prop_assert!((found - exact).abs() <= exact * 0.05, "{found} instead of {exact}");
        }

        #[test]
        fn what_was_added_can_be_subtracted(
            kept in prop::collection::vec(0..900_000_i64, 0..50),
            less in prop::collection::vec(0..900_000_i64, 0..50),
            other in prop::collection::vec(0..900_000_i64, 0..5),
        ) {
            let mut sum = of(&[&kept[..], &less].concat());
            let mut rest = of(&less);
            sum.subtract(&mut rest);
            prop_assert_eq!((&sum, &rest), (&of(&kept), &Histogram::default()));
            // Values that the histogram lacks remain in `rest`, and no count becomes negative.
            let mut rest = of(&[&kept[..], &other].concat());
            sum.subtract(&mut rest);
            prop_assert_eq!((sum, rest), (Histogram::default(), of(&other)));
        }

        #[test]
        fn a_text_is_short_and_round_trips(values in prop::collection::vec(1..600_000_i64, 0..500)) {
            let histogram = of(&values);
            prop_assert_eq!(Histogram::parse(&histogram.text()), histogram);
        }
    }
}

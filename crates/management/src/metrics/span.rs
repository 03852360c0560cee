//! The points of a series: sums are kept by minute and by hour, for different times.

use signalbox_store::metrics::MINUTES_KEPT_MS;

use super::{DAY_MS, HOUR_MS};
use crate::query::Query;

const MINUTE_MS: i64 = 60_000;

/// Maximum range that is read by minute.
const MAX_BY_MINUTE_MS: i64 = 2 * DAY_MS;

/// Maximum range, for which hours are kept.
const MAX_RANGE_MS: i64 = 400 * DAY_MS;

/// Maximum number of points.
const MAX_POINTS: i64 = 1000;

/// The number of points up to which a step is chosen.
const USUAL_POINTS: i64 = 360;

/// The steps that are chosen from.
const STEPS: [i64; 6] = [MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 12 * HOUR_MS, 2 * DAY_MS];

/// The points of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The time of the first point, a multiple of `step`.
    pub(super) start: i64,
    /// Milliseconds between points.
    pub(super) step: i64,
    /// Number of points.
    pub(super) points: usize,
}

/// Returns the points from `from` to `to`, with the given step or a suitable one; reports mistakes to `query`.
pub(super) fn of(from: i64, to: i64, step: Option<&str>, now: i64, query: &mut Query) -> Span {
    let range = to.saturating_sub(from).max(1);
    let by_minute = range <= MAX_BY_MINUTE_MS && from >= now.saturating_sub(MINUTES_KEPT_MS);
    let steps = || STEPS.into_iter().filter(|step| by_minute || step % HOUR_MS == 0);
    let chosen = steps().find(|step| range / step < USUAL_POINTS).or_else(|| steps().next_back()).unwrap_or(HOUR_MS);
    let is_step = |step: &i64| (MINUTE_MS..=MAX_RANGE_MS).contains(step) && step % MINUTE_MS == 0;
    let given = step.map(|text| text.parse().ok().filter(is_step));
    let step = match given {
        None => chosen,
        Some(Some(step)) => step,
        Some(None) => {
            query.mistake("step must be a whole number of minutes up to 400 days, in milliseconds");
            chosen
        }
    };
    if !by_minute && step % HOUR_MS != 0 {
        query.mistake("step must be a whole number of hours for more than 2 days, or for times more than 31 days ago");
    }
    let start = from.div_euclid(step).saturating_mul(step);
    let points = (to.saturating_sub(start).saturating_add(step - 1) / step).max(1);
    if range > MAX_RANGE_MS {
        query.mistake("to must be at most 400 days after from");
    } else if points > MAX_POINTS {
        query.mistake(format!("step must be longer: the range has more than {MAX_POINTS} points"));
    }
    Span { start, step, points: usize::try_from(points.min(MAX_POINTS)).unwrap_or_default() }
}

/// Extends a range to whole minutes or, if sums by minute would be too many or are not kept, to whole hours; at most 400
/// days of it.
pub(super) fn minutes_of(from: i64, to: i64, now: i64) -> (i64, i64) {
    let by_minute = to.saturating_sub(from) <= MAX_BY_MINUTE_MS && from >= now.saturating_sub(MINUTES_KEPT_MS);
    let unit = if by_minute { MINUTE_MS } else { HOUR_MS };
    let from = from.max(now.saturating_sub(MAX_RANGE_MS));
    let start = from.div_euclid(unit) * unit;
    let end = to.min(now.saturating_add(DAY_MS)).saturating_add(unit - 1).div_euclid(unit) * unit;
    (start, end)
}

// === impl Span ===

impl Span {
    /// Returns the time of the point that contains the present, if there is one.
    pub(super) fn partial_from(&self, now: i64) -> Option<i64> {
        let place = now.checked_sub(self.start)?.div_euclid(self.step);
        let is_within = usize::try_from(place).is_ok_and(|place| place < self.points);
        is_within.then(|| self.start + place * self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 20_000 * DAY_MS + 12_345_678;

    fn mistakes(from: i64, to: i64, step: Option<&str>) -> Result<Span, String> {
        let mut query = Query::default();
        let span = of(from, to, step, NOW, &mut query);
        query.finish().map(|()| span).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn the_step_follows_from_the_range() {
        for (range, step, points) in [
            (15 * MINUTE_MS, MINUTE_MS, 16),
            (6 * HOUR_MS - 1, MINUTE_MS, 361),
            (DAY_MS, 5 * MINUTE_MS, 289),
            (7 * DAY_MS, HOUR_MS, 169),
            (30 * DAY_MS, 3 * HOUR_MS, 241),
            (90 * DAY_MS, 12 * HOUR_MS, 181),
            (400 * DAY_MS, 2 * DAY_MS, 201),
        ] {
            let span = mistakes(NOW - range, NOW, None).unwrap();
            assert_eq!((span.step, span.start % step), (step, 0), "{range}");
            assert!(span.start <= NOW - range && span.points.abs_diff(points) <= 1, "{range}: {span:?}");
        }
        let old = mistakes(NOW - 40 * DAY_MS, NOW - 40 * DAY_MS + HOUR_MS, None).unwrap();
        assert_eq!(old.step, HOUR_MS, "minutes are not kept");
    }

    #[test]
    fn the_last_point_is_partial() {
        let span = mistakes(NOW - HOUR_MS, NOW, Some("60000")).unwrap();
        assert_eq!(span.partial_from(NOW), Some(NOW / MINUTE_MS * MINUTE_MS));
        assert_eq!(span.partial_from(NOW + HOUR_MS), None);
        assert_eq!(span.partial_from(NOW - 2 * HOUR_MS), None);
    }

    #[test]
    fn impossible_steps_are_mistakes() {
        for (range, step, expected) in [
            (HOUR_MS, "0", "whole number of minutes"),
            (HOUR_MS, "90000", "whole number of minutes"),
            (HOUR_MS, "1h", "whole number of minutes"),
            (HOUR_MS, "9223372036854000000", "up to 400 days"),
            (3 * DAY_MS, "300000", "whole number of hours"),
            (2 * DAY_MS, "60000", "more than 1000 points"),
            (401 * DAY_MS, "172800000", "at most 400 days"),
        ] {
            let mistakes = mistakes(NOW - range, NOW, Some(step)).unwrap_err();
            assert!(mistakes.contains(expected), "{step}: {mistakes}");
        }
        mistakes(i64::MIN, i64::MAX, None).unwrap_err();
    }

    #[test]
    fn a_range_is_extended_to_whole_minutes_or_hours() {
        assert_eq!(minutes_of(NOW - 1, NOW, NOW), (NOW / MINUTE_MS * MINUTE_MS, (NOW / MINUTE_MS + 1) * MINUTE_MS));
        let (start, end) = minutes_of(NOW - 3 * DAY_MS, NOW, NOW);
        assert_eq!((start % HOUR_MS, end % HOUR_MS), (0, 0));
        let (start, end) = minutes_of(i64::MIN, i64::MAX, NOW);
        assert!(start >= NOW - MAX_RANGE_MS - HOUR_MS && end <= NOW + DAY_MS + HOUR_MS);
    }
}

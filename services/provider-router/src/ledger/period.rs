//! Periods of budgets, in UTC.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use signalbox_core::schema::BudgetPeriod;

const DAY_MS: i64 = 86_400_000;

/// Returns the beginning of the period that contains this Unix time, both in milliseconds.
pub(super) fn start(period: BudgetPeriod, at: i64) -> i64 {
    let day = at.div_euclid(DAY_MS);
    match period {
        BudgetPeriod::Day => day * DAY_MS,
        // The first of January 1970 was a Thursday, three days after a Monday.
        BudgetPeriod::Week => (day - (day + 3).rem_euclid(7)) * DAY_MS,
        BudgetPeriod::Month => date(at).map_or(day * DAY_MS, |date| midnight(date.first_of_month())),
        BudgetPeriod::Total => 0,
    }
}

/// Returns the end of the period that contains this Unix time; `None` if it has none.
pub(super) fn end(period: BudgetPeriod, at: i64) -> Option<i64> {
    let start = start(period, at);
    match period {
        BudgetPeriod::Day => Some(start + DAY_MS),
        BudgetPeriod::Week => Some(start + 7 * DAY_MS),
        BudgetPeriod::Month => Some(midnight(date(at)?.last_of_month().tomorrow().ok()?)),
        BudgetPeriod::Total => None,
    }
}

fn date(at: i64) -> Option<Date> {
    Some(Timestamp::from_millisecond(at).ok()?.to_zoned(TimeZone::UTC).date())
}

fn midnight(date: Date) -> i64 {
    date.to_zoned(TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PERIODS: [BudgetPeriod; 3] = [BudgetPeriod::Day, BudgetPeriod::Week, BudgetPeriod::Month];

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn periods_begin_at_midnight_weeks_on_monday_and_months_on_the_first() {
        // The 30th of November 2026 is a Monday.
        for (period, now, begins, ends) in [
            (BudgetPeriod::Day, "2026-11-30T23:59:59.999Z", "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"),
            (BudgetPeriod::Week, "2026-11-29T23:59:59.999Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            (BudgetPeriod::Week, "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"),
            (BudgetPeriod::Month, "2026-11-30T12:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            (BudgetPeriod::Month, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (BudgetPeriod::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(
                (start(period, at(now)), end(period, at(now))),
                (at(begins), Some(at(ends))),
                "{period:?} {now}"
            );
        }
        assert_eq!((start(BudgetPeriod::Total, 5), end(BudgetPeriod::Total, 5)), (0, None));
    }

    proptest! {
        #[test]
        fn each_time_is_in_one_period(now in 0_i64..4_102_444_800_000) {
            for period in PERIODS {
                let (begins, ends) = (start(period, now), end(period, now).unwrap());
                prop_assert!(begins <= now && now < ends);
                prop_assert_eq!(start(period, begins), begins);
                prop_assert_eq!(start(period, ends - 1), begins);
                prop_assert_eq!(start(period, ends), ends);
            }
        }
    }
}

//! Times of the week at which a price is valid.

/// Milliseconds of a minute, and minutes of a day.
const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 1_440;

/// The weekday of 1970-01-01, a Thursday, where Monday is 0.
const EPOCH_WEEKDAY: i64 = 3;

/// Hours of some days of the week, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hours {
    /// Whether each day is included; Monday comes first.
    pub(crate) days: [bool; 7],
    /// First minute of the day.
    pub(crate) from: u16,
    /// Minute of the day after the last one. If it is not larger than `from`, the hours go on after midnight; each part
    /// belongs to its own day.
    pub(crate) until: u16,
}

// === impl Hours ===

impl Hours {
    /// Abbreviations of the days.
    pub(crate) const DAYS: [&'static str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    /// Returns whether a Unix time in milliseconds is within these hours.
    pub(crate) fn contain(&self, at: i64) -> bool {
        let minutes = at.div_euclid(MINUTE_MS);
        let weekday = (minutes.div_euclid(DAY_MINUTES) + EPOCH_WEEKDAY).rem_euclid(7);
        let is_day = usize::try_from(weekday).is_ok_and(|weekday| self.days[weekday]);
        is_day && u16::try_from(minutes.rem_euclid(DAY_MINUTES)).is_ok_and(|minute| self.has_minute(minute))
    }

    const fn has_minute(&self, minute: u16) -> bool {
        let (begun, not_over) = (self.from <= minute, minute < self.until);
        if self.from < self.until { begun && not_over } else { begun || not_over }
    }

    /// Returns whether a time is within both.
    pub(crate) fn overlap(&self, other: &Self) -> bool {
        let same_day = self.days.iter().zip(other.days).any(|(mine, theirs)| *mine && theirs);
        // Two ranges of a circle overlap exactly if one contains the beginning of the other.
        same_day && (self.has_minute(other.from) || other.has_minute(self.from))
    }
}

/// Reads a time of the day, `00:00` to `24:00`, in minutes.
pub(crate) fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| -> Option<u16> {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60 || hours == 24 && minutes == 0).then(|| hours * 60 + minutes)
}

//! Wall-clock time for timestamps. Durations are measured with tokio's monotonic clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the current time in Unix milliseconds.
#[must_use]
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Returns the current time in Unix seconds, as used for logins.
#[must_use]
pub fn unix_s() -> i64 {
    unix_ms().div_euclid(1000)
}

/// Converts a duration to milliseconds, saturating at `i64::MAX`.
#[must_use]
pub fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

//! Sums over the table `usage_minutes`.

/// Milliseconds of a minute.
pub(crate) const MINUTE_MS: i64 = 60_000;

/// The span of a row that covers a minute.
pub(crate) const MINUTE: i64 = 1;
/// The span of a row that covers an hour.
pub(crate) const HOUR: i64 = 60;

/// How long rows that cover a minute are kept.
pub(crate) const MINUTES_KEPT_MS: i64 = 31 * 24 * 60 * MINUTE_MS;
/// How long rows that cover an hour are kept.
pub(crate) const HOURS_KEPT_MS: i64 = 400 * 24 * 60 * MINUTE_MS;

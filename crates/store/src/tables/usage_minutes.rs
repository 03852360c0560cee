//! Sums over the table `usage_minutes`.

use std::borrow::Cow;

use crate::Error;
use crate::histogram::Histogram;
use crate::row::{Columns, FromRow};
use crate::statement::Value;

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

/// The primary key of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place<'a> {
    /// Minutes that the row covers.
    pub(crate) span: i64,
    /// Minutes since 1970 at which they begin.
    pub(crate) minute: i64,
    /// The provider; empty where none was tried.
    pub(crate) provider: Cow<'a, str>,
    pub(crate) model: Cow<'a, str>,
    /// The client key; empty for requests without one.
    pub(crate) key: Cow<'a, str>,
    /// How the requests ended; empty in sums of earlier versions.
    pub(crate) status: Cow<'a, str>,
}

/// The sums of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MinuteSum {
    /// Requests that have ended.
    pub(crate) requests: i64,
    /// Requests with an error.
    pub(crate) errors: i64,
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    pub(crate) cost_nanos: i64,
    pub(crate) durations: Histogram,
    pub(crate) first_bytes: Histogram,
}

/// A row.
pub(crate) struct StoredSum {
    pub(crate) place: Place<'static>,
    pub(crate) sum: MinuteSum,
}

/// Reads the rows with these primary keys.
pub(crate) const FIND: (&str, usize, &str) = (
    "WITH wanted (span, minute, provider_id, model, key_id, status) AS (VALUES ",
    6,
    ") SELECT sums.span, sums.minute, sums.provider_id, sums.model, sums.key_id, sums.status, sums.requests,
         sums.errors, sums.prompt_tokens, sums.completion_tokens, sums.cost_nanos, sums.durations, sums.first_bytes
     FROM wanted JOIN usage_minutes AS sums ON sums.span = wanted.span AND sums.minute = wanted.minute
         AND sums.provider_id = wanted.provider_id AND sums.model = wanted.model AND sums.key_id = wanted.key_id
         AND sums.status = wanted.status",
);

// === impl Place ===

impl<'a> Place<'a> {
    /// Returns the row with the sums that earlier versions have counted for the same time, provider and model.
    pub(crate) fn of_earlier_versions(&self) -> Self {
        Self { key: Cow::Borrowed(""), status: Cow::Borrowed(""), ..self.clone() }
    }

    /// Returns the values of the primary key.
    pub(crate) fn values(&self) -> [Value<'a>; 6] {
        [
            self.span.into(),
            self.minute.into(),
            self.provider.clone().into(),
            self.model.clone().into(),
            self.key.clone().into(),
            self.status.clone().into(),
        ]
    }
}

/// Returns the minute at which the span begins that contains a time in Unix milliseconds.
pub(crate) fn begin_of(span: i64, time_ms: i64) -> i64 {
    let minute = time_ms.div_euclid(MINUTE_MS);
    minute - minute.rem_euclid(span)
}

// === impl MinuteSum ===

impl MinuteSum {
    /// Adds the counts of another sum.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts_mut().into_iter().zip(other.counts()) {
            *count = count.saturating_add(more);
        }
        self.durations.merge(&other.durations);
        self.first_bytes.merge(&other.first_bytes);
    }

    /// Subtracts the counts of another sum as far as they are part of this one; `other` keeps the rest.
    pub(crate) fn subtract(&mut self, other: &mut Self) {
        for (count, less) in self.counts_mut().into_iter().zip(other.counts_mut()) {
            let common = (*count).min(*less).max(0);
            *count -= common;
            *less -= common;
        }
        self.durations.subtract(&mut other.durations);
        self.first_bytes.subtract(&mut other.first_bytes);
    }

    /// Returns the values of the columns after the primary key.
    pub(crate) fn values(&self) -> [Value<'static>; 7] {
        [
            self.requests.into(),
            self.errors.into(),
            self.prompt_tokens.into(),
            self.completion_tokens.into(),
            self.cost_nanos.into(),
            self.durations.text().into(),
            self.first_bytes.text().into(),
        ]
    }

    const fn counts(&self) -> [i64; 5] {
        [self.requests, self.errors, self.prompt_tokens, self.completion_tokens, self.cost_nanos]
    }

    const fn counts_mut(&mut self) -> [&mut i64; 5] {
        [
            &mut self.requests,
            &mut self.errors,
            &mut self.prompt_tokens,
            &mut self.completion_tokens,
            &mut self.cost_nanos,
        ]
    }
}

// === impl FromRow ===

impl FromRow for MinuteSum {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            requests: row.int("requests")?,
            errors: row.int("errors")?,
            prompt_tokens: row.int("prompt_tokens")?,
            completion_tokens: row.int("completion_tokens")?,
            cost_nanos: row.int("cost_nanos")?,
            durations: Histogram::parse(&row.text("durations")?),
            first_bytes: Histogram::parse(&row.text("first_bytes")?),
        })
    }
}

impl FromRow for StoredSum {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let text = |column| row.text(column).map(Cow::Owned);
        Ok(Self {
            place: Place {
                span: row.int("span")?,
                minute: row.int("minute")?,
                provider: text("provider_id")?,
                model: text("model")?,
                key: text("key_id")?,
                status: text("status")?,
            },
            sum: MinuteSum::from_row(row)?,
        })
    }
}

//! What has been going on: the newest requests, and figures over all of them. Reads only; no table of its own.

use signalbox_core::schema::RequestStatus;

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::{Error, Store};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A request and how it went, without bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of `Request` and `Response`")]
pub struct Activity {
    pub request_id: String,
    pub session_id: String,
    pub timestamp: i64,
    pub method: String,
    pub path: String,
    pub model: String,
    pub status: RequestStatus,
    pub error: Option<String>,
    pub finish_reason: Option<String>,
    pub duration_ms: Option<i64>,
}

/// Figures over the log and the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests in the log.
    pub requests: i64,
    /// Over all answers, rounded; 0 when there are none.
    pub avg_duration_ms: i64,
    /// Sessions that have not expired.
    pub active_sessions: i64,
    /// Providers, enabled or not.
    pub providers: i64,
    /// Models.
    pub models: i64,
    /// Requests of the last hour.
    pub last_hour: i64,
    /// Requests of the last 24 hours.
    pub last_day: i64,
    /// Answers of the last 24 hours.
    pub answers_last_day: i64,
    /// Those of them that have an error.
    pub errors_last_day: i64,
}

/// The newest requests, the newest first.
///
/// # Errors
/// See [`Error`].
pub async fn recent(store: &Store, limit: i64) -> Result<Vec<Activity>, Error> {
    let recent = Statement::new(
        "SELECT requests.request_id, requests.session_id, requests.timestamp, requests.method, requests.path,
             requests.model, requests.status, responses.error, responses.finish_reason, responses.duration_ms
         FROM requests LEFT JOIN responses ON responses.id = requests.id
         ORDER BY requests.timestamp DESC, requests.id DESC LIMIT $1",
    );
    store.all(recent.bind(limit)).await
}

/// The figures at `now_ms`.
///
/// # Errors
/// See [`Error`].
pub async fn stats(store: &Store, now_ms: i64) -> Result<Stats, Error> {
    // The casts are for PostgreSQL, whose sums and averages of integers are of another type.
    let stats = Statement::new(
        "SELECT (SELECT COUNT(*) FROM requests) AS requests,
             (SELECT CAST(ROUND(COALESCE(AVG(duration_ms), 0)) AS BIGINT) FROM responses) AS avg_duration_ms,
             (SELECT COUNT(*) FROM sessions WHERE expires_at > $1) AS active_sessions,
             (SELECT COUNT(*) FROM providers) AS providers,
             (SELECT COUNT(*) FROM models) AS models,
             (SELECT COUNT(*) FROM requests WHERE timestamp > $2) AS last_hour,
             (SELECT COUNT(*) FROM requests WHERE timestamp > $3) AS last_day,
             (SELECT COUNT(*) FROM responses WHERE timestamp > $4) AS answers_last_day,
             (SELECT COUNT(*) FROM responses WHERE timestamp > $5 AND error IS NOT NULL) AS errors_last_day",
    );
    let (hour, day) = (now_ms - HOUR_MS, now_ms - DAY_MS);
    store.one(stats.bind(now_ms).bind(hour).bind(day).bind(day).bind(day), "stats").await
}

// === impl Stats ===

impl Stats {
    /// The share of the last 24 hours' answers without an error, in whole percent; 100 when there are none.
    #[must_use]
    pub fn success_percent(&self) -> i64 {
        match self.answers_last_day {
            0 => 100,
            answers => ((answers - self.errors_last_day) * 100 + answers / 2) / answers,
        }
    }
}

// === impl FromRow ===

impl FromRow for Activity {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            request_id: row.text("request_id")?,
            session_id: row.text("session_id")?,
            timestamp: row.int("timestamp")?,
            method: row.text("method")?,
            path: row.text("path")?,
            model: row.text("model")?,
            status: crate::requests::status_of(row)?,
            error: row.maybe_text("error")?,
            finish_reason: row.maybe_text("finish_reason")?,
            duration_ms: row.maybe_int("duration_ms")?,
        })
    }
}

impl FromRow for Stats {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            requests: row.int("requests")?,
            avg_duration_ms: row.int("avg_duration_ms")?,
            active_sessions: row.int("active_sessions")?,
            providers: row.int("providers")?,
            models: row.int("models")?,
            last_hour: row.int("last_hour")?,
            last_day: row.int("last_day")?,
            answers_last_day: row.int("answers_last_day")?,
            errors_last_day: row.int("errors_last_day")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_is_rounded_and_full_when_nothing_went_wrong() {
        let percent = |answers_last_day, errors_last_day| {
            Stats { answers_last_day, errors_last_day, ..Stats::default() }.success_percent()
        };
        assert_eq!([percent(0, 0), percent(3, 1), percent(2, 2), percent(200, 1)], [100, 67, 0, 100]);
    }
}

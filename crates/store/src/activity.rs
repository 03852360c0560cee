//! Reads the newest requests, and statistics over all requests.
//!
//! Statistics are computed from `usage_hours`, the sums by hour; a partial hour is counted in `requests` through its
//! index.

mod by_provider;

use signalbox_core::schema::RequestStatus;

pub use self::by_provider::{ProviderActivity, by_provider};
use crate::row::{Columns, FromRow};
use crate::statement::{Filtered, Statement};
use crate::tables::requests::status_of;
use crate::tables::usage_hours::HOUR_MS;
use crate::{Error, Page, RowPosition, Store};

const DAY_MS: i64 = 24 * HOUR_MS;

/// A request and its outcome, without bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of `Request` and `Response`")]
pub struct Activity {
    pub id: i64,
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

/// Statistics of the log and the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Number of requests in the log.
    pub requests: i64,
    /// Mean duration of all answers, rounded; 0 if there are none.
    pub avg_duration_ms: i64,
    /// Number of sessions that have not expired.
    pub active_sessions: i64,
    /// Number of providers, enabled or not.
    pub providers: i64,
    /// Number of models.
    pub models: i64,
    /// Number of requests in the last hour.
    pub last_hour: i64,
    /// Number of requests in the last 24 hours.
    pub last_day: i64,
    /// Number of answers to the requests of the last 24 hours.
    pub answers_last_day: i64,
    /// Number of those answers that have an error.
    pub errors_last_day: i64,
    /// The sum of the known costs of all requests, in nano-dollars.
    pub cost_nanos: i64,
    /// Number of answers whose cost is unknown.
    pub unpriced: i64,
}

const STATS: &str = "SELECT all_hours.requests, all_hours.avg_duration_ms, all_hours.cost_nanos, all_hours.unpriced,
         (SELECT CAST(COALESCE(SUM(sessions), 0) AS BIGINT) FROM session_hours WHERE hour >= $10)
             + (SELECT COUNT(*) FROM sessions WHERE expires_at > $1 AND expires_at < $11) AS active_sessions,
         (SELECT COUNT(*) FROM providers) AS providers,
         (SELECT COUNT(*) FROM models) AS models,
         all_hours.last_hour + (SELECT COUNT(*) FROM requests WHERE timestamp > $2 AND timestamp < $3) AS last_hour,
         all_hours.last_day + edge.requests AS last_day,
         all_hours.answers_last_day + edge.answers AS answers_last_day,
         all_hours.errors_last_day + edge.errors AS errors_last_day
     FROM (SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) AS requests,
               CAST(ROUND(COALESCE(SUM(duration_ms) * 1.0 / NULLIF(SUM(timed), 0), 0)) AS BIGINT) AS avg_duration_ms,
               CAST(COALESCE(SUM(cost_nanos), 0) AS BIGINT) AS cost_nanos,
               CAST(COALESCE(SUM(unpriced), 0) AS BIGINT) AS unpriced,
               CAST(COALESCE(SUM(CASE WHEN hour >= $4 THEN requests END), 0) AS BIGINT) AS last_hour,
               CAST(COALESCE(SUM(CASE WHEN hour >= $5 THEN requests END), 0) AS BIGINT) AS last_day,
               CAST(COALESCE(SUM(CASE WHEN hour >= $6 THEN answers END), 0) AS BIGINT) AS answers_last_day,
               CAST(COALESCE(SUM(CASE WHEN hour >= $7 THEN errors END), 0) AS BIGINT) AS errors_last_day
           FROM usage_hours) AS all_hours,
         (SELECT COUNT(*) AS requests, COUNT(responses.id) AS answers, COUNT(responses.error) AS errors
          FROM requests LEFT JOIN responses ON responses.id = requests.id
          WHERE requests.timestamp > $8 AND requests.timestamp < $9) AS edge";

/// Returns the newest requests, the newest first; only those after `after`, if it is given.
///
/// # Errors
/// See [`Error`].
pub async fn recent(store: &Store, after: Option<&RowPosition<i64>>, page: Page) -> Result<Vec<Activity>, Error> {
    store.all(recent_statement(after, page.check()?)).await
}

/// Returns the statistics at `now_ms`.
///
/// # Errors
/// See [`Error`].
pub async fn stats(store: &Store, now_ms: i64) -> Result<Stats, Error> {
    store.one(stats_statement(now_ms), "stats").await
}

pub(crate) fn recent_statement<'a>(after: Option<&RowPosition<i64>>, page: Page) -> Statement<'a> {
    let mut filtered = Filtered::default();
    if let Some(RowPosition { at, id }) = after {
        filtered.and_pair("(requests.timestamp, requests.id) < (?, ?)", (*at, *id));
    }
    let select = "SELECT requests.id, requests.request_id, requests.session_id, requests.timestamp, requests.method,
             requests.path, requests.model, requests.status, responses.error, responses.finish_reason,
             responses.duration_ms
         FROM requests LEFT JOIN responses ON responses.id = requests.id WHERE requests.id IN ";
    let ids = ("SELECT requests.id FROM requests", "ORDER BY requests.timestamp DESC, requests.id DESC");
    filtered.page_of(select, ids, " ORDER BY requests.timestamp DESC, requests.id DESC", page)
}

pub(crate) fn stats_statement(now_ms: i64) -> Statement<'static> {
    let (hour, day) = (now_ms - HOUR_MS, now_ms - DAY_MS);
    // The first hour that lies completely within the period.
    let first = |since: i64| since / HOUR_MS + 1;
    Statement::new(STATS)
        .bind(now_ms)
        .bind(hour)
        .bind(first(hour) * HOUR_MS)
        .bind(first(hour))
        .bind(first(day))
        .bind(first(day))
        .bind(first(day))
        .bind(day)
        .bind(first(day) * HOUR_MS)
        .bind(first(now_ms))
        .bind(first(now_ms) * HOUR_MS)
}

// === impl Stats ===

impl Stats {
    /// Returns the share of the last 24 hours' answers that have no error, in whole percent; 100 if there are none.
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
            id: row.int("id")?,
            request_id: row.text("request_id")?,
            session_id: row.text("session_id")?,
            timestamp: row.int("timestamp")?,
            method: row.text("method")?,
            path: row.text("path")?,
            model: row.text("model")?,
            status: status_of(row)?,
            error: row.optional_text("error")?,
            finish_reason: row.optional_text("finish_reason")?,
            duration_ms: row.optional_int("duration_ms")?,
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
            cost_nanos: row.int("cost_nanos")?,
            unpriced: row.int("unpriced")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_success_rate_is_rounded_and_100_without_errors() {
        let percent = |answers_last_day, errors_last_day| {
            Stats { answers_last_day, errors_last_day, ..Stats::default() }.success_percent()
        };
        assert_eq!([percent(0, 0), percent(3, 1), percent(2, 2), percent(200, 1)], [100, 67, 0, 100]);
    }
}

//! Routes of `/api/activity`: recent requests and statistics.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use signalbox_core::schema::RequestStatus;
use signalbox_daemon::clock::unix_ms;
use signalbox_store::RowPosition;
use signalbox_store::activity::{self, Activity};
use utoipa::ToSchema;

use super::cursor;
use super::filters::Pages;
use super::query::{Query, one_more, take_last};
use super::views::dollars;
use super::{App, Error};

/// Default number of listed requests.
const RECENT: i64 = 20;

/// The newest requests.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recent {
    activities: Vec<ActivityEntry>,
    /// The number of requests in this answer.
    total: usize,
    limit: i64,
    /// The cursor of the next page; null at the end.
    next_cursor: Option<String>,
}

/// A request, described in words.
#[derive(Debug, Serialize, ToSchema)]
struct ActivityEntry {
    /// The request's UUID.
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// `started`, `completed` or `failed`.
    action: &'static str,
    description: String,
    /// `2 minutes ago`.
    timestamp: String,
    timestamp_ms: i64,
    metadata: Details,
}

/// The details of a request.
#[derive(Debug, Serialize, ToSchema)]
struct Details {
    method: String,
    path: String,
    /// `success` or `error`.
    status: &'static str,
    duration_ms: Option<i64>,
    session_id: String,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActivityStats {
    stats: Figures,
}

/// Statistics of the log and the catalogue.
#[derive(Debug, Serialize, ToSchema)]
struct Figures {
    total_api_requests: i64,
    avg_response_time_ms: i64,
    active_sessions: i64,
    /// In the last 24 hours.
    recent_errors: i64,
    total_providers: i64,
    total_models: i64,
    requests_last_hour: i64,
    requests_last_day: i64,
    /// In the last 24 hours; 100 if there were no answers.
    success_rate_percent: i64,
    /// The sum of the known costs of all requests, in dollars.
    total_cost_usd: f64,
    /// Number of answers whose cost is unknown.
    unpriced: i64,
}

/// Lists the newest requests, described in words.
#[utoipa::path(
    get, path = "/api/activity/recent", tag = "activity",
    params(
        Pages,
        ("cursor" = Option<String>, Query, pattern = "^(q[0-9a-f]{32})?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "The latest requests, newest first", body = Recent)),
)]
pub(super) async fn recent(State(app): State<App>, mut query: Query) -> Result<Json<Recent>, Error> {
    let (page, after) = query.cursor_page(cursor::REQUESTS, RECENT);
    query.finish()?;
    let now_ms = unix_ms();
    let mut rows = activity::recent(&app.store, after.as_ref(), one_more(page)).await?;
    let has_more = take_last(&mut rows, page.limit);
    let last = rows.last().filter(|_| has_more).map(|last| RowPosition { at: last.timestamp, id: last.id });
    let next_cursor = last.map(|last| cursor::REQUESTS.text(&last));
    let activities: Vec<_> = rows.into_iter().map(|row| ActivityEntry::new(row, now_ms)).collect();
    Ok(Json(Recent { total: activities.len(), limit: page.limit, next_cursor, activities }))
}

/// Returns statistics of all requests, and of the last hour and day.
#[utoipa::path(
    get, path = "/api/activity/stats", tag = "activity",
    responses((status = 200, description = "Counts and rates", body = ActivityStats)),
)]
pub(super) async fn stats(State(app): State<App>) -> Result<Json<ActivityStats>, Error> {
    let stats = activity::stats(&app.store, unix_ms()).await?;
    Ok(Json(ActivityStats {
        stats: Figures {
            total_api_requests: stats.requests,
            avg_response_time_ms: stats.avg_duration_ms,
            active_sessions: stats.active_sessions,
            recent_errors: stats.errors_last_day,
            total_providers: stats.providers,
            total_models: stats.models,
            requests_last_hour: stats.last_hour,
            requests_last_day: stats.last_day,
            success_rate_percent: stats.success_percent(),
            total_cost_usd: dollars(stats.cost_nanos),
            unpriced: stats.unpriced,
        },
    }))
}

/// Formats a duration in milliseconds, rounded down to a whole unit: `2 minutes ago`.
fn ago(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0) / 1000;
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" })
}

// === impl ActivityEntry ===

impl ActivityEntry {
    fn new(row: Activity, now_ms: i64) -> Self {
        let failed = row.error.is_some() || row.status.has_failed();
        Self {
            id: row.request_id.clone(),
            kind: "api_request",
            action: match row.status {
                RequestStatus::Pending => "started",
                _ if failed => "failed",
                _ => "completed",
            },
            description: format!("API request to {} (model: {})", row.path, row.model),
            timestamp: ago(now_ms.saturating_sub(row.timestamp)),
            timestamp_ms: row.timestamp,
            metadata: Details {
                method: row.method,
                path: row.path,
                status: if failed { "error" } else { "success" },
                duration_ms: row.duration_ms,
                session_id: row.session_id,
                request_id: row.request_id,
                error: row.error,
                finish_reason: row.finish_reason,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn times_are_shown_in_their_largest_unit() {
        let cases = [
            (-5, "0 seconds ago"),
            (1000, "1 second ago"),
            (59_999, "59 seconds ago"),
            (60_000, "1 minute ago"),
            (7_200_000, "2 hours ago"),
            (86_400_000, "1 day ago"),
            (864_000_000, "10 days ago"),
        ];
        for (milliseconds, said) in cases {
            assert_eq!(ago(milliseconds), said);
        }
    }
}

//! `/api/activity`: what has been going on.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use signalbox_core::schema::RequestStatus;
use signalbox_store::activity::{self, Activity};

use super::query::Query;
use super::{App, Error, now_ms};

/// How many are shown unless somebody says otherwise.
const RECENT: i64 = 20;

/// `GET /api/activity/recent?limit` → `{"activities": [...], "total", "limit"}`, the newest first.
pub(super) async fn recent(State(app): State<App>, mut query: Query) -> Result<Json<Value>, Error> {
    let page = query.page(RECENT);
    query.finish()?;
    let now_ms = now_ms();
    let rows = activity::recent(&app.store, page.limit).await?;
    let activities: Vec<Value> = rows.iter().map(|row| view(row, now_ms)).collect();
    Ok(Json(json!({ "total": activities.len(), "limit": page.limit, "activities": activities })))
}

/// `GET /api/activity/stats` → `{"stats": {...}}`, all of it numbers.
pub(super) async fn stats(State(app): State<App>) -> Result<Json<Value>, Error> {
    let stats = activity::stats(&app.store, now_ms()).await?;
    Ok(Json(json!({ "stats": {
        "total_api_requests": stats.requests,
        "avg_response_time_ms": stats.avg_duration_ms,
        "active_sessions": stats.active_sessions,
        "recent_errors": stats.errors_last_day,
        "total_providers": stats.providers,
        "total_models": stats.models,
        "requests_last_hour": stats.last_hour,
        "requests_last_day": stats.last_day,
        "success_rate_percent": stats.success_percent(),
    } })))
}

fn view(row: &Activity, now_ms: i64) -> Value {
    let failed = row.error.is_some() || row.status.has_failed();
    let mut metadata = json!({
        "method": row.method,
        "path": row.path,
        "status": if failed { "error" } else { "success" },
        "duration_ms": row.duration_ms,
        "session_id": row.session_id,
        "request_id": row.request_id,
    });
    for (name, value) in [("error", &row.error), ("finish_reason", &row.finish_reason)] {
        if let Some(value) = value {
            metadata[name] = value.as_str().into();
        }
    }
    json!({
        "id": row.request_id,
        "type": "api_request",
        "action": match row.status {
            RequestStatus::Pending => "started",
            _ if failed => "failed",
            _ => "completed",
        },
        "description": format!("API request to {} (model: {})", row.path, row.model),
        "timestamp": ago(now_ms - row.timestamp),
        "timestamp_ms": row.timestamp,
        "metadata": metadata,
    })
}

/// `milliseconds` as people say it.
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

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn times_are_said_in_their_largest_unit() {
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

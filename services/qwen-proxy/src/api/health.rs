//! Health checks. None of them calls chat.qwen.ai.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::StatusCode;
use serde_json::{Map, Value, json};
use signalbox_store::{errors, qwen_turns};
use tokio::time::{Duration, timeout};

use crate::{app::App, clock, credentials::NoLogin};

/// Timeout after which the database counts as unavailable.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Age in milliseconds up to which errors count as recent.
const RECENT_ERRORS_MS: i64 = 3_600_000;

/// Number of recent unresolved errors, not counting those caused by clients, above which the service reports itself as
/// degraded.
const MAX_RECENT_ERRORS: i64 = 100;

/// Summary of the error reports.
struct Errors {
    /// Number of recent unresolved errors more severe than a warning.
    recent: i64,
    report: Value,
}

/// Reports that the process responds.
pub(super) async fn live(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"status": "ok", "instance": app.instance}))
}

/// Reports whether requests can be served. A missing login does not make the service unready: inference responses
/// explain what to do.
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let (status, word) = if app.abort_streams.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else {
        (StatusCode::OK, "ok")
    };
    (status, Json(json!({"status": word, "instance": app.instance})))
}

/// Reports the state of all parts. The status is always 200, because requests are served even without a login or the
/// database.
pub(super) async fn health(State(app): State<Arc<App>>) -> Json<Value> {
    Json(Value::Object(summary(&app).await.0))
}

/// Reports the same as [`health`], with figures.
pub(super) async fn detailed(State(app): State<Arc<App>>) -> Json<Value> {
    let (mut report, errors) = summary(&app).await;
    let sessions = report.get("sessions").cloned().unwrap_or_default();
    if let Some(Value::Object(checks)) = report.get_mut("checks") {
        checks.insert("sessions".to_owned(), if sessions.is_null() { "unknown" } else { "ok" }.into());
    }
    let (opened, forgotten) = app.metrics.conversations();
    let memory = Memory::now();
    let metrics = json!({
        "sessions": {"activeSessions": sessions, "totalCreated": opened, "totalCleaned": forgotten},
        "memory": {
            "rss": memory.resident,
            "heapUsed": memory.anonymous,
            "heapTotal": memory.data,
            "external": memory.mapped,
        },
        "process": {
            "pid": std::process::id(),
            "uptime": app.started.elapsed().as_secs(),
            "platform": std::env::consts::OS,
            // Kept for clients of the Node.js version.
            "nodeVersion": null,
            "version": env!("CARGO_PKG_VERSION"),
        },
    });
    report.insert("metrics".to_owned(), metrics);
    report.insert("errors".to_owned(), errors.report);
    Json(Value::Object(report))
}

async fn summary(app: &App) -> (Map<String, Value>, Errors) {
    let now = clock::unix_ms();
    let sessions = timeout(DATABASE_TIMEOUT, qwen_turns::count(&app.store, now)).await.ok().and_then(Result::ok);
    let errors = read_errors(app, now).await;
    // The problem is a machine-readable code, such as `db_replaced`.
    let database = if sessions.is_some() { app.store.problem().unwrap_or("ok") } else { "degraded" };
    let authentication = match app.logins.current(now).await {
        Ok(_) => "ok",
        Err(NoLogin::Missing) => "not_configured",
        Err(NoLogin::Expired) => "expired",
        Err(NoLogin::Unreadable(_)) => "unreadable",
        Err(NoLogin::CoolingDown(_)) => "rate_limited",
    };
    let worry = if errors.recent > MAX_RECENT_ERRORS { "degraded" } else { "ok" };
    let healthy = database == "ok" && worry == "ok";
    let report = json!({
        "status": if healthy { "healthy" } else { "degraded" },
        "instance": app.instance,
        "timestamp": jiff::Timestamp::now().to_string(),
        "uptime": app.started.elapsed().as_secs(),
        "checks": {"authentication": authentication, "errors": worry, "database": database},
        "sessions": sessions,
    });
    let Value::Object(report) = report else { return (Map::new(), errors) };
    (report, errors)
}

async fn read_errors(app: &App, now: i64) -> Errors {
    let read = async {
        let newest = errors::newest(&app.store).await?;
        let all = errors::counts(&app.store, 0).await?;
        let recent = errors::counts(&app.store, now - RECENT_ERRORS_MS).await?;
        Ok::<_, signalbox_store::Error>((newest, all, recent))
    };
    let Ok(Ok((newest, all, recent))) = timeout(DATABASE_TIMEOUT, read).await else {
        return Errors { recent: 0, report: Value::Null };
    };
    let mut by_type: Map<String, Value> = Map::new();
    let mut by_severity: Map<String, Value> = Map::new();
    let (mut total, mut unresolved) = (0, 0);
    for count in &all {
        total += count.total;
        unresolved += count.unresolved;
        for (counts, key) in [(&mut by_type, &count.error_type), (&mut by_severity, &count.severity)] {
            let before = counts.get(key).and_then(Value::as_i64).unwrap_or_default();
            counts.insert(key.clone(), (before + count.total).into());
        }
    }
    let newest = newest.map(|error| {
        json!({
            "error_id": error.error_id,
            "error_message": error.error_message,
            "error_type": error.error_type,
            "severity": error.severity,
            "timestamp": error.timestamp,
            "endpoint": error.endpoint,
        })
    });
    let report = json!({
        "recent_count": recent.iter().map(|count| count.total).sum::<i64>(),
        "unresolved_count": unresolved,
        "last_error": newest,
        "statistics": {
            "total": total,
            "unresolved": unresolved,
            "by_type": by_type,
            "by_severity": by_severity,
        },
    });
    let serious = recent.iter().filter(|count| count.severity != "warning");
    Errors { recent: serious.map(|count| count.unresolved).sum(), report }
}

/// Memory usage in bytes, where the system reports it.
struct Memory {
    /// Resident memory.
    resident: Option<u64>,
    /// The part of the resident memory that the process has allocated.
    anonymous: Option<u64>,
    /// Size of the data segment, including pages not in use.
    data: Option<u64>,
    /// The part of the resident memory that is mapped from files, including the program itself.
    mapped: Option<u64>,
}

impl Memory {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
        };
        Self { resident: bytes("VmRSS"), anonymous: bytes("RssAnon"), data: bytes("VmData"), mapped: bytes("RssFile") }
    }
}

/// Returns the resident memory in bytes, where the system reports it.
pub(super) fn resident_bytes() -> Option<u64> {
    Memory::now().resident
}

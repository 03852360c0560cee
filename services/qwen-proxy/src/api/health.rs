//! How the service is doing.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use super::App;

/// A database that takes longer counts as away.
const PATIENCE: Duration = Duration::from_secs(1);

/// The process answers.
pub(super) async fn live(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"status": "ok", "instance": app.instance}))
}

/// Requests can be answered. Missing credentials do not make it unready: the answer says what to do.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"status": "ok", "instance": app.instance}))
}

/// Everything in one answer.
pub(super) async fn health(State(app): State<Arc<App>>) -> Json<Value> {
    let database_ok = timeout(PATIENCE, app.store.ping()).await.is_ok_and(|ping| ping.is_ok());
    Json(json!({
        "status": if database_ok { "healthy" } else { "degraded" },
        "instance": app.instance,
        "timestamp": jiff::Timestamp::now().to_string(),
        "uptime": app.started.elapsed().as_secs(),
        "checks": {
            "authentication": "not_configured",
            "errors": "ok",
            "database": if database_ok { "ok" } else { "degraded" },
        },
        "sessions": 0,
    }))
}

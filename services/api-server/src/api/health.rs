//! `/api/health`: this process lives. What it depends on has places of its own.

use axum::Json;
use serde_json::{Value, json};

/// `GET /api/health` → `{"status": "ok", "service": "api-server", "timestamp": ISO 8601}`.
pub(super) async fn health() -> Json<Value> {
    let timestamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    Json(json!({ "status": "ok", "service": "api-server", "timestamp": timestamp }))
}

//! `/api/health`: this process lives. What it depends on has places of its own.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::HEALTH;

/// Somebody is there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    status: &'static str,
    service: &'static str,
    /// ISO 8601.
    timestamp: String,
}

/// Whether api-server lives. Needs no client key.
#[utoipa::path(
    get, path = HEALTH, tag = "health",
    responses((status = 200, description = "It lives", body = Health)),
)]
pub(super) async fn health() -> Json<Health> {
    let timestamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    Json(Health { status: "ok", service: "api-server", timestamp })
}

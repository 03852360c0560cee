//! `/api/health`: liveness of this process, without its dependencies.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::HEALTH;

/// Liveness response.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    status: &'static str,
    service: &'static str,
    /// Present time, ISO 8601.
    timestamp: String,
}

/// Reports whether api-server is alive. Needs no authentication.
#[utoipa::path(
    get, path = HEALTH, tag = "health",
    responses((status = 200, description = "It lives", body = Health)),
)]
pub(super) async fn health() -> Json<Health> {
    let timestamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    Json(Health { status: "ok", service: "api-server", timestamp })
}

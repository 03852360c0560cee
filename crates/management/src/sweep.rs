//! `/api/routes/clear-cache` and `/api/routes/reset-breakers`: the state that router processes keep for routes.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::error_schemas::Failure;
use super::{App, Error};

/// Caches were cleared.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CacheCleared {
    success: bool,
    /// The answers that were removed.
    removed: u64,
    /// The router processes whose caches were cleared: all.
    routers: u64,
}

/// Breakers were closed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BreakersReset {
    success: bool,
    /// The breakers that were not closed before.
    closed: u64,
    /// The router processes whose breakers were closed: all.
    routers: u64,
}

/// Removes the answers that routes would give again, in every router process.
///
/// If one of the processes does not answer, the answers of the others are removed, and the request can be repeated.
#[utoipa::path(
    post, path = "/api/routes/clear-cache", tag = "routes",
    responses(
        (status = 200, description = "No process has a cached answer any more", body = CacheCleared),
        (status = 503, description = "`router_unavailable`: a router process does not answer", body = Failure),
    ),
)]
pub(super) async fn clear_cache(State(app): State<App>) -> Result<Json<CacheCleared>, Error> {
    let swept = app.runtime.clear_cache().await.map_err(Error::RouterSilent)?;
    Ok(Json(CacheCleared { success: true, removed: swept.count, routers: swept.routers }))
}

/// Closes all breakers and forgets the waits, in every router process: each target is tried again.
///
/// If one of the processes does not answer, the breakers of the others are closed, and the request can be repeated.
#[utoipa::path(
    post, path = "/api/routes/reset-breakers", tag = "routes",
    responses(
        (status = 200, description = "All breakers are closed", body = BreakersReset),
        (status = 503, description = "`router_unavailable`: a router process does not answer", body = Failure),
    ),
)]
pub(super) async fn reset_breakers(State(app): State<App>) -> Result<Json<BreakersReset>, Error> {
    let swept = app.runtime.reset_breakers().await.map_err(Error::RouterSilent)?;
    Ok(Json(BreakersReset { success: true, closed: swept.count, routers: swept.routers }))
}

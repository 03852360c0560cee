//! `/api/logs`: the last lines of the services' logs.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ResourceKind;
use super::extract::Path;
use super::query::Query;
use super::{App, Error};
use crate::logs::{self, MAX_LINES};

/// Default number of lines.
const DEFAULT_LINES: usize = 50;

/// Last lines of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LastLines {
    service: String,
    /// Lines, the oldest first.
    lines: Vec<String>,
    count: usize,
}

/// Returns the last lines of a log, the oldest first. `combined` merges all services.
#[utoipa::path(
    get, path = "/api/logs/{service}", tag = "logs",
    params(
    ("service" = String, Path, description = "`api-server`, `provider-router` (further workers: `provider-router-2` \
        and so on), `qwen-proxy` or `combined`"),
    ("lines" = Option<u16>, Query, description = "Number of lines, 50 by default", minimum = 1, maximum = 5000),
    ),
    responses((status = 200, description = "The lines", body = LastLines)),
)]
pub(super) async fn last(
    State(app): State<App>,
    Path(service): Path<String>,
    mut query: Query,
) -> Result<Json<LastLines>, Error> {
    let count = query.count("lines", DEFAULT_LINES, MAX_LINES);
    query.finish()?;
    let Some(file) = app.logs.file(&service) else {
        return Err(Error::Missing { what: ResourceKind::Log, id: service });
    };
    let read = tokio::task::spawn_blocking(move || logs::last_lines(&file, count)).await;
    let lines = read.map_err(|_| Error::Panic)?.map_err(|error| Error::Unreadable(error.to_string()))?;
    Ok(Json(LastLines { service, count: lines.len(), lines }))
}

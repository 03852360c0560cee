//! `/api/logs`: what the services said last.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::Thing;
use super::extract::Path;
use super::query::Query;
use super::{App, Error};
use crate::logs::{self, MAX_LINES};

/// Lines that are answered unless a number is given.
const LINES: usize = 50;

/// `GET /api/logs/:service?lines` → `{"service", "lines": [text], "count"}`, oldest first. `combined` is all services.
pub(super) async fn last(
    State(app): State<App>,
    Path(service): Path<String>,
    mut query: Query,
) -> Result<Json<Value>, Error> {
    let count = query.count("lines", LINES, MAX_LINES);
    query.finish()?;
    let Some(file) = app.logs.file(&service) else {
        return Err(Error::Missing { what: Thing::Log, id: service });
    };
    let read = tokio::task::spawn_blocking(move || logs::last_lines(&file, count)).await;
    let lines = read.map_err(|_| Error::Panic)?.map_err(|error| Error::Unreadable(error.to_string()))?;
    Ok(Json(json!({ "service": service, "count": lines.len(), "lines": lines })))
}

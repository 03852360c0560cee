//! `/v1/requests`: logged requests.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::Value;
use signalbox_store::{
    requests::{self, Filter, RequestKey},
    responses,
};

use super::{
    endpoint::Path,
    error::ApiError,
    list::{Parameters, dates, id, listed, mistake, page, text, with},
    rows::{logged_request, logged_response, summarised},
};
use crate::app::App;

/// `GET /v1/requests` with `limit`, `offset` and any of `session_id`, `model`, `stream`, `start_date`, `end_date`.
pub(super) async fn list(State(app): State<Arc<App>>, query: Parameters) -> Result<Json<Value>, ApiError> {
    let page = page(&query, 50)?;
    let (start, end) = dates(&query)?;
    let stream = match text(&query.0, "stream") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(mistake("invalid_stream", "stream must be true or false")),
    };
    let filter = Filter {
        session_id: text(&query.0, "session_id").map(str::to_owned),
        models: text(&query.0, "model").map(str::to_owned).into_iter().collect(),
        stream,
        start,
        end,
        ..Filter::default()
    };
    let list = requests::list(&app.store, &filter, page).await?;
    Ok(Json(listed(&list.map(|(request, summary)| summarised(&request, summary)), page)))
}

/// `GET /v1/requests/{id}`, with its `response` if it exists yet.
pub(super) async fn get(State(app): State<Arc<App>>, Path(number): Path) -> Result<Json<Value>, ApiError> {
    let (request, response) = requests::get(&app.store, &RequestKey::Id(id(&number)?)).await?;
    let response = response.as_ref().map_or(Value::Null, logged_response);
    Ok(Json(with(logged_request(&request), "response", response)))
}

/// `GET /v1/requests/{id}/response`.
pub(super) async fn response(State(app): State<Arc<App>>, Path(number): Path) -> Result<Json<Value>, ApiError> {
    let response = responses::for_request(&app.store, &RequestKey::Id(id(&number)?)).await?;
    Ok(Json(logged_response(&response)))
}

//! `/v1/requests`: logged requests.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};
use signalbox_core::schema::Request;
use signalbox_store::{
    requests::{self, Filter, RequestKey, ResponseSummary},
    responses,
};

use super::{
    error::ApiError,
    list::{Parameters, as_json, dates, id, listed, mistake, page, text, with},
    path::Path,
    responses::logged as logged_response,
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
        model: text(&query.0, "model").map(str::to_owned),
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
    Ok(Json(with(logged(&request), "response", response)))
}

/// `GET /v1/requests/{id}/response`.
pub(super) async fn response(State(app): State<Arc<App>>, Path(number): Path) -> Result<Json<Value>, ApiError> {
    let response = responses::for_request(&app.store, &RequestKey::Id(id(&number)?)).await?;
    Ok(Json(logged_response(&response)))
}

/// Formats a logged request with a summary of its response as `response_summary`.
pub(super) fn summarised(row: &Request, summary: Option<ResponseSummary>) -> Value {
    let summary = summary.map(|response| {
        json!({
            "response_id": response.response_id,
            "finish_reason": response.finish_reason,
            "total_tokens": response.total_tokens,
            "duration_ms": response.duration_ms,
            "error": response.error,
        })
    });
    with(logged(row), "response_summary", summary.unwrap_or_default())
}

/// Formats the summary of a request, for its response.
pub(super) fn short(row: &Request) -> Value {
    json!({
        "id": row.id,
        "request_id": row.request_id,
        "model": row.model,
        "stream": row.stream,
        "timestamp": row.timestamp,
    })
}

/// Formats a logged request. Bodies are embedded as JSON, not as strings.
pub(super) fn logged(row: &Request) -> Value {
    json!({
        "id": row.id,
        "session_id": row.session_id,
        "request_id": row.request_id,
        "timestamp": row.timestamp,
        "method": row.method,
        "path": row.path,
        "openai_request": as_json(&row.openai_request),
        "qwen_request": as_json(&row.qwen_request),
        "model": row.model,
        "stream": row.stream,
        "status": row.status.as_str(),
        "created_at": row.created_at,
    })
}

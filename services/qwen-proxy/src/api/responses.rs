//! `/v1/responses`: logged responses.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};
use signalbox_core::schema::Response;
use signalbox_store::{
    requests::{self, RequestKey},
    responses::{self, Filter, ResponseKey, Stats},
};

use super::{
    error::ApiError,
    list::{Parameters, as_json, dates, id, listed, page, text, with},
    path::Path,
    requests::short,
};
use crate::app::App;

/// `GET /v1/responses` with `limit`, `offset` and any of `session_id`, `request_id` (UUID), `start_date`, `end_date`.
pub(super) async fn list(State(app): State<Arc<App>>, query: Parameters) -> Result<Json<Value>, ApiError> {
    let page = page(&query, 50)?;
    let (start, end) = dates(&query)?;
    let filter = Filter {
        session_id: text(&query.0, "session_id").map(str::to_owned),
        request_id: text(&query.0, "request_id").map(str::to_owned),
        start,
        end,
        ..Filter::default()
    };
    let list = responses::list(&app.store, &filter, page).await?;
    Ok(Json(listed(&list.map(|response| logged(&response)), page)))
}

/// `GET /v1/responses/stats`, of all conversations or of the one given by `session_id`.
pub(super) async fn stats(State(app): State<Arc<App>>, query: Parameters) -> Result<Json<Value>, ApiError> {
    let session_id = text(&query.0, "session_id");
    let statistics = sums(responses::stats(&app.store, session_id).await?);
    Ok(Json(json!({"session_id": session_id.unwrap_or("all"), "statistics": statistics})))
}

/// `GET /v1/responses/{id}`, with a summary of its `request`.
pub(super) async fn get(State(app): State<Arc<App>>, Path(number): Path) -> Result<Json<Value>, ApiError> {
    let response = responses::get(&app.store, &ResponseKey::Id(id(&number)?)).await?;
    let request = match requests::get(&app.store, &RequestKey::Id(response.request_id)).await {
        Ok((request, _)) => short(&request),
        // The request was deleted between the two queries.
        Err(signalbox_store::Error::NotFound { .. }) => Value::Null,
        Err(error) => return Err(error.into()),
    };
    Ok(Json(with(logged(&response), "request", request)))
}

/// Formats a logged response. Bodies are embedded as JSON, not as strings.
pub(super) fn logged(row: &Response) -> Value {
    json!({
        "id": row.id,
        "request_id": row.request_id,
        "session_id": row.session_id,
        "response_id": row.response_id,
        "timestamp": row.timestamp,
        "qwen_response": row.qwen_response.as_deref().map(as_json),
        "openai_response": row.openai_response.as_deref().map(as_json),
        "parent_id": row.parent_id,
        "completion_tokens": row.completion_tokens,
        "prompt_tokens": row.prompt_tokens,
        "total_tokens": row.total_tokens,
        "finish_reason": row.finish_reason,
        "error": row.error,
        "duration_ms": row.duration_ms,
        "created_at": row.created_at,
    })
}

/// Formats the sums over responses.
pub(super) fn sums(stats: Stats) -> Value {
    json!({
        "total_responses": stats.total_responses,
        "total_completion_tokens": stats.total_completion_tokens,
        "total_prompt_tokens": stats.total_prompt_tokens,
        "total_tokens": stats.total_tokens,
        "avg_duration_ms": stats.avg_duration_ms,
    })
}

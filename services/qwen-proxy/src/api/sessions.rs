//! `/v1/sessions`: conversations.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};
use signalbox_store::{
    requests::{self, Filter},
    responses,
    sessions::{self, Sort},
};

use super::{
    error::ApiError,
    list::{Parameters, listed, mistake, page, text},
    path::Path,
    requests::logged,
    responses::sums,
};
use crate::app::App;

/// `GET /v1/sessions` with `limit`, `offset` and `orderBy` (`created_at` or `last_accessed`).
pub(super) async fn list(State(app): State<Arc<App>>, query: Parameters) -> Result<Json<Value>, ApiError> {
    let page = page(&query, 50)?;
    let sort = match text(&query.0, "orderBy") {
        None | Some("created_at") => Sort::CreatedAt,
        Some("last_accessed") => Sort::LastAccessed,
        Some(_) => return Err(mistake("invalid_order", "orderBy must be created_at or last_accessed")),
    };
    Ok(Json(listed(&sessions::list(&app.store, sort, page).await?, page)))
}

/// `GET /v1/sessions/{id}`.
pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Value>, ApiError> {
    let session = sessions::get(&app.store, &id).await?;
    Ok(Json(json!(session)))
}

/// `GET /v1/sessions/{id}/stats`.
pub(super) async fn stats(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Value>, ApiError> {
    let session = sessions::get(&app.store, &id).await?;
    let usage = sums(responses::stats(&app.store, Some(&id)).await?);
    Ok(Json(json!({
        "session_id": session.id,
        "message_count": session.message_count,
        "created_at": session.created_at,
        "last_accessed": session.last_accessed,
        "usage": usage,
    })))
}

/// `GET /v1/sessions/{id}/requests` with `limit` and `offset`.
pub(super) async fn requests(
    State(app): State<Arc<App>>,
    Path(id): Path,
    query: Parameters,
) -> Result<Json<Value>, ApiError> {
    let page = page(&query, 100)?;
    sessions::get(&app.store, &id).await?;
    let filter = Filter { session_id: Some(id), ..Filter::default() };
    let list = requests::list(&app.store, &filter, page).await?;
    Ok(Json(listed(&list.map(|(request, _)| logged(&request)), page)))
}

/// `DELETE /v1/sessions/{id}`, with all that was logged in it.
pub(super) async fn delete(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Value>, ApiError> {
    sessions::delete(&app.store, &id).await?;
    Ok(Json(json!({"deleted": true, "session_id": id})))
}

//! `/v1/responses`: logged responses.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};
use signalbox_store::{
    requests::{self, RequestKey},
    responses::{self, Filter, ResponseKey},
};

use super::{
    endpoint::Path,
    error::ApiError,
    list::{Parameters, dates, id, listed, page, text, with},
    rows::{logged_response, short, sums},
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
    Ok(Json(listed(&list.map(|response| logged_response(&response)), page)))
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
    Ok(Json(with(logged_response(&response), "request", request)))
}

//! `/v1/responses/…`: earlier answers of Responses, from the request log, and the number of tokens of a prompt.
//!
//! Only answers whose ids this gateway made are found here: those of providers with another API. A provider that speaks
//! Responses keeps its own.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};
use signalbox_store::{
    audit::{Actor, with_actor},
    responses::{self, ResponseKey},
};

use super::{error::ApiError, path::Path};
use crate::{
    app::App,
    stored_responses::{StoredError, load, request_of},
};

/// `GET /v1/responses/{id}`: returns an answer as its client received it.
pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Value>, ApiError> {
    Ok(Json(load(&app.store, &id).await?.response))
}

/// `GET /v1/responses/{id}/input_items`: lists the items of its request, newest first as OpenAI does.
pub(super) async fn input_items(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Value>, ApiError> {
    let mut items = load(&app.store, &id).await?.input_items();
    for (index, item) in items.iter_mut().enumerate() {
        if let Value::Object(item) = item {
            // Clients page by the ids, so every item needs one.
            let own = request_of(&id).map_or_else(|| id.clone(), |request| request.simple().to_string());
            item.entry("id").or_insert_with(|| format!("msg_{own}_in{index}").into());
        }
    }
    items.reverse();
    let ends = |item: Option<&Value>| item.map(|item| item["id"].clone());
    let (first, last) = (ends(items.first()), ends(items.last()));
    Ok(Json(json!({"object": "list", "data": items, "first_id": first, "last_id": last, "has_more": false})))
}

/// `DELETE /v1/responses/{id}`: deletes an answer. Its request stays in the log.
pub(super) async fn delete(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Value>, ApiError> {
    load(&app.store, &id).await?;
    let key = ResponseKey::Uuid(request_of(&id).unwrap_or_default().to_string());
    let deleted = responses::delete(&app.store, &key);
    with_actor(Actor::router(), deleted).await.map_err(StoredError::Unavailable)?;
    Ok(Json(json!({"id": id, "object": "response", "deleted": true})))
}

/// `POST /v1/responses/{id}/cancel`: only answers in the background can be cancelled, and there are none here.
pub(super) async fn cancel(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Value>, ApiError> {
    load(&app.store, &id).await?;
    Err(ApiError::NotInBackground)
}

//! `/v1/sessions`: conversations.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};
use signalbox_daemon::{PeerAddr, RequestContext};
use signalbox_store::{
    Page,
    audit::{self, Actor, RequestLine, with_actor},
    requests::{self, Filter},
    responses,
    sessions::{self, Sort},
};

use super::{
    endpoint::Path,
    error::ApiError,
    list::{Parameters, listed, mistake, page, text, with},
    rows::{summarised, sums},
};
use crate::{app::App, clock::unix_ms};

/// Maximum characters of a path in the audit log.
const MAX_AUDITED_PATH: usize = 500;

/// `GET /v1/sessions` with `limit`, `offset` and `orderBy`: `created_at` or `last_accessed`, optionally followed by
/// `DESC`. The newest come first.
pub(super) async fn list(State(app): State<Arc<App>>, query: Parameters) -> Result<Json<Value>, ApiError> {
    let page = page(&query, 50)?;
    let sort = order(text(&query.0, "orderBy").unwrap_or("created_at"))?;
    Ok(Json(listed(&sessions::list(&app.store, sort, page).await?, page)))
}

/// Parses `orderBy`: a column, optionally followed by the direction, which must be descending.
fn order(text: &str) -> Result<Sort, ApiError> {
    let mut words = text.split_ascii_whitespace();
    let sort = match words.next() {
        Some("created_at") => Some(Sort::CreatedAt),
        Some("last_accessed") => Some(Sort::LastAccessed),
        _ => None,
    };
    let is_newest_first = words.next().is_none_or(|direction| direction.eq_ignore_ascii_case("desc"));
    sort.filter(|_| is_newest_first && words.next().is_none()).ok_or_else(|| {
        mistake("invalid_order", "orderBy must be created_at or last_accessed; the order is always descending")
    })
}

/// `GET /v1/sessions/{id}`, with its `request_count`.
pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Value>, ApiError> {
    let session = sessions::get(&app.store, &id).await?;
    let filter = Filter { session_id: Some(id), ..Filter::default() };
    let counted = requests::list(&app.store, &filter, Page { limit: 0, offset: 0 }).await?;
    Ok(Json(with(json!(session), "request_count", counted.total.into())))
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
    let filter = Filter { session_id: Some(id.clone()), ..Filter::default() };
    let list = requests::list(&app.store, &filter, page).await?;
    let list = listed(&list.map(|(request, summary)| summarised(&request, summary)), page);
    Ok(Json(with(list, "session_id", id.into())))
}

/// `DELETE /v1/sessions/{id}`, with all logged requests and responses of the session. The audit log has the deletion.
pub(super) async fn delete(State(app): State<Arc<App>>, Path(id): Path, head: Parts) -> Result<Json<Value>, ApiError> {
    let actor = actor(&head);
    let deleted = with_actor(actor.clone(), sessions::delete(&app.store, &id)).await;
    let error = deleted.err().map(ApiError::from);
    let status = error.as_ref().map_or(StatusCode::OK, ApiError::status);
    if let Err(error) = audit::log_request(&app.store, &actor, status.as_u16(), unix_ms()).await {
        tracing::warn!(%error, "a request is missing in the audit log; its table changes are recorded");
    }
    error.map_or_else(|| Ok(Json(json!({"deleted": true, "session_id": id}))), Err)
}

fn actor(head: &Parts) -> Actor {
    let peer = head.extensions.get::<PeerAddr>();
    let name = peer
        .map_or_else(|| "qwen-proxy".to_owned(), |PeerAddr(peer)| format!("qwen-proxy:{}", peer.ip().to_canonical()));
    let path = head.uri.path().chars().take(MAX_AUDITED_PATH).collect();
    let id = RequestContext::of(&head.extensions).id().to_string();
    Actor { name, request: Some(RequestLine { id, method: head.method.to_string(), path }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_ordered_by_a_column_the_newest_first() {
        for (text, sort) in [
            ("created_at", Sort::CreatedAt),
            ("created_at DESC", Sort::CreatedAt),
            ("last_accessed", Sort::LastAccessed),
            (" last_accessed  desc ", Sort::LastAccessed),
        ] {
            assert_eq!(order(text).unwrap(), sort, "{text}");
        }
        for other in ["", "id", "last_accessed ASC", "last_accessed DESC, id", "last_accessed; DROP TABLE sessions"] {
            assert_eq!(order(other).unwrap_err().code(), "invalid_order", "{other}");
        }
    }
}

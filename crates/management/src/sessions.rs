//! Routes of `/api/sessions`: conversations.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use signalbox_core::schema::Session;
use signalbox_daemon::clock::unix_ms;
use signalbox_store::{Page, RowPosition, requests as log, sessions};
use utoipa::ToSchema;

use super::cursor;
use super::done::Done;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::extract::Path;
use super::filters::{Pages, SessionOrder};
use super::prompt_cache::{self, SessionPromptCache};
use super::query::{Position, Query, one_more};
use super::requests::cursor_of;
use super::views::LoggedRequest;
use super::{App, Error};

/// Maximum characters of the first message that a list shows.
const PREVIEW_CHARS: usize = 100;

/// Maximum sessions of one chat in an answer.
const MAX_CHAT_SESSIONS: i64 = 1000;

/// Number of sessions deleted per statement, so that other writers can run in between.
const DELETE_BATCH: i64 = 500;

/// A page of the list of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionList {
    sessions: Vec<Session>,
    count: usize,
    #[serde(flatten)]
    position: Position,
}

/// The sessions of a chat.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChatSessions {
    sessions: Vec<Session>,
    count: usize,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WholeSession {
    #[serde(flatten)]
    session: Session,
    request_count: i64,
    /// Share of its prompts that the providers had cached.
    prompt_cache: SessionPromptCache,
}

/// A page of the requests of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionRequests {
    session_id: String,
    requests: Vec<LoggedRequest>,
    #[serde(flatten)]
    position: Position,
}

/// The result of a clean-up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CleanedUp {
    success: bool,
    /// The number of deleted sessions.
    deleted: u64,
    message: String,
}

/// Lists conversations, the newest first. First messages are truncated to 100 characters.
#[utoipa::path(
    get, path = "/api/sessions", tag = "sessions",
    params(
        SessionOrder, Pages,
        ("cursor" = Option<String>, Query, pattern = "^(s[0-9a-f]{16}(0[1-9a-f]|[1-9a-f][0-9a-f])*)?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the list", body = SessionList)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<SessionList>, Error> {
    let sort = match query.read::<SessionOrder>().sort.text().as_deref() {
        None | Some("created_at") => sessions::Sort::CreatedAt,
        Some("last_accessed") => sessions::Sort::LastAccessed,
        Some(_) => {
            query.mistake("sort must be created_at or last_accessed");
            sessions::Sort::default()
        }
    };
    let (page, after) = query.cursor_page(cursor::SESSIONS, 50);
    query.finish()?;
    let mut list = sessions::list_after(&app.store, sort, after.as_ref(), one_more(page)).await?;
    let position = Position::of(&mut list, page, |last: &Session| {
        let at = match sort {
            sessions::Sort::CreatedAt => last.created_at,
            sessions::Sort::LastAccessed => last.last_accessed,
        };
        cursor::SESSIONS.text(&RowPosition { at, id: last.id.clone() })
    });
    list.items.iter_mut().for_each(shorten);
    Ok(Json(SessionList { count: list.items.len(), sessions: list.items, position }))
}

/// Lists the conversations of a chat at chat.qwen.ai, at most 1,000, the newest first. First messages are truncated to
/// 100 characters.
#[utoipa::path(
    get, path = "/api/sessions/chat/{id}", tag = "sessions",
    params(("id" = String, Path, description = "Id of the chat")),
    responses((status = 200, description = "Sessions of the chat; empty for an unknown chat", body = ChatSessions)),
)]
pub(super) async fn of_chat(State(app): State<App>, Path(id): Path<String>) -> Result<Json<ChatSessions>, Error> {
    let mut sessions = sessions::of_chat(&app.store, &id, MAX_CHAT_SESSIONS).await?;
    sessions.iter_mut().for_each(shorten);
    Ok(Json(ChatSessions { count: sessions.len(), sessions }))
}

/// Returns one conversation. An expired one is reported as missing even before it is cleaned up.
#[utoipa::path(
    get, path = "/api/sessions/{id}", tag = "sessions",
    params(("id" = String, Path)),
    responses((status = 200, description = "The session", body = WholeSession)),
)]
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Json<WholeSession>, Error> {
    let session = sessions::get(&app.store, &id).await.or_missing(ResourceKind::Session, &id)?;
    if session.expires_at < unix_ms() {
        return Err(Error::Missing { what: ResourceKind::Session, id });
    }
    let prompt_cache = prompt_cache::of_session(&app, &id).await?;
    let filter = log::Filter { session_id: Some(id), ..log::Filter::default() };
    let requests = log::list(&app.store, &filter, Page { limit: 0, offset: 0 }).await?;
    Ok(Json(WholeSession { session, request_count: requests.total, prompt_cache }))
}

/// Lists the requests of a conversation; an unknown conversation has none.
#[utoipa::path(
    get, path = "/api/sessions/{id}/requests", tag = "sessions",
    params(
        ("id" = String, Path), Pages,
        ("cursor" = Option<String>, Query, pattern = "^(q[0-9a-f]{32})?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the list", body = SessionRequests)),
)]
pub(super) async fn requests(
    State(app): State<App>,
    Path(session_id): Path<String>,
    mut query: Query,
) -> Result<Json<SessionRequests>, Error> {
    let (page, after) = query.cursor_page(cursor::REQUESTS, 100);
    query.finish()?;
    let filter = log::Filter { session_id: Some(session_id.clone()), after, ..log::Filter::default() };
    let mut list = log::list(&app.store, &filter, one_more(page)).await?;
    let position = Position::of(&mut list, page, |(request, _)| cursor_of(request));
    let mut requests: Vec<_> = list.items.into_iter().map(|(request, _)| LoggedRequest::from(request)).collect();
    LoggedRequest::name_keys(&app.store, requests.iter_mut()).await?;
    Ok(Json(SessionRequests { session_id, requests, position }))
}

/// Deletes a conversation with its requests and answers.
#[utoipa::path(
    delete, path = "/api/sessions/{id}", tag = "sessions",
    params(("id" = String, Path)),
    responses((status = 200, description = "Deleted", body = Done)),
)]
pub(super) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Done>, Error> {
    sessions::delete(&app.store, &id).await.or_missing(ResourceKind::Session, &id)?;
    Ok(Json(Done::new("Session deleted")))
}

/// Deletes the expired conversations.
#[utoipa::path(
    delete, path = "/api/sessions", tag = "sessions",
    responses((status = 200, description = "Deleted", body = CleanedUp)),
)]
pub(super) async fn delete_expired(State(app): State<App>) -> Result<Json<CleanedUp>, Error> {
    let now = unix_ms();
    let mut deleted = 0;
    loop {
        let batch = sessions::delete_expired(&app.store, now, DELETE_BATCH).await?;
        deleted += batch;
        if batch < DELETE_BATCH.unsigned_abs() {
            break;
        }
    }
    let noun = if deleted == 1 { "session" } else { "sessions" };
    let message = format!("Cleaned up {deleted} expired {noun}");
    Ok(Json(CleanedUp { success: true, deleted, message }))
}

/// Truncates the first message to the length shown in lists.
fn shorten(session: &mut Session) {
    if let Some((end, _)) = session.first_user_message.char_indices().nth(PREVIEW_CHARS) {
        session.first_user_message.truncate(end);
    }
}

//! Routes of `/api/responses`: the logged answers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use signalbox_core::schema::Response;
use signalbox_store::responses::{self, Filter, ResponseKey};
use signalbox_store::{Error as StoreError, RowPosition, requests};
use utoipa::ToSchema;

use super::cursor;
use super::done::Done;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::extract::Path;
use super::filters::{Pages, ResponseFilter};
use super::query::{Position, Query, one_more};
use super::requests::key as request_key;
use super::views::{LoggedResponse, dollars};
use super::{App, Error};

/// A page of the list of answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResponseList {
    responses: Vec<LoggedResponse>,
    /// Only in the list of a single session.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(flatten)]
    position: Position,
}

/// An answer with a summary of its request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestedResponse {
    #[serde(flatten)]
    response: LoggedResponse,
    request: Option<RequestOfResponse>,
}

/// Sums over answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResponseStats {
    total_responses: i64,
    total_tokens: i64,
    total_completion_tokens: i64,
    total_prompt_tokens: i64,
    avg_duration_ms: i64,
    /// The sum of the known costs, in dollars.
    total_cost_usd: f64,
    /// Number of answers whose cost is unknown.
    unpriced: i64,
    /// In percent; 0 if there are no answers.
    success_rate: f64,
}

/// The summary of a request.
#[derive(Debug, Serialize, ToSchema)]
struct RequestOfResponse {
    id: i64,
    request_id: String,
    model: String,
    stream: bool,
    timestamp: i64,
}

/// Lists answers, the newest first. Filters combine.
#[utoipa::path(
    get, path = "/api/responses", tag = "responses",
    params(
        ResponseFilter, Pages,
        ("cursor" = Option<String>, Query, pattern = "^(r[0-9a-f]{32})?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the list", body = ResponseList)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<ResponseList>, Error> {
    let given: ResponseFilter = query.read();
    let filter = Filter {
        session_id: given.session_id.text(),
        request_id: given.request_id.text(),
        finish_reason: given.finish_reason.text(),
        has_error: query.switch("has_error", given.has_error),
        start: query.time("start_date", given.start_date),
        end: query.time("end_date", given.end_date),
        after: None,
    };
    listed(&app, filter, query, 50, None).await
}

/// Lists the answers of a session; an unknown session has none.
#[utoipa::path(
    get, path = "/api/responses/session/{id}", tag = "responses",
    params(
        ("id" = String, Path, description = "The session"), Pages,
        ("cursor" = Option<String>, Query, pattern = "^(r[0-9a-f]{32})?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the list", body = ResponseList)),
)]
pub(super) async fn of_session(
    State(app): State<App>,
    Path(session_id): Path<String>,
    query: Query,
) -> Result<Json<ResponseList>, Error> {
    let filter = Filter { session_id: Some(session_id.clone()), ..Filter::default() };
    listed(&app, filter, query, 100, Some(session_id)).await
}

/// Returns the answer to a request.
#[utoipa::path(
    get, path = "/api/responses/request/{id}", tag = "responses",
    params(("id" = String, Path, description = "The request: a number or a UUID")),
    responses((status = 200, description = "The answer", body = LoggedResponse)),
)]
pub(super) async fn of_request(State(app): State<App>, Path(id): Path<String>) -> Result<Json<LoggedResponse>, Error> {
    let (_, response) = requests::get(&app.store, &request_key(&id)).await.or_missing(ResourceKind::Request, &id)?;
    let response = response.ok_or(Error::Missing { what: ResourceKind::Response, id })?;
    Ok(Json(response.into()))
}

/// Returns counts, token sums and the mean duration.
#[utoipa::path(
    get, path = "/api/responses/stats", tag = "responses",
    params(("session_id" = Option<String>, Query, description = "Only answers of this session")),
    responses((status = 200, description = "The totals", body = ResponseStats)),
)]
pub(super) async fn stats(State(app): State<App>, mut query: Query) -> Result<Json<ResponseStats>, Error> {
    let session_id = query.text("session_id");
    let stats = responses::stats(&app.store, session_id.as_deref()).await?;
    Ok(Json(ResponseStats {
        total_responses: stats.total_responses,
        total_tokens: stats.total_tokens,
        total_completion_tokens: stats.total_completion_tokens,
        total_prompt_tokens: stats.total_prompt_tokens,
        avg_duration_ms: stats.avg_duration_ms,
        total_cost_usd: dollars(stats.cost_nanos),
        unpriced: stats.unpriced,
        success_rate: stats.success_rate(),
    }))
}

/// Returns one answer with a summary of its request.
#[utoipa::path(
    get, path = "/api/responses/{id}", tag = "responses",
    params(("id" = String, Path, description = "A number or a UUID")),
    responses((status = 200, description = "The answer", body = RequestedResponse)),
)]
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Json<RequestedResponse>, Error> {
    let response = responses::get(&app.store, &key(&id)).await.or_missing(ResourceKind::Response, &id)?;
    let request = match requests::get(&app.store, &requests::RequestKey::Id(response.request_id)).await {
        Ok((row, _)) => Some(RequestOfResponse {
            id: row.id,
            request_id: row.request_id,
            model: row.model,
            stream: row.stream,
            timestamp: row.timestamp,
        }),
        // The request was deleted in the meantime.
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Json(RequestedResponse { response: response.into(), request }))
}

/// Deletes an answer; its request is kept.
#[utoipa::path(
    delete, path = "/api/responses/{id}", tag = "responses",
    params(("id" = String, Path, description = "A number or a UUID")),
    responses((status = 200, description = "Deleted", body = Done)),
)]
pub(super) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Done>, Error> {
    responses::delete(&app.store, &key(&id)).await.or_missing(ResourceKind::Response, &id)?;
    Ok(Json(Done::new("Response deleted")))
}

async fn listed(
    app: &App,
    filter: Filter,
    mut query: Query,
    default_limit: i64,
    session_id: Option<String>,
) -> Result<Json<ResponseList>, Error> {
    let (page, after) = query.cursor_page(cursor::RESPONSES, default_limit);
    query.finish()?;
    let mut list = responses::list(&app.store, &Filter { after, ..filter }, one_more(page)).await?;
    let after = |last: &Response| RowPosition { at: last.timestamp, id: last.id };
    let position = Position::of(&mut list, page, |last| cursor::RESPONSES.text(&after(last)));
    let responses = list.items.into_iter().map(LoggedResponse::from).collect();
    Ok(Json(ResponseList { responses, session_id, position }))
}

/// Parses a key like [`request_key`].
fn key(id: &str) -> ResponseKey {
    id.parse().map_or_else(|_| ResponseKey::Uuid(id.to_owned()), ResponseKey::Id)
}

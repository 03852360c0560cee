//! Routes of `/api/requests`: the logged requests.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use signalbox_core::schema::{Request, RequestStatus};
use signalbox_store::requests::{self, Filter, RequestKey, ResponseSummary, SearchLimits};
use signalbox_store::{Page, RowPosition};
use tokio::time::Duration;
use utoipa::ToSchema;

use super::cursor;
use super::done::Done;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::extract::Path;
use super::filters::{Pages, RequestFilter};
use super::parameter::Parameter;
use super::query::{Position, Query, one_more};
use super::views::{LoggedRequest, LoggedResponse, dollars};
use super::{App, Error};

/// A page of the request log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestList {
    requests: Vec<SummarisedRequest>,
    #[serde(flatten)]
    position: Position,
    /// Only with `q`: the number of requests read for this response.
    #[serde(skip_serializing_if = "Option::is_none")]
    scanned: Option<usize>,
    /// Only with `q`: whether all requests have been read. While it is false, `next_cursor` continues the search, even
    /// if nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<bool>,
}

/// A request with a summary of its answer.
#[derive(Debug, Serialize, ToSchema)]
struct SummarisedRequest {
    #[serde(flatten)]
    request: LoggedRequest,
    response_summary: Option<Summary>,
}

/// The summary of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ResponseSummary)]
struct Summary {
    response_id: String,
    finish_reason: Option<String>,
    total_tokens: Option<i64>,
    duration_ms: Option<i64>,
    /// The cost in dollars, if it is known.
    cost_usd: Option<f64>,
    status_code: Option<i64>,
    error: Option<String>,
}

/// A request with its answer, if it has been answered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AnsweredRequest {
    #[serde(flatten)]
    request: LoggedRequest,
    response: Option<LoggedResponse>,
}

/// Limits of the search for one response. A client continues the search with further requests, so that a long search
/// does not delay others.
const SEARCH_LIMITS: SearchLimits =
    SearchLimits { found: 1000, read: 2000, bytes: 64 << 20, time: Duration::from_millis(500) };

/// Maximum characters of a search text.
const MAX_SEARCH_CHARS: usize = 500;

/// Lists the request log, the newest first. Filters combine.
///
/// With `q`, requests are read until the page is full or a limit of the search is reached; then `complete` is false,
/// and `next_cursor` continues. `total` counts the requests that match the other filters.
#[utoipa::path(
    get, path = "/api/requests", tag = "requests",
    params(
        RequestFilter, Pages,
        ("q" = Option<String>, Query, max_length = 500,
         description = "Only requests with this text in a message or in the answer, ignoring case. `offset` counts all requests, matching or not"),
        ("cursor" = Option<String>, Query, pattern = "^(q[0-9a-f]{32})?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the log", body = RequestList)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<RequestList>, Error> {
    let given: RequestFilter = query.read();
    let filter = Filter {
        session_id: given.session_id.text(),
        model: given.model.text(),
        stream: query.switch("stream", given.stream),
        start: query.time("start_date", given.start_date),
        end: query.time("end_date", given.end_date),
        status: status(&mut query, given.status),
        provider_id: given.provider_id.text(),
        key_id: given.key.text(),
        after: None,
    };
    let search_text = query.text("q");
    let (page, after) = query.cursor_page(cursor::REQUESTS, 50);
    if search_text.as_ref().is_some_and(|search_text| search_text.chars().count() > MAX_SEARCH_CHARS) {
        query.mistake(format!("q must have at most {MAX_SEARCH_CHARS} characters"));
    }
    query.finish()?;
    let filter = Filter { after, ..filter };
    if let Some(search_text) = search_text {
        return search(&app, &filter, &search_text, page).await.map(Json);
    }
    let mut list = requests::list(&app.store, &filter, one_more(page)).await?;
    let position = Position::of(&mut list, page, |(request, _)| cursor_of(request));
    let mut requests: Vec<_> = list.items.into_iter().map(SummarisedRequest::from).collect();
    LoggedRequest::name_keys(&app.store, requests.iter_mut().map(|row| &mut row.request)).await?;
    Ok(Json(RequestList { requests, position, scanned: None, complete: None }))
}

async fn search(app: &App, filter: &Filter, text: &str, page: Page) -> Result<RequestList, Error> {
    let bounds = SearchLimits { found: usize::try_from(page.limit).unwrap_or(SEARCH_LIMITS.found), ..SEARCH_LIMITS };
    let found = requests::search(&app.store, filter, text, page.offset, bounds).await?;
    let next = found.next.map(|after| cursor::REQUESTS.text(&after));
    let mut requests: Vec<_> = found.items.into_iter().map(SummarisedRequest::from).collect();
    LoggedRequest::name_keys(&app.store, requests.iter_mut().map(|row| &mut row.request)).await?;
    Ok(RequestList {
        requests,
        scanned: Some(found.read),
        complete: Some(next.is_none()),
        position: Position::ahead(found.total, page, next),
    })
}

/// Returns one request with its answer, if it has been answered.
#[utoipa::path(
    get, path = "/api/requests/{id}", tag = "requests",
    params(("id" = String, Path, description = "A number or a UUID")),
    responses((status = 200, description = "The request", body = AnsweredRequest)),
)]
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Json<AnsweredRequest>, Error> {
    let (request, response) = requests::get(&app.store, &key(&id)).await.or_missing(ResourceKind::Request, &id)?;
    let mut request = LoggedRequest::from(request);
    LoggedRequest::name_keys(&app.store, std::iter::once(&mut request)).await?;
    Ok(Json(AnsweredRequest { request, response: response.map(LoggedResponse::from) }))
}

/// Deletes a request with its answer.
#[utoipa::path(
    delete, path = "/api/requests/{id}", tag = "requests",
    params(("id" = String, Path, description = "A number or a UUID")),
    responses((status = 200, description = "Deleted", body = Done)),
)]
pub(super) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Done>, Error> {
    requests::delete(&app.store, &key(&id)).await.or_missing(ResourceKind::Request, &id)?;
    Ok(Json(Done::new("Request deleted")))
}

/// Returns the cursor that continues a list after this request.
pub(super) fn cursor_of(request: &Request) -> String {
    cursor::REQUESTS.text(&RowPosition { at: request.timestamp, id: request.id })
}

/// Parses a key: an integer is a row number, anything else a UUID, even if it begins with digits.
pub(super) fn key(id: &str) -> RequestKey {
    id.parse().map_or_else(|_| RequestKey::Uuid(id.to_owned()), RequestKey::Id)
}

fn status(query: &mut Query, parameter: Parameter<String>) -> Option<RequestStatus> {
    let status = parameter.text()?;
    let parsed = RequestStatus::parse(&status);
    if parsed.is_none() {
        let words: Vec<&str> = RequestStatus::ALL.iter().map(|(_, word)| *word).collect();
        query.mistake(format!("status must be one of: {}", words.join(", ")));
    }
    parsed
}

// === impl SummarisedRequest ===

impl From<(Request, Option<ResponseSummary>)> for SummarisedRequest {
    fn from((request, response): (Request, Option<ResponseSummary>)) -> Self {
        let summary = |response: ResponseSummary| Summary {
            response_id: response.response_id,
            finish_reason: response.finish_reason,
            total_tokens: response.total_tokens,
            duration_ms: response.duration_ms,
            cost_usd: response.cost_nanos.map(dollars),
            status_code: response.status_code,
            error: response.error,
        };
        Self { request: request.into(), response_summary: response.map(summary) }
    }
}

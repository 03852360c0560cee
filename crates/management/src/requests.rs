//! Routes of `/api/requests`: the logged requests.

pub(super) mod body;
pub(super) mod export;
pub(super) mod in_flight;
pub(super) mod listing;
mod short;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use signalbox_core::schema::Request;
use signalbox_store::requests::{self, Filter, RequestKey, ResponseSummary, SearchLimits};
use signalbox_store::{Page, RowPosition};
use tokio::time::Duration;
use utoipa::ToSchema;

use self::listing::{Listing, Span};
use self::short::{ShortDetail, ShortList};
use super::cursor;
use super::done::Done;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::extract::Path;
use super::filters::{Pages, RequestFilter, RequestOrder};
use super::prompt_cache::{self, PromptCache};
use super::query::Query;
use super::views::{LoggedRequest, LoggedResponse, dollars};
use super::{App, Error};

/// A page of the request log, with the beginnings of bodies or, with `view=short`, without.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum RequestPage {
    Whole(RequestList),
    Short(ShortList),
}

/// A page of the request log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestList {
    requests: Vec<SummarisedRequest>,
    #[serde(flatten)]
    span: Span,
    #[serde(flatten)]
    progress: Progress,
}

/// How far a search has come.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
struct Progress {
    /// Only with `q`: the number of requests read for this response.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scanned: Option<usize>,
    /// Only with `q`: whether all requests have been read. While it is false, `next_cursor` continues the search, even
    /// if nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
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

/// One request, with whole bodies or, with `view=short`, without.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum RequestDetail {
    Whole(Box<AnsweredRequest>),
    Short(Box<ShortDetail>),
}

/// A request with its answer, if it has been answered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AnsweredRequest {
    #[serde(flatten)]
    request: LoggedRequest,
    response: Option<LoggedResponse>,
    /// Share of the prompt that the provider had cached; null without token counts by class.
    prompt_cache: Option<PromptCache>,
}

/// Limits of the search for one response. A client continues the search with further requests, so that a long search
/// does not delay others.
const SEARCH_LIMITS: SearchLimits =
    SearchLimits { found: 1000, read: 2000, bytes: 64 << 20, time: Duration::from_millis(500) };

/// Maximum characters of a text that is searched in bodies or errors.
const MAX_SEARCH_CHARS: usize = 500;

/// Lists the request log, the newest first. Filters combine.
///
/// With `q`, requests are read until the page is full or a limit of the search is reached; then `complete` is false,
/// and `next_cursor` continues. `total` counts the requests that match the other filters.
#[utoipa::path(
    get, path = "/api/requests", tag = "requests",
    params(
        RequestFilter, RequestOrder, Pages,
        ("q" = Option<String>, Query, max_length = 500,
         description = "Only requests with this text in a message or in the answer, ignoring case. `offset` counts all requests, matching or not"),
        ("view" = Option<String>, Query, pattern = "^(short)?$",
         description = "`short` leaves out bodies: rows of some 400 bytes, and `prev_cursor`"),
        ("count" = Option<bool>, Query, description = "`false` leaves `total` null and saves the time to count"),
        ("cursor" = Option<String>, Query, pattern = "^([qb][0-9a-f]{32})?$",
         description = "`next_cursor` of the previous page, or `prev_cursor` of the next one; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the log", body = RequestPage)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<RequestPage>, Error> {
    let is_short = query.word("view", &["short"]).is_some();
    let counts = query.boolean("count").unwrap_or(true);
    let (filter, listing) = listing::read(&mut query);
    let search_text = listing::search_text(&mut query);
    query.finish()?;
    let total = if counts { Some(requests::count(&app.store, &filter).await?) } else { None };
    if let Some(text) = search_text {
        return search(&app, &filter, &text, &listing, (total, is_short)).await.map(Json);
    }
    let progress = Progress::default();
    Ok(Json(if is_short {
        let mut rows = requests::summaries(&app.store, &filter, listing.with_one_more()).await?;
        let span = listing.span(&mut rows, total, |row| RowPosition { at: row.timestamp, id: row.id });
        RequestPage::Short(ShortList::new(rows, span, progress))
    } else {
        let mut rows = requests::uncounted(&app.store, &filter, listing.with_one_more()).await?;
        let span = listing.span(&mut rows, total, |(row, _)| position(row)).without_previous();
        let mut requests: Vec<_> = rows.into_iter().map(SummarisedRequest::from).collect();
        LoggedRequest::name_keys(&app.store, requests.iter_mut().map(|row| &mut row.request)).await?;
        RequestPage::Whole(RequestList { requests, span, progress })
    }))
}

async fn search(
    app: &App,
    filter: &Filter,
    text: &str,
    listing: &Listing,
    (total, is_short): (Option<i64>, bool),
) -> Result<RequestPage, Error> {
    let Page { limit, offset } = listing.page;
    let bounds = SearchLimits { found: usize::try_from(limit).unwrap_or(SEARCH_LIMITS.found), ..SEARCH_LIMITS };
    let mut found = requests::search(&app.store, filter, text, offset, bounds).await?;
    let progress = Progress { scanned: Some(found.read), complete: Some(found.next.is_none()) };
    let span = listing.found(&mut found.items, total, found.next, |(row, _)| position(row));
    if !is_short {
        let mut requests: Vec<_> = found.items.into_iter().map(SummarisedRequest::from).collect();
        LoggedRequest::name_keys(&app.store, requests.iter_mut().map(|row| &mut row.request)).await?;
        return Ok(RequestPage::Whole(RequestList { requests, span: span.without_previous(), progress }));
    }
    let ids: Vec<i64> = found.items.iter().map(|(row, _)| row.id).collect();
    let rows = requests::summaries_of(&app.store, &ids).await?;
    Ok(RequestPage::Short(ShortList::new(rows, span, progress)))
}

/// Returns one request with its answer, if it has been answered.
#[utoipa::path(
    get, path = "/api/requests/{id}", tag = "requests",
    params(
        ("id" = String, Path, description = "A number or a UUID"),
        ("view" = Option<String>, Query, pattern = "^(short)?$",
         description = "`short` leaves out bodies, which have a route each"),
    ),
    responses((status = 200, description = "The request", body = RequestDetail)),
)]
pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    mut query: Query,
) -> Result<Json<RequestDetail>, Error> {
    let is_short = query.word("view", &["short"]).is_some();
    query.finish()?;
    if is_short {
        let (request, response) =
            requests::summary(&app.store, &key(&id)).await.or_missing(ResourceKind::Request, &id)?;
        return Ok(Json(RequestDetail::Short(Box::new(ShortDetail::new(request, response)))));
    }
    let (request, response) = requests::get(&app.store, &key(&id)).await.or_missing(ResourceKind::Request, &id)?;
    let prompt_cache = prompt_cache::of_request(&app, &request, response.as_ref()).await?;
    let mut request = LoggedRequest::from(request);
    LoggedRequest::name_keys(&app.store, std::iter::once(&mut request)).await?;
    let whole = AnsweredRequest { request, response: response.map(LoggedResponse::from), prompt_cache };
    Ok(Json(RequestDetail::Whole(Box::new(whole))))
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
    cursor::REQUESTS.text(&position(request))
}

const fn position(request: &Request) -> RowPosition<i64> {
    RowPosition { at: request.timestamp, id: request.id }
}

/// Parses a key: an integer is a row number, anything else a UUID, even if it begins with digits.
#[must_use]
pub fn key(id: &str) -> RequestKey {
    id.parse().map_or_else(|_| RequestKey::Uuid(id.to_owned()), RequestKey::Id)
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

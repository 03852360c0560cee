//! Table `requests`: the logged requests.

mod newest;
mod search;

use signalbox_core::schema::{Request, RequestStatus, Response};

use crate::bodies::{BodyStart, DELETED_BODY, Reader};
use crate::erasure::{self, Selection};
use crate::row::{Columns, FromRow};
use crate::statement::{Filtered, Statement};
use crate::tables::responses::{self, BY_ID, StoredResponse};
use crate::tables::usage_hours;
use crate::transaction::Transaction;
use crate::{Error, ListPage, Page, RowPosition, Store};

pub use self::newest::{NewRequest, NewRequests, newer_than};
pub use self::search::{SearchLimits, SearchPage, search};
pub use crate::row_keys::RequestKey;

/// The name of a row of this table in errors.
const ENTITY: &str = "request";

/// Number of rows whose excerpts are built at once; each needs some 128 KiB of memory.
const EXCERPTS_AT_ONCE: usize = 16;

/// Length in bytes from which a list does not read the description of the body sent to a provider, which contains the
/// differing text. The SQL of [`page_statement`] repeats the number.
const MAX_LISTED_PIECES_BYTES: usize = 65_536;

/// Selects requests. `None` matches all; filters combine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Requests of this session.
    pub session_id: Option<String>,
    /// Requests for this model.
    pub model: Option<String>,
    /// Requests for a stream, or not for a stream.
    pub stream: Option<bool>,
    /// Requests that arrived at this time or later.
    pub start: Option<i64>,
    /// Requests that arrived at this time or earlier.
    pub end: Option<i64>,
    /// Requests with this status.
    pub status: Option<RequestStatus>,
    /// Requests answered or last tried by this provider.
    pub provider_id: Option<String>,
    /// Requests of this client key.
    pub key_id: Option<String>,
    /// Returns only requests after this one; the total still counts all.
    pub after: Option<RowPosition<i64>>,
}

/// The summary of a response, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseSummary {
    /// See [`Response::response_id`].
    pub response_id: String,
    /// See [`Response::finish_reason`].
    pub finish_reason: Option<String>,
    /// See [`Response::total_tokens`].
    pub total_tokens: Option<i64>,
    /// See [`Response::duration_ms`].
    pub duration_ms: Option<i64>,
    /// The known cost in nano-dollars.
    pub cost_nanos: Option<i64>,
    /// See [`Response::status_code`].
    pub status_code: Option<i64>,
    /// See [`Response::error`].
    pub error: Option<String>,
}

/// A row whose bodies may be stored elsewhere.
struct StoredRequest {
    request: Request,
    pieces: Option<String>,
    upstream_pieces: Option<String>,
}

/// Returns the requests with summaries of their responses, the newest first. A body of more than 8 KiB is returned as
/// an [excerpt](signalbox_core::excerpt); [`get`] returns the whole body.
///
/// # Errors
/// See [`Error`].
pub async fn list(
    store: &Store,
    filter: &Filter,
    page: Page,
) -> Result<ListPage<(Request, Option<ResponseSummary>)>, Error> {
    let page = page.check()?;
    let mut tx = store.read().await?;
    let total = total(&mut tx, filter).await?;
    let rows: Vec<(StoredRequest, Option<ResponseSummary>)> = tx.all(page_statement(filter, page)).await?;
    let (rows, summaries): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let items = fill_excerpts(&mut tx, rows).await?.into_iter().zip(summaries).collect();
    Ok(ListPage { items, total })
}

/// Returns one request with its response, if any.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn get(store: &Store, key: &RequestKey) -> Result<(Request, Option<Response>), Error> {
    let mut tx = store.read().await?;
    let by = match key {
        RequestKey::Id(id) => Statement::new("SELECT * FROM requests WHERE id = $1").bind(*id),
        RequestKey::Uuid(uuid) => Statement::new("SELECT * FROM requests WHERE request_id = $1").bind(uuid),
    };
    let row: StoredRequest = tx.one(by, ENTITY).await?;
    let response: Option<StoredResponse> = tx.first(Statement::new(BY_ID).bind(row.request.id)).await?;
    let request = fill_bodies(&mut tx, vec![row]).await?.pop().ok_or(Error::NotFound { entity: ENTITY })?;
    let response = responses::fill_bodies(&mut tx, response.into_iter().collect()).await?.pop();
    Ok((request, response))
}

/// Deletes a request with its response, and every text of them that no other row contains: see [`crate::erasure`].
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, key: &RequestKey) -> Result<(), Error> {
    match erasure::requests(store, Selection::Request(key)).await? {
        0 => Err(Error::NotFound { entity: ENTITY }),
        _ => Ok(()),
    }
}

/// Fills in the beginnings of the bodies, in groups of rows to limit the memory in use.
async fn fill_excerpts(tx: &mut Transaction, rows: Vec<StoredRequest>) -> Result<Vec<Request>, Error> {
    let mut requests = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut reader = Reader::default();
        let group: Vec<_> = rows
            .by_ref()
            .take(EXCERPTS_AT_ONCE)
            .map(|StoredRequest { request, pieces, upstream_pieces }| {
                let pieces = pieces.map(|json| reader.want_start(request.id, &json));
                let upstream = upstream_pieces
                    .map(|json| (json.len() < MAX_LISTED_PIECES_BYTES).then(|| reader.want_start(request.id, &json)));
                (request, pieces, upstream)
            })
            .collect();
        reader.fetch_starts(tx).await?;
        requests.extend(group.into_iter().map(|(mut request, pieces, upstream)| {
            let own = match pieces {
                None => Some(BodyStart::of_column(std::mem::take(&mut request.request_body))),
                Some(pieces) => reader.start(pieces, None),
            };
            request.upstream_request = match upstream {
                None => BodyStart::of_column(std::mem::take(&mut request.upstream_request)).excerpt(),
                Some(None) => BodyStart::hidden().excerpt(),
                Some(Some(pieces)) => body_or_deleted(reader.start(pieces, own.as_ref())),
            };
            request.request_body = body_or_deleted(own);
            request
        }));
    }
    Ok(requests)
}

fn body_or_deleted(start: Option<BodyStart>) -> String {
    start.map_or_else(|| DELETED_BODY.to_owned(), BodyStart::excerpt)
}

/// Fills in the whole bodies.
async fn fill_bodies(tx: &mut Transaction, rows: Vec<StoredRequest>) -> Result<Vec<Request>, Error> {
    let mut reader = Reader::default();
    let rows: Vec<_> = rows
        .into_iter()
        .map(|StoredRequest { request, pieces, upstream_pieces }| {
            let pieces = pieces.map(|json| reader.want(request.id, &json));
            let upstream = upstream_pieces.map(|json| reader.want(request.id, &json));
            (request, pieces, upstream)
        })
        .collect();
    reader.fetch(tx).await?;
    let whole = |(mut request, pieces, upstream): (Request, _, _)| {
        let own = match pieces {
            None => Some(std::mem::take(&mut request.request_body)),
            Some(pieces) => reader.text(pieces, None),
        };
        if let Some(pieces) = upstream {
            request.upstream_request = reader.text(pieces, own.as_deref()).unwrap_or_else(|| DELETED_BODY.to_owned());
        }
        request.request_body = own.unwrap_or_else(|| DELETED_BODY.to_owned());
        request
    };
    Ok(rows.into_iter().map(whole).collect())
}

/// Returns the number of requests on all pages.
async fn total(tx: &mut Transaction, filter: &Filter) -> Result<i64, Error> {
    let Filter { session_id, model, stream, start, end, status, provider_id, key_id, after: _ } = filter;
    // In the hourly sums, an empty provider means that there was none.
    let is_odd = provider_id.as_ref().is_some_and(String::is_empty);
    if is_odd || key_id.is_some() || session_id.is_some() || stream.is_some() || start.is_some() || end.is_some() {
        return tx.total(filtered(filter).all("SELECT COUNT(*) AS total FROM requests")).await;
    }
    let mut sums = Filtered::default();
    sums.and_if("model = ?", model.as_deref());
    sums.and_if("status = ?", status.map(RequestStatus::as_str));
    sums.and_if("provider_id = ?", provider_id.as_deref());
    tx.total(sums.all(usage_hours::REQUESTS)).await
}

/// Returns the statement for one page, with summaries of the answers.
pub(crate) fn page_statement(filter: &Filter, page: Page) -> Statement<'_> {
    let mut filtered = filtered(filter);
    if let Some(RowPosition { at, id }) = &filter.after {
        filtered.and_pair("(requests.timestamp, requests.id) < (?, ?)", (*at, *id));
    }
    // One more character of each body than a list shows, to tell whether the body is longer.
    let head = "SELECT requests.id, requests.session_id, requests.request_id, requests.timestamp, requests.method,
             requests.path, requests.model, requests.stream, requests.status, requests.provider_id, requests.key_id,
             requests.created_at,
             substr(requests.request_body, 1, 8193) AS request_body,
             substr(requests.upstream_request, 1, 8193) AS upstream_request,
             requests.pieces, substr(requests.upstream_pieces, 1, 65536) AS upstream_pieces,
             responses.id AS response, responses.finish_reason, responses.total_tokens, responses.duration_ms,
             responses.cost_nanos, responses.status_code, responses.error
         FROM requests LEFT JOIN responses ON responses.id = requests.id WHERE requests.id IN ";
    let ids = ("SELECT requests.id FROM requests", "ORDER BY requests.timestamp DESC, requests.id DESC");
    filtered.page_of(head, ids, " ORDER BY requests.timestamp DESC, requests.id DESC", page)
}

fn filtered(filter: &Filter) -> Filtered<'_> {
    let mut filtered = Filtered::default();
    filtered.and_if("requests.session_id = ?", filter.session_id.as_deref());
    filtered.and_if("requests.model = ?", filter.model.as_deref());
    filtered.and_if("requests.stream = ?", filter.stream);
    filtered.and_if("requests.timestamp >= ?", filter.start);
    filtered.and_if("requests.timestamp <= ?", filter.end);
    filtered.and_if("requests.status = ?", filter.status.map(RequestStatus::as_str));
    filtered.and_if("requests.provider_id = ?", filter.provider_id.as_deref());
    filtered.and_if("requests.key_id = ?", filter.key_id.as_deref());
    filtered
}

// === impl FromRow ===

impl FromRow for StoredRequest {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            request: Request::from_row(row)?,
            pieces: row.optional_text("pieces")?,
            upstream_pieces: row.optional_text("upstream_pieces")?,
        })
    }
}

impl FromRow for (StoredRequest, Option<ResponseSummary>) {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let summary = match row.optional_int("response")? {
            None => None,
            Some(_) => Some(ResponseSummary {
                response_id: row.text("request_id")?,
                finish_reason: row.optional_text("finish_reason")?,
                total_tokens: row.optional_int("total_tokens")?,
                duration_ms: row.optional_int("duration_ms")?,
                cost_nanos: row.optional_int("cost_nanos")?,
                status_code: row.optional_int("status_code")?,
                error: row.optional_text("error")?,
            }),
        };
        Ok((StoredRequest::from_row(row)?, summary))
    }
}

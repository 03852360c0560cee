//! Table `requests`: the logged requests.

mod answer_state;
mod body;
mod filter;
mod newest;
mod search;
mod summaries;

use signalbox_core::schema::{Request, Response};

use crate::bodies::{BodyStart, DELETED_BODY, Reader};
use crate::erasure::{self, Selection};
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::tables::responses::{self, BY_ID, StoredResponse};
use crate::transaction::Transaction;
use crate::{Error, ListPage, Page, Store};

pub use self::answer_state::{AnswerState, answer_state};
pub use self::body::{BodyKind, StoredBody, body};
pub use self::filter::{Filter, Order};
pub use self::newest::{NewRequest, NewRequests, newer_than};
pub use self::search::{SearchLimits, SearchPage, search};
#[cfg(test)]
pub(crate) use self::summaries::summary_statement;
pub use self::summaries::{RequestSummary, note_replay, summaries, summaries_of, summary};
pub use crate::row_keys::RequestKey;

/// The name of a row of this table in errors.
const ENTITY: &str = "request";

/// Number of rows whose excerpts are built at once; each needs some 128 KiB of memory.
const EXCERPTS_AT_ONCE: usize = 16;

/// Length in bytes from which a list does not read the description of the body sent to a provider, which contains the
/// differing text. The SQL of [`page_statement`] repeats the number.
const MAX_LISTED_PIECES_BYTES: usize = 65_536;

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
    let total = filter::total(&mut tx, filter).await?;
    let items = read_page(&mut tx, filter, page).await?;
    Ok(ListPage { items, total })
}

/// Returns the same requests as [`list`], without counting those of all pages.
///
/// # Errors
/// See [`Error`].
pub async fn uncounted(
    store: &Store,
    filter: &Filter,
    page: Page,
) -> Result<Vec<(Request, Option<ResponseSummary>)>, Error> {
    let page = page.check()?;
    read_page(&mut store.read().await?, filter, page).await
}

/// Returns the number of requests that match the filter.
///
/// # Errors
/// See [`Error`].
pub async fn count(store: &Store, filter: &Filter) -> Result<i64, Error> {
    filter::total(&mut store.read().await?, filter).await
}

async fn read_page(
    tx: &mut Transaction,
    filter: &Filter,
    page: Page,
) -> Result<Vec<(Request, Option<ResponseSummary>)>, Error> {
    let rows: Vec<(StoredRequest, Option<ResponseSummary>)> = tx.all(page_statement(filter, page)).await?;
    let (rows, summaries): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    Ok(fill_excerpts(tx, rows).await?.into_iter().zip(summaries).collect())
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

/// Returns the statement for one page, with summaries of the answers.
pub(crate) fn page_statement(filter: &Filter, page: Page) -> Statement<'_> {
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
    filter::page_of(filter, head, page)
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

//! Table `requests`.

use signalbox_core::schema::{Request, RequestStatus, Response};

use crate::row::{Columns, FromRow};
use crate::statement::{Filtered, Statement};
use crate::{Error, Listed, Page, Store};

/// What an error calls a row of this table.
const WHAT: &str = "request";

/// Names one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestKey {
    /// Its number.
    Id(i64),
    /// Its `request_id`.
    Uuid(String),
}

/// Which requests. `None` takes all; what is given is combined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this session.
    pub session_id: Option<String>,
    /// That asked for this model.
    pub model: Option<String>,
    /// That asked for a stream, or did not.
    pub stream: Option<bool>,
    /// That arrived at this time or later.
    pub start: Option<i64>,
    /// That arrived at this time or earlier.
    pub end: Option<i64>,
    /// That ended this way.
    pub status: Option<RequestStatus>,
    /// That this provider answered, or was the last to try.
    pub provider_id: Option<String>,
}

/// The short of a response, for lists.
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
    /// See [`Response::status_code`].
    pub status_code: Option<i64>,
    /// See [`Response::error`].
    pub error: Option<String>,
}

/// The requests with the short of their responses, the newest first.
///
/// # Errors
/// See [`Error`].
pub async fn list(
    store: &Store,
    filter: &Filter,
    page: Page,
) -> Result<Listed<(Request, Option<ResponseSummary>)>, Error> {
    let page = page.check()?;
    let filtered = filtered(filter);
    let mut tx = store.read().await?;
    let total = tx.total(filtered.all("SELECT COUNT(*) AS total FROM requests")).await?;
    let select = "SELECT requests.*, responses.response_id, responses.finish_reason, responses.total_tokens,
             responses.duration_ms, responses.status_code, responses.error
         FROM requests LEFT JOIN responses ON responses.request_id = requests.id";
    let items = tx.all(filtered.page(select, "ORDER BY requests.timestamp DESC, requests.id DESC", page)).await?;
    Ok(Listed { items, total })
}

/// One request with its response, if it has one yet.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn get(store: &Store, key: &RequestKey) -> Result<(Request, Option<Response>), Error> {
    let mut tx = store.read().await?;
    let by = match key {
        RequestKey::Id(id) => Statement::new("SELECT * FROM requests WHERE id = $1").bind(*id),
        RequestKey::Uuid(uuid) => Statement::new("SELECT * FROM requests WHERE request_id = $1").bind(uuid),
    };
    let request: Request = tx.one(by, WHAT).await?;
    let response = Statement::new("SELECT * FROM responses WHERE request_id = $1").bind(request.id);
    let response = tx.first(response).await?;
    Ok((request, response))
}

/// Deletes a request with its response.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, key: &RequestKey) -> Result<(), Error> {
    let by = match key {
        RequestKey::Id(id) => Statement::new("DELETE FROM requests WHERE id = $1").bind(*id),
        RequestKey::Uuid(uuid) => Statement::new("DELETE FROM requests WHERE request_id = $1").bind(uuid),
    };
    store.change(by, WHAT).await
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
    filtered
}

// === impl FromRow ===

impl FromRow for Request {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let status = row.text("status")?;
        Ok(Self {
            id: row.int("id")?,
            session_id: row.text("session_id")?,
            request_id: row.text("request_id")?,
            timestamp: row.int("timestamp")?,
            method: row.text("method")?,
            path: row.text("path")?,
            openai_request: row.text("openai_request")?,
            qwen_request: row.text("qwen_request")?,
            model: row.text("model")?,
            stream: row.flag("stream")?,
            status: RequestStatus::parse(&status)
                .ok_or_else(|| Error::unreadable("requests.status", format_args!("unknown word {status:?}")))?,
            provider_id: row.maybe_text("provider_id")?,
            created_at: row.int("created_at")?,
        })
    }
}

impl FromRow for (Request, Option<ResponseSummary>) {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let summary = match row.maybe_text("response_id")? {
            None => None,
            Some(response_id) => Some(ResponseSummary {
                response_id,
                finish_reason: row.maybe_text("finish_reason")?,
                total_tokens: row.maybe_int("total_tokens")?,
                duration_ms: row.maybe_int("duration_ms")?,
                status_code: row.maybe_int("status_code")?,
                error: row.maybe_text("error")?,
            }),
        };
        Ok((Request::from_row(row)?, summary))
    }
}

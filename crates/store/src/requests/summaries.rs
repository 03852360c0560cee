//! Requests without their bodies: the rows of long lists.

use signalbox_core::schema::{RequestStatus, Response};

use super::{ENTITY, Filter, RequestKey, filter};
use crate::bodies::length_of;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::statement::Statement;
use crate::tables::requests::status_of;
use crate::transaction::Transaction;
use crate::{Error, Page, Store, responses};

/// A request and its outcome, without bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of `Request` and `Response`")]
pub struct RequestSummary {
    pub id: i64,
    pub request_id: String,
    pub session_id: String,
    pub timestamp: i64,
    pub method: String,
    pub path: String,
    pub model: String,
    pub stream: bool,
    pub status: RequestStatus,
    pub provider_id: Option<String>,
    /// The key that the request was authenticated with.
    pub key_id: Option<String>,
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    pub total_tokens: Option<i64>,
    pub cost_nanos: Option<i64>,
    pub first_byte_ms: Option<i64>,
    pub duration_ms: Option<i64>,
    /// `None` while the request is pending.
    pub attempts: Option<i64>,
    pub truncated: bool,
    pub status_code: Option<i64>,
    pub finish_reason: Option<String>,
    /// The first 200 characters of the error.
    pub error: Option<String>,
    /// The length of the client's body in bytes.
    pub request_bytes: Option<i64>,
    /// The length of the logged answer in bytes; `None` if it is not kept.
    pub response_bytes: Option<i64>,
    /// The UUID of the request that this one repeats.
    pub replay_of: Option<String>,
}

/// Selects the columns of a summary.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT requests.id, requests.request_id, requests.session_id, requests.timestamp, requests.method,
                 requests.path, requests.model, requests.stream, requests.status, requests.provider_id, requests.key_id,
                 CAST(octet_length(requests.request_body) AS BIGINT) AS request_bytes, requests.pieces,
                 responses.prompt_tokens, responses.completion_tokens, responses.total_tokens, responses.cost_nanos,
                 responses.first_byte_ms, responses.duration_ms, responses.attempts, responses.status_code,
                 responses.finish_reason, COALESCE(responses.truncated, FALSE) AS truncated,
                 substr(responses.error, 1, 200) AS error,
                 CAST(octet_length(responses.response_body) AS BIGINT) AS response_bytes,
                 (SELECT replay_of FROM replays WHERE replays.request_id = requests.request_id) AS replay_of
             FROM requests LEFT JOIN responses ON responses.id = requests.id WHERE requests.id IN ",
            $which
        )
    };
}

const BY_NUMBERS: (&str, usize, &str) = (select!("(VALUES "), 1, ")");

/// Returns the summaries of the requests, in the order of the filter.
///
/// # Errors
/// See [`Error`].
pub async fn summaries(store: &Store, filter: &Filter, page: Page) -> Result<Vec<RequestSummary>, Error> {
    let page = page.check()?;
    let mut tx = store.read().await?;
    let rows = tx.all(summary_statement(filter, page)).await?;
    fill_lengths(&mut tx, rows).await
}

/// Returns the summaries of the requests with these numbers, in the order of the numbers; unknown ones are left out.
///
/// # Errors
/// See [`Error`].
pub async fn summaries_of(store: &Store, ids: &[i64]) -> Result<Vec<RequestSummary>, Error> {
    let mut tx = store.read().await?;
    let mut wanted = Rows::new(BY_NUMBERS.0, BY_NUMBERS.1, BY_NUMBERS.2);
    ids.iter().for_each(|id| wanted.push([(*id).into()]));
    let rows = wanted.all(&mut tx).await?;
    let mut rows = fill_lengths(&mut tx, rows).await?;
    rows.sort_by_key(|row| ids.iter().position(|id| *id == row.id));
    Ok(rows)
}

/// Returns the summary of one request, and its response without bodies, if any.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn summary(store: &Store, key: &RequestKey) -> Result<(RequestSummary, Option<Response>), Error> {
    let mut tx = store.read().await?;
    let by = match key {
        RequestKey::Id(id) => Statement::new(select!("($1)")).bind(*id),
        RequestKey::Uuid(uuid) => Statement::new(select!("(SELECT id FROM requests WHERE request_id = $1)")).bind(uuid),
    };
    let row = tx.one(by, ENTITY).await?;
    let row = fill_lengths(&mut tx, vec![row]).await?.pop().ok_or(Error::NotFound { entity: ENTITY })?;
    let response = responses::without_bodies(&mut tx, row.id).await?;
    Ok((row, response))
}

/// Notes that the request with the UUID `request_id`, which may not be in the log yet, repeats another one.
///
/// # Errors
/// See [`Error`].
pub async fn note_replay(store: &Store, request_id: &str, replay_of: &str) -> Result<(), Error> {
    let mut tx = store.write_log().await?;
    let insert = "INSERT INTO replays (request_id, replay_of) VALUES ($1, $2) ON CONFLICT (request_id) DO NOTHING";
    tx.execute(Statement::new(insert).bind(request_id).bind(replay_of)).await?;
    tx.commit().await
}

pub(crate) fn summary_statement(filter: &Filter, page: Page) -> Statement<'_> {
    filter::page_of(filter, select!(""), page)
}

/// Fills in the lengths of the answers that are stored apart.
async fn fill_lengths(tx: &mut Transaction, mut rows: Vec<RequestSummary>) -> Result<Vec<RequestSummary>, Error> {
    let apart = rows.iter().filter(|row| row.attempts.is_some() && row.response_bytes.is_none()).map(|row| row.id);
    let lengths = responses::lengths(tx, apart).await?;
    for row in &mut rows {
        let length = lengths.get(&row.id).filter(|length| **length > 0);
        row.response_bytes = row.response_bytes.or_else(|| i64::try_from(*length?).ok());
    }
    Ok(rows)
}

// === impl FromRow ===

impl FromRow for RequestSummary {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let apart =
            row.optional_text("pieces")?.map(|pieces| length_of(&pieces).and_then(|len| i64::try_from(len).ok()));
        Ok(Self {
            id: row.int("id")?,
            request_id: row.text("request_id")?,
            session_id: row.text("session_id")?,
            timestamp: row.int("timestamp")?,
            method: row.text("method")?,
            path: row.text("path")?,
            model: row.text("model")?,
            stream: row.flag("stream")?,
            status: status_of(row)?,
            provider_id: row.optional_text("provider_id")?,
            key_id: row.optional_text("key_id")?,
            prompt_tokens: row.optional_int("prompt_tokens")?,
            completion_tokens: row.optional_int("completion_tokens")?,
            total_tokens: row.optional_int("total_tokens")?,
            cost_nanos: row.optional_int("cost_nanos")?,
            first_byte_ms: row.optional_int("first_byte_ms")?,
            duration_ms: row.optional_int("duration_ms")?,
            attempts: row.optional_int("attempts")?,
            truncated: row.flag("truncated")?,
            status_code: row.optional_int("status_code")?,
            finish_reason: row.optional_text("finish_reason")?,
            error: row.optional_text("error")?,
            request_bytes: match apart {
                Some(length) => length,
                None => row.optional_int("request_bytes")?,
            },
            response_bytes: row.optional_int("response_bytes")?,
            replay_of: row.optional_text("replay_of")?,
        })
    }
}

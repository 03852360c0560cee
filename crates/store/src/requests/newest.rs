//! The newest requests, for clients that poll.

use signalbox_core::schema::RequestStatus;

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::tables::requests::status_of;
use crate::{Error, Store};

/// The requests that were added since the last poll.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRequests {
    /// The highest number in the log; 0 if it is empty.
    pub last: i64,
    /// The new requests, the newest first.
    pub requests: Vec<NewRequest>,
}

/// A request without its bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of `Request`")]
pub struct NewRequest {
    pub id: i64,
    pub request_id: String,
    pub session_id: String,
    pub timestamp: i64,
    pub model: String,
    pub stream: bool,
    pub status: RequestStatus,
    pub provider_id: Option<String>,
}

struct LastId(i64);

/// Returns the requests with a number higher than `after`, at most `limit`. Without `after`, returns only the highest
/// number in the log.
///
/// # Errors
/// See [`Error`].
pub async fn newer_than(store: &Store, after: Option<i64>, limit: i64) -> Result<NewRequests, Error> {
    let Some(after) = after else {
        let last = Statement::new("SELECT COALESCE(MAX(id), 0) AS last FROM requests");
        let LastId(last) = store.one(last, "count").await?;
        return Ok(NewRequests { last, requests: Vec::new() });
    };
    let newer = Statement::new(
        "SELECT id, request_id, session_id, timestamp, model, stream, status, provider_id FROM requests
         WHERE id > $1 ORDER BY id DESC LIMIT $2",
    );
    let requests: Vec<NewRequest> = store.all(newer.bind(after).bind(limit)).await?;
    Ok(NewRequests { last: requests.first().map_or(after, |request| request.id), requests })
}

// === impl FromRow ===

impl FromRow for LastId {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.int("last").map(Self)
    }
}

impl FromRow for NewRequest {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.int("id")?,
            request_id: row.text("request_id")?,
            session_id: row.text("session_id")?,
            timestamp: row.int("timestamp")?,
            model: row.text("model")?,
            stream: row.flag("stream")?,
            status: status_of(row)?,
            provider_id: row.optional_text("provider_id")?,
        })
    }
}

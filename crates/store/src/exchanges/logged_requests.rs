//! Looks up requests that are in the log already.

use std::collections::HashMap;

use signalbox_core::schema::RequestStatus;

use crate::Error;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::transaction::Transaction;

/// A request in the log.
#[derive(Debug)]
pub(super) struct LoggedRequest {
    pub(super) id: i64,
    pub(super) session_id: String,
    /// Whether the request has not ended yet.
    pub(super) is_open: bool,
    pub(super) pieces: Option<String>,
}

struct RequestRow(String, LoggedRequest);

pub(crate) const FIND: (&str, usize, &str) = (
    "SELECT requests.request_id, requests.id, requests.session_id, requests.status, requests.pieces,
         responses.id AS response
     FROM requests LEFT JOIN responses ON responses.id = requests.id
     WHERE requests.request_id IN (VALUES ",
    1,
    ")",
);

/// Finds requests by their UUIDs.
pub(super) async fn load<'a>(
    tx: &mut Transaction,
    uuids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, LoggedRequest>, Error> {
    let mut rows = Rows::new(FIND.0, FIND.1, FIND.2);
    uuids.for_each(|uuid| rows.push([uuid.into()]));
    let found: Vec<RequestRow> = rows.all(tx).await?;
    Ok(found.into_iter().map(|RequestRow(uuid, logged_requests)| (uuid, logged_requests)).collect())
}

// === impl RequestRow ===

impl FromRow for RequestRow {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let pending = row.text("status")? == RequestStatus::Pending.as_str();
        let logged_requests = LoggedRequest {
            id: row.int("id")?,
            session_id: row.text("session_id")?,
            is_open: pending && row.optional_int("response")?.is_none(),
            pieces: row.optional_text("pieces")?,
        };
        Ok(Self(row.text("request_id")?, logged_requests))
    }
}

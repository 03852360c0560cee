//! Rows of the table `requests`.

use signalbox_core::schema::{Request, RequestStatus};

use crate::Error;
use crate::row::{Columns, FromRow};

/// Reads the status of a row.
pub(crate) fn status_of(row: &dyn Columns) -> Result<RequestStatus, Error> {
    let status = row.text("status")?;
    RequestStatus::parse(&status)
        .ok_or_else(|| Error::unreadable("requests.status", format_args!("unknown word {status:?}")))
}

// === impl FromRow ===

impl FromRow for Request {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.int("id")?,
            session_id: row.text("session_id")?,
            request_id: row.text("request_id")?,
            timestamp: row.int("timestamp")?,
            method: row.text("method")?,
            path: row.text("path")?,
            request_body: row.text("request_body")?,
            upstream_request: row.text("upstream_request")?,
            model: row.text("model")?,
            stream: row.flag("stream")?,
            status: status_of(row)?,
            provider_id: row.optional_text("provider_id")?,
            key_id: row.optional_text("key_id")?,
            created_at: row.int("created_at")?,
        })
    }
}

//! Finds the requests behind answers that providers keep.

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::{Error, Store};

/// A request whose answer a provider keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRequest {
    /// Its UUID.
    pub request_id: String,
    /// The id of the key that it was authenticated with.
    pub key_id: Option<String>,
}

/// Requests of a session that arrived at a time. They are several only if they came in the same millisecond.
pub(crate) const OF_TIME: &str = "SELECT request_id, key_id FROM requests WHERE session_id = $1 AND timestamp = $2";

/// Returns the requests that may have got the answer with this [hash](signalbox_core::conversation::answer_hash); none
/// if the log does not know it, or has forgotten it.
///
/// # Errors
/// See [`Error`].
pub async fn requests_of_answer(store: &Store, hash: &str) -> Result<Vec<KeptRequest>, Error> {
    let mut tx = store.read().await?;
    let mut openings = store.openings(&tx).await;
    openings.catch_up(&mut tx).await?;
    let found = openings.newest(hash).map(|(at, session)| (at, session.to_owned()));
    drop(openings);
    let Some((at, session)) = found else { return Ok(Vec::new()) };
    tx.all(Statement::new(OF_TIME).bind(session).bind(at)).await
}

impl FromRow for KeptRequest {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { request_id: row.text("request_id")?, key_id: row.optional_text("key_id")? })
    }
}

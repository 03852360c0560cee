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
    /// The provider that answered; `None` while there is no answer.
    pub provider_id: Option<String>,
}

/// Requests of a session that arrived at a time. They are several only if they came in the same millisecond.
pub(crate) const OF_TIME: &str =
    "SELECT request_id, key_id, provider_id FROM requests WHERE session_id = $1 AND timestamp = $2";

/// The request with a UUID.
pub(crate) const OF_ID: &str = "SELECT request_id, key_id, provider_id FROM requests WHERE request_id = $1";

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

/// Returns the request with this UUID; `None` if the log does not know it.
///
/// # Errors
/// See [`Error`].
pub async fn request_of_id(store: &Store, uuid: &str) -> Result<Option<KeptRequest>, Error> {
    let mut tx = store.read().await?;
    tx.first(Statement::new(OF_ID).bind(uuid)).await
}

impl FromRow for KeptRequest {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let (request_id, key_id) = (row.text("request_id")?, row.optional_text("key_id")?);
        Ok(Self { request_id, key_id, provider_id: row.optional_text("provider_id")? })
    }
}

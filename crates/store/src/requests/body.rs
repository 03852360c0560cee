//! Reads one body of a request.

use signalbox_core::schema::RequestStatus;

use super::{ENTITY, RequestKey, StoredRequest, fill_bodies};
use crate::bodies::DELETED_BODY;
use crate::page::Total;
use crate::statement::Statement;
use crate::tables::responses::{self, BY_ID, StoredResponse};
use crate::transaction::Transaction;
use crate::{Error, Store};

/// The bodies of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// The body as the client sent it.
    Asked,
    /// The body as sent to the provider.
    Sent,
    /// The answer.
    Answered,
}

/// A body with the name of its request. It never changes, except that it may be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBody {
    /// The UUID of the request.
    pub request_id: String,
    /// The body.
    pub text: String,
    /// Whether this is the client's body, because the provider received the same.
    pub is_as_asked: bool,
}

/// Returns a body; `None` if there is none, or if it is not kept.
///
/// # Errors
/// [`Error::NotFound`] if the request does not exist; see [`Error`].
pub async fn body(store: &Store, key: &RequestKey, kind: BodyKind) -> Result<Option<StoredBody>, Error> {
    let mut tx = store.read().await?;
    let by = match key {
        RequestKey::Id(id) => Statement::new("SELECT * FROM requests WHERE id = $1").bind(*id),
        RequestKey::Uuid(uuid) => Statement::new("SELECT * FROM requests WHERE request_id = $1").bind(uuid),
    };
    let row: StoredRequest = tx.one(by, ENTITY).await?;
    let request_id = row.request.request_id.clone();
    let found = match kind {
        BodyKind::Asked => Some((asked(&mut tx, row).await?, true)),
        BodyKind::Sent => sent(&mut tx, row).await?,
        BodyKind::Answered => answered(&mut tx, row.request.id).await?.map(|text| (text, false)),
    };
    let kept = found.filter(|(text, _)| text != DELETED_BODY);
    Ok(kept.map(|(text, is_as_asked)| StoredBody { request_id, text, is_as_asked }))
}

async fn asked(tx: &mut Transaction, row: StoredRequest) -> Result<String, Error> {
    let own = StoredRequest { upstream_pieces: None, ..row };
    let request = fill_bodies(tx, vec![own]).await?.pop().ok_or(Error::NotFound { entity: ENTITY })?;
    Ok(request.request_body)
}

/// Returns the body sent to the provider, and whether it is the client's; `None` if no provider was called.
async fn sent(tx: &mut Transaction, row: StoredRequest) -> Result<Option<(String, bool)>, Error> {
    if row.upstream_pieces.is_some() || row.request.upstream_request != DELETED_BODY {
        let request = fill_bodies(tx, vec![row]).await?.pop().ok_or(Error::NotFound { entity: ENTITY })?;
        return Ok(Some((request.upstream_request, false)));
    }
    let attempts = Statement::new("SELECT attempts AS total FROM responses WHERE id = $1").bind(row.request.id);
    let attempts: Option<Total> = tx.first(attempts).await?;
    let was_called = row.request.provider_id.is_some() || attempts.is_some_and(|Total(attempts)| attempts > 0);
    if row.request.status == RequestStatus::Pending || !was_called {
        return Ok(None);
    }
    Ok(Some((asked(tx, row).await?, true)))
}

async fn answered(tx: &mut Transaction, id: i64) -> Result<Option<String>, Error> {
    let row: Option<StoredResponse> = tx.first(Statement::new(BY_ID).bind(id)).await?;
    let response = responses::fill_bodies(tx, row.into_iter().collect()).await?.pop();
    Ok(response.and_then(|response| response.response_body))
}

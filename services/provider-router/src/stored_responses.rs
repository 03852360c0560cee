//! Earlier answers of Responses, from the request log.
//!
//! A provider that speaks Responses keeps the answers that later requests continue. In front of any other provider the
//! log does: the ids of an answer and of its items contain the id of their request. Only requests that name such an id,
//! and hits of the cache, read the database.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use signalbox_core::{Api, conversation::answer_hash, json::Reader, schema::RequestStatus};
use signalbox_daemon::{Caller, CallerKind};
use signalbox_store::{
    Error, Store,
    exchanges::{KeptRequest, request_of_id, requests_of_answer},
    requests::{self, AnswerState, RequestKey},
    responses::{self, ResponseKey},
};
use signalbox_translate::{Action, HANDLE, Loss, Losses, hub::Json};
use tokio::time::{Duration, Instant, sleep, timeout};
use uuid::Uuid;

use crate::{
    clock,
    owners::Owner,
    response_ids::{named, request_of},
};

/// Maximum number of answers that one request continues.
const MAX_TURNS: usize = 1000;
/// Maximum bytes of their bodies.
const MAX_BYTES: usize = 64 << 20;
/// Time for an answer that has just ended to reach the database, and the pause between two looks.
const LOAD_WAIT: Duration = Duration::from_secs(3);
const LOAD_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Maximum time of a look into the log that a request can do without.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// Tokens that are assumed for a conversation that only the provider knows.
const UNKNOWN_TOKENS: u64 = 32_768;
/// Maximum age of a request that may not be in the database yet, in milliseconds. A database that is away for longer is
/// away for this look, too.
const MAX_LOADING_MS: i128 = 600_000;

/// Reason why an earlier answer cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoredError {
    /// The log has no such answer, or not its text.
    #[error("the answer `{id}` is not stored: {why}")]
    NotFound {
        /// Id of the answer, as the client wrote it.
        id: String,
        /// Reason, with advice.
        why: &'static str,
    },
    /// The answer is so new that it need not be in the database.
    #[error("the answer `{0}` is not complete in the request log yet; try again in a moment")]
    NotLoaded(String),
    /// The database is away.
    #[error("the request log, which has the earlier answers, is unavailable: {0}")]
    Unavailable(Arc<Error>),
}

/// Earlier turns that the log adds to a request.
#[derive(Clone, Debug, Default)]
pub enum Earlier {
    /// They are loaded by each attempt that needs them, because no rule judges them.
    #[default]
    Unread,
    /// They were loaded and judged; `None` if the request continues nothing.
    Judged(Option<Arc<[Json]>>),
    /// They cannot be loaded.
    Failed(StoredError),
}

/// An earlier request and its answer.
#[derive(Debug)]
pub struct Stored {
    /// The body of the request.
    pub request: Value,
    /// The answer.
    pub response: Value,
}

/// Returns the items that a request of Responses continues or refers to, oldest first; `None` if it does neither.
///
/// # Errors
/// See [`StoredError`].
pub async fn items_before(
    store: &Store,
    body: &Bytes,
    caller: Option<&Caller>,
) -> Result<Option<Vec<Json>>, StoredError> {
    let (previous, referred) = named(body);
    if previous.is_none() && referred.is_empty() {
        return Ok(None);
    }
    let mut turns = Vec::new();
    let (mut next, mut bytes) = (previous, 0);
    while let Some(id) = next {
        let stored = load_any(store, &id, caller).await?;
        bytes += stored.len();
        if turns.len() == MAX_TURNS || bytes > MAX_BYTES {
            return Err(StoredError::NotFound { id, why: "the conversation is too long; send it in `input`" });
        }
        next = stored.request["previous_response_id"].as_str().map(str::to_owned);
        turns.push(stored);
    }
    let mut items: Vec<Json> = Vec::new();
    for stored in turns.iter().rev() {
        items.extend(stored.input_items().iter().chain(list(&stored.response["output"])).filter_map(to_json));
    }
    for id in referred {
        // An item that is not found is named in the error of the translation.
        let Some(request) = request_of(&id) else { continue };
        let stored = load(store, &format!("resp_{}", request.simple()), caller).await?;
        items.extend(
            list(&stored.response["output"]).iter().filter(|item| item["id"] == id.as_str()).filter_map(to_json),
        );
    }
    Ok(Some(items))
}

/// Returns the target that made an answer according to the log, as far as the caller may use the answer.
pub async fn logged_owner(store: &Store, id: &str, caller: Option<&Caller>) -> Option<Owner> {
    let request = kept_request(store, id, caller).await?;
    Some(Owner { provider: request.provider_id?, model: None, key: None, keeps_answer: request_of(id).is_none() })
}

/// Returns the request that got an answer, if the log knows one and the caller may use it.
async fn kept_request(store: &Store, id: &str, caller: Option<&Caller>) -> Option<KeptRequest> {
    let found = match request_of(id) {
        Some(request) => {
            let found = timeout(LOOK_TIMEOUT, request_of_id(store, &request.to_string())).await;
            found.ok().and_then(Result::ok).flatten().into_iter().collect()
        }
        None => kept_requests(store, id).await,
    };
    let key = issued_key(caller);
    let mut own = found.into_iter().filter(|request| key.is_none() || request.key_id.as_deref() == key);
    // Of several requests of the same millisecond, the log does not know whose answer it is.
    own.next().filter(|_| own.next().is_none())
}

/// Returns the items without the reasoning that only the provider which made it can read, and what was removed.
#[must_use]
pub fn without_reasoning(items: &[Json]) -> (Option<Arc<[Json]>>, Losses) {
    let is_readable = |item: &&Json| {
        let item = Reader::new(item.as_str().as_bytes()).value().unwrap_or_default();
        let is_own = |data: &str| data.starts_with(HANDLE);
        item["type"] != "reasoning" || item["encrypted_content"].as_str().is_none_or(is_own)
    };
    let kept: Arc<[Json]> = items.iter().filter(is_readable).cloned().collect();
    let mut losses = Losses::default();
    if kept.len() < items.len() {
        let (field, why) = ("previous_response_id".to_owned(), "reasoning of another provider".into());
        losses.add(Loss { field, action: Action::Dropped, from: None, to: None, why });
    }
    (Some(kept), losses)
}

/// Returns the tokens of the conversation up to an answer, for estimates; `UNKNOWN_TOKENS` if the log does not have them.
pub async fn tokens(store: &Store, id: &str) -> u64 {
    let Some(request) = request_of(id) else { return UNKNOWN_TOKENS };
    // A request whose answer is not in the log yet waits for it later.
    let Ok((row, response)) = requests::get(store, &RequestKey::Uuid(request.to_string())).await else {
        return UNKNOWN_TOKENS;
    };
    let counted = response.as_ref().and_then(|response| {
        let sum = || Some(response.prompt_tokens?.saturating_add(response.completion_tokens?));
        u64::try_from(response.total_tokens.or_else(sum)?).ok()
    });
    let answer = response.and_then(|response| response.response_body);
    let len = row.request_body.len().saturating_add(answer.map_or(0, |body| body.len()));
    // Counts of the provider include the turns before; without them, only this turn is known.
    counted.unwrap_or_else(|| u64::try_from(len / 3).unwrap_or(u64::MAX).max(UNKNOWN_TOKENS))
}

/// Returns whether the answer to a request was deleted; `None` if the database does not say so in time.
pub async fn is_deleted(store: &Store, request: Uuid) -> Option<bool> {
    let id = request.to_string();
    let state = requests::answer_state(store, &id);
    Some(match timeout(LOOK_TIMEOUT, state).await.ok()?.ok()? {
        Some(AnswerState::Present | AnswerState::Pending) => false,
        Some(AnswerState::Deleted) => true,
        None => !is_recent(request),
    })
}

/// Checks that the caller may use an answer that a provider keeps under an id of its own. A created key may only use
/// the answers to its own requests, as far as the log knows the id: other ids are left to the provider.
///
/// # Errors
/// [`StoredError::NotFound`] as for an unknown id, if the answer belongs to another key.
pub async fn check_owner(store: &Store, id: &str, caller: Option<&Caller>) -> Result<(), StoredError> {
    let Some(key) = issued_key(caller) else { return Ok(()) };
    if request_of(id).is_some() {
        // Such an answer is loaded from the log, which checks the key.
        return Ok(());
    }
    let owners = kept_requests(store, id).await;
    if owners.is_empty() || owners.iter().any(|request| request.key_id.as_deref() == Some(key)) {
        return Ok(());
    }
    Err(StoredError::NotFound { id: id.to_owned(), why: "it may have been deleted" })
}

/// Deletes what the log has of an answer that its provider has deleted. The request stays.
///
/// # Errors
/// [`StoredError::Unavailable`] if the database is away.
pub async fn delete_kept(store: &Store, id: &str) -> Result<(), StoredError> {
    // Of several requests of the same millisecond, the log does not know whose answer it is.
    let [request] = &*kept_requests(store, id).await else { return Ok(()) };
    match responses::delete(store, &ResponseKey::Uuid(request.request_id.clone())).await {
        Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the requests that may have got an answer that a provider keeps; none if the log does not know it, or if the
/// database is away: requests are served without it.
async fn kept_requests(store: &Store, id: &str) -> Vec<KeptRequest> {
    let hash = answer_hash(id);
    match timeout(LOOK_TIMEOUT, requests_of_answer(store, &hash)).await {
        Ok(Ok(requests)) => requests,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the key of an earlier answer is not known");
            Vec::new()
        }
        Err(_elapsed) => {
            tracing::warn!("the key of an earlier answer is not known, because the database is slow");
            Vec::new()
        }
    }
}

/// Returns the id of a created key.
fn issued_key(caller: Option<&Caller>) -> Option<&str> {
    caller.filter(|caller| caller.kind() == CallerKind::Issued).map(Caller::id)
}

/// Returns whether a request may still be on its way into the database.
fn is_recent(request: Uuid) -> bool {
    let arrived = request.get_timestamp().map_or(0, |time| i128::from(time.to_unix().0) * 1000);
    i128::from(clock::unix_ms()) - arrived < MAX_LOADING_MS
}

/// Returns an answer of Responses, and its request, also if a provider keeps the answer under an id of its own.
///
/// # Errors
/// See [`load`].
async fn load_any(store: &Store, id: &str, caller: Option<&Caller>) -> Result<Stored, StoredError> {
    if request_of(id).is_some() {
        return load(store, id, caller).await;
    }
    let not_found = |why| StoredError::NotFound { id: id.to_owned(), why };
    let Some(request) = kept_request(store, id, caller).await else {
        return Err(not_found("only its provider knows it; send the conversation in `input`"));
    };
    let request = Uuid::try_parse(&request.request_id).map_err(|_| not_found("the log does not keep its request"))?;
    load_request(store, (id, request), caller).await
}

/// Returns an answer of Responses, and its request. A created key only has the answers to its own requests; for other
/// keys' answers the error is that of an unknown id.
///
/// # Errors
/// See [`StoredError`].
pub async fn load(store: &Store, id: &str, caller: Option<&Caller>) -> Result<Stored, StoredError> {
    let not_found = |why| StoredError::NotFound { id: id.to_owned(), why };
    let request = request_of(id).ok_or_else(|| not_found("this gateway did not make the id"))?;
    load_request(store, (id, request), caller).await
}

async fn load_request(
    store: &Store,
    (id, request): (&str, Uuid),
    caller: Option<&Caller>,
) -> Result<Stored, StoredError> {
    let not_found = |why| StoredError::NotFound { id: id.to_owned(), why };
    let key = RequestKey::Uuid(request.to_string());
    let issued = issued_key(caller);
    let until = Instant::now() + LOAD_WAIT;
    // A request that arrived long ago is in the database, unless it was deleted.
    let is_recent = is_recent(request);
    loop {
        // The log is written after the answer has been sent.
        let is_late = Instant::now() >= until;
        match requests::get(store, &key).await {
            Ok((row, _)) if issued.is_some() && row.key_id.as_deref() != issued => {
                return Err(not_found("it may have been deleted"));
            }
            Ok((row, Some(response))) => {
                if Api::of_path(&row.path) != Some(Api::Responses) {
                    return Err(not_found("it is no answer of this API"));
                }
                if response.truncated {
                    return Err(not_found("the log keeps only its beginning; send the conversation in `input`"));
                }
                let read = |body: &str| Reader::new(body.as_bytes()).value().filter(Value::is_object);
                let (request, response) = (read(&row.request_body), response.response_body.as_deref().and_then(read));
                let (Some(request), Some(mut response)) = (request, response) else {
                    return Err(not_found("the log does not keep its text"));
                };
                if request["store"] == false {
                    return Err(not_found("its request had `store: false`"));
                }
                if row.status != RequestStatus::Completed {
                    end_unfinished(&mut response, row.status);
                }
                return Ok(Stored { request, response });
            }
            Ok((row, None)) if row.status != RequestStatus::Pending => return Err(not_found("it was deleted")),
            Err(Error::NotFound { .. }) if !is_recent => return Err(not_found("it may have been deleted")),
            // A pending request may have ended since: its end need not be in the database.
            Ok((_, None)) | Err(Error::NotFound { .. }) if is_late => {
                return Err(StoredError::NotLoaded(id.to_owned()));
            }
            Ok((_, None)) | Err(Error::NotFound { .. }) => sleep(LOAD_POLL_INTERVAL).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Ends an answer that broke off: its last state says that it is still in progress. Items without an end are removed,
/// because a conversation cannot continue after half a call.
fn end_unfinished(response: &mut Value, status: RequestStatus) {
    let is_open = |value: &Value| matches!(value["status"].as_str(), Some("in_progress" | "queued"));
    if let Some(items) = response["output"].as_array_mut() {
        items.retain(|item| !is_open(item));
    }
    if !is_open(response) {
        return;
    }
    if status == RequestStatus::ClientDisconnected {
        response["status"] = "cancelled".into();
    } else {
        response["status"] = "failed".into();
        response["error"] = json!({"code": "server_error", "message": "The answer broke off before it was complete."});
    }
}

// === impl StoredError ===

impl From<Error> for StoredError {
    fn from(error: Error) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

// === impl Earlier ===

impl Earlier {
    /// Returns the items before a request of Responses, oldest first; `None` if it continues nothing.
    ///
    /// # Errors
    /// See [`StoredError`].
    pub async fn items(
        &self,
        store: &Store,
        body: &Bytes,
        caller: Option<&Caller>,
    ) -> Result<Option<Arc<[Json]>>, StoredError> {
        match self {
            Self::Unread => Ok(items_before(store, body, caller).await?.map(Arc::from)),
            Self::Judged(items) => Ok(items.clone()),
            Self::Failed(error) => Err(error.clone()),
        }
    }
}

// === impl Stored ===

impl Stored {
    /// Returns the items of `input`; a text counts as a message of the user.
    #[must_use]
    pub fn input_items(&self) -> Vec<Value> {
        match &self.request["input"] {
            Value::String(text) => {
                vec![json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})]
            }
            input => list(input).to_vec(),
        }
    }

    fn len(&self) -> usize {
        self.request.to_string().len() + self.response.to_string().len()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn to_json(item: &Value) -> Option<Json> {
    Json::parse(&item.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_broke_off_is_not_in_progress() {
        let call = |status: &str| json!({"type": "function_call", "status": status, "arguments": "{"});
        let open = json!({"status": "in_progress", "error": null, "output": [call("completed"), call("in_progress")]});
        for (status, word) in [
            (RequestStatus::Truncated, "failed"),
            (RequestStatus::Interrupted, "failed"),
            (RequestStatus::ClientDisconnected, "cancelled"),
        ] {
            let mut response = open.clone();
            end_unfinished(&mut response, status);
            assert_eq!((&response["status"], &response["output"]), (&json!(word), &json!([call("completed")])));
            assert_eq!(response["error"].is_object(), word == "failed");
        }
        let mut failed = json!({"status": "failed", "error": {"code": "x"}, "output": []});
        let before = failed.clone();
        end_unfinished(&mut failed, RequestStatus::Failed);
        assert_eq!(failed, before);
    }

    #[test]
    fn a_text_is_a_message_of_the_user() {
        let stored = Stored { request: json!({"input": "hi"}), response: json!({}) };
        assert_eq!(stored.input_items()[0]["content"][0]["text"], "hi");
    }
}

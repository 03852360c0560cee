//! Writes the request log: exchanges become rows of `sessions`, `requests` and `responses`.
//!
//! [`record`] is idempotent, because its caller replays batches whose outcome is unknown: after a crash, or after a
//! lost connection whose commit may have succeeded. An exchange may be recorded once when it has begun and again when
//! it has ended, or only at its end; any order and number of repetitions produces the same rows. A request reaches one
//! final status and keeps it. The beginning of an exchange is the same each time.
//!
//! The number of statements per batch hardly depends on its size: `logged_requests` looks up which requests are in the
//! log already, `sessions` assigns each request to a session, and then each table is written at once.

mod answers;
pub(crate) mod batch;
mod key_sums;
pub(crate) mod logged_requests;
pub(crate) mod minute_sums;
pub(crate) mod openings;
pub(crate) mod owners;
pub(crate) mod sessions;
mod usage_sums;

pub(crate) use openings::Openings;
pub use owners::{KeptRequest, request_of_id, requests_of_answer};
pub(crate) use sessions::expiry;
use std::sync::Arc;

use signalbox_core::openai::Usage;
use signalbox_core::schema::{RequestCost, RequestStatus};

pub use crate::bodies::base::Base;
use crate::{Error, Store};

/// A request and, once it has ended, its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The beginning of the exchange.
    pub begun: ExchangeStart,
    /// The end of the exchange; `None` while it is pending.
    pub ended: Option<ExchangeEnd>,
}

/// The service that answered, which owns the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// provider-router.
    Router,
    /// qwen-proxy, for requests sent to it directly.
    QwenProxy,
}

/// The beginning of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeStart {
    /// A UUID, by which [`record`] recognises an exchange.
    pub request_id: String,
    /// When the request arrived, in Unix milliseconds.
    pub received_at: i64,
    /// `POST`.
    pub method: String,
    /// `/v1/chat/completions`.
    pub path: String,
    /// The requested model.
    pub model: String,
    /// Whether a stream was requested.
    pub stream: bool,
    /// The body as the client sent it.
    pub request_body: Arc<str>,
    /// The first user message of the conversation, truncated by the caller to 4096 characters.
    pub first_user_message: String,
    /// The conversation that the exchange belongs to.
    pub session: SessionRef,
    /// The part that `request_body` shares with the body of an earlier request, if known.
    pub base: Option<Base>,
    /// The service that answers the request.
    pub source: Source,
    /// The client key: the id of a row of `api_keys`, or `config-1` and so on; `None` if no key was asked for.
    pub key_id: Option<String>,
}

/// The conversation that an exchange belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionRef {
    /// The session named by the client; created if it does not exist.
    Named(String),
    /// A new session with the id of the request.
    Opens,
    /// The newest session whose opening has this hash, or a new session with this hash.
    Continues(String),
    /// The session of the request with this UUID, or a new session if there is no such request.
    Follows(String),
}

/// The end of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeEnd {
    /// How the request ended; never [`RequestStatus::Pending`].
    pub status: RequestStatus,
    /// When the request ended, in Unix milliseconds.
    pub ended_at: i64,
    /// The provider that answered, or was tried last.
    pub provider_id: Option<String>,
    /// The body sent to the provider, if it differs from the client's body.
    pub upstream_request: Option<String>,
    /// The answer as one `chat.completion`, or the error.
    pub response_body: Option<String>,
    /// Token counts, as reported by the provider.
    pub usage: Option<Usage>,
    /// The cost; `None` if no provider answered.
    pub cost: Option<RequestCost>,
    /// `stop`, `length`, `tool_calls`, `content_filter`; `error` if there was no answer.
    pub finish_reason: Option<String>,
    /// The error message, if the request failed.
    pub error: Option<String>,
    /// Milliseconds from the arrival of the request to the last byte of the answer.
    pub duration_ms: i64,
    /// Milliseconds from the arrival of the request to the first byte of the answer.
    pub first_byte_ms: Option<i64>,
    /// The HTTP status sent to the client.
    pub status_code: Option<i64>,
    /// The number of providers that were tried.
    pub attempts: i64,
    /// Whether the answer was longer than the log keeps.
    pub truncated: bool,
    /// See [`Response::translation`](signalbox_core::schema::Response::translation).
    pub translation: Option<String>,
    /// Plan and attempts of the request, a JSON object.
    pub plan: Option<String>,
    /// The hash of the conversation's opening, by which later requests find its session; only for a request that
    /// [opens](SessionRef::Opens) a session.
    pub opening_hash: Option<String>,
    /// The hash by which later requests that continue this answer find its session; unlike `opening_hash` it counts for
    /// every request of the router.
    pub answer_hash: Option<String>,
}

/// Writes a batch atomically in one transaction. It is safe to repeat, see the module documentation. U+0000 in a text
/// is replaced with U+FFFD, so that no exchange can block the log.
///
/// # Errors
/// [`Error::Unavailable`] if the same batch may be written later.
pub async fn record(store: &Store, exchanges: &[Exchange]) -> Result<(), Error> {
    if exchanges.is_empty() {
        return Ok(());
    }
    let mut tx = store.write_log().await?;
    let mut openings = store.openings(&tx).await;
    batch::write(&mut tx, &mut openings, exchanges).await.map_err(retriable)?;
    tx.commit().await
}

/// Checks that the log can be written: writes an exchange as [`record`] does, and rolls it back.
///
/// # Errors
/// Same as [`record`].
pub async fn probe(store: &Store) -> Result<(), Error> {
    let begun = ExchangeStart {
        request_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        received_at: 0,
        method: "POST".to_owned(),
        path: "/".to_owned(),
        model: "probe".to_owned(),
        stream: false,
        request_body: "{}".into(),
        first_user_message: String::new(),
        session: SessionRef::Opens,
        base: None,
        source: Source::QwenProxy,
        key_id: None,
    };
    let mut tx = store.write_log().await?;
    batch::write(&mut tx, &mut Openings::default(), &[Exchange { begun, ended: None }]).await.map_err(retriable)
}

/// Converts errors that a retry resolves. On PostgreSQL, another client may delete a request between the statement that
/// finds it and the statement that stores its answer; a retry sees that the request is missing.
fn retriable(error: Error) -> Error {
    match error {
        Error::NotFound { .. } | Error::Conflict { .. } => Error::Unavailable(error.into()),
        other => other,
    }
}

// === impl Source ===

impl Source {
    /// Returns the name of the source in the tables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::QwenProxy => "qwen-proxy",
        }
    }
}

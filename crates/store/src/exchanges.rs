//! The request log: exchanges become rows of `sessions`, `requests` and `responses`.
//!
//! [`record`] is idempotent, because its caller replays what it is not sure about: after a crash, after a lost
//! connection whose commit may have happened. An exchange may come once when it has begun and again when it has ended,
//! or only then; each order and number of repetitions leaves the same rows. A request reaches one final status and keeps
//! it. Its beginning is the same each time.
//!
//! A batch costs a number of statements that hardly depends on its size: `known` looks up what is in the log already,
//! `sessions` decides where each request belongs, and then each table is written at once.

mod answers;
pub(crate) mod batch;
pub(crate) mod known;
pub(crate) mod openings;
pub(crate) mod sessions;
mod sums;

pub(crate) use openings::Openings;
pub(crate) use sessions::expiry;
use std::sync::Arc;

use signalbox_core::openai::Usage;
use signalbox_core::schema::RequestStatus;

use crate::{Error, Store};

/// A request and, once it has ended, its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// How it began.
    pub begun: Begun,
    /// How it ended; `None` while it is pending.
    pub ended: Option<Ended>,
}

/// Who answered: the service that owns the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// provider-router.
    Router,
    /// qwen-proxy, asked directly.
    QwenProxy,
}

/// The beginning of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// UUID; what [`record`] recognises an exchange by.
    pub request_id: String,
    /// When it arrived, in Unix milliseconds.
    pub received_at: i64,
    /// `POST`.
    pub method: String,
    /// `/v1/chat/completions`.
    pub path: String,
    /// The model that was asked for.
    pub model: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The body as the client sent it.
    pub openai_request: Arc<str>,
    /// How the conversation began; the caller cuts it to 4096 characters.
    pub first_user_message: String,
    /// The conversation it belongs to.
    pub session: SessionRef,
    /// What `openai_request` has in common with that of an earlier request, if that is known.
    pub base: Option<Base>,
    /// Who answers it.
    pub source: Source,
}

/// What a body repeats of an earlier one: conversations resend their history.
///
/// A hint: where the earlier request is not in the log any more, or the lengths do not fit, the body is stored whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The UUID of the earlier request.
    pub request_id: String,
    /// So many bytes at the beginning of both bodies are the same.
    pub prefix: usize,
    /// So many bytes at the end of both bodies are the same.
    pub suffix: usize,
}

/// Which conversation an exchange belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionRef {
    /// The one the client named; made if it is new.
    Named(String),
    /// A new one, whose id is the request's.
    Opens,
    /// The newest one whose opening has this hash; if there is none, a new one, which gets the hash.
    Continues(String),
}

/// The end of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How; never [`RequestStatus::Pending`].
    pub status: RequestStatus,
    /// When, in Unix milliseconds.
    pub ended_at: i64,
    /// The provider that answered, or was tried last.
    pub provider_id: Option<String>,
    /// The body as the provider received it, where that differs from what the client sent.
    pub upstream_request: Option<String>,
    /// The answer as one `chat.completion`, or the error.
    pub openai_response: Option<String>,
    /// As the provider reported it.
    pub usage: Option<Usage>,
    /// `stop`, `length`, `tool_calls`, `content_filter`; `error` when there was none.
    pub finish_reason: Option<String>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// From the request's arrival to the answer's last byte.
    pub duration_ms: i64,
    /// From the request's arrival to the answer's first byte.
    pub first_byte_ms: Option<i64>,
    /// What the client saw.
    pub status_code: Option<i64>,
    /// How many providers were tried.
    pub attempts: i64,
    /// The answer was longer than the log keeps.
    pub truncated: bool,
    /// The hash of the conversation's opening, by which later requests find its session; only of a request that
    /// [opens](SessionRef::Opens) one.
    pub opening_hash: Option<String>,
}

/// Writes a batch in one transaction: all of it, or nothing. See the module about repetitions.
///
/// # Errors
/// [`Error::Unavailable`]: the same batch may be written later. U+0000 in a text is replaced by U+FFFD, so that no
/// exchange can stop the log.
pub async fn record(store: &Store, exchanges: &[Exchange]) -> Result<(), Error> {
    if exchanges.is_empty() {
        return Ok(());
    }
    let mut tx = store.write_log().await?;
    let mut openings = store.openings(&tx).await;
    batch::write(&mut tx, &mut openings, exchanges).await.map_err(retriable)?;
    tx.commit().await
}

/// Writes an exchange as [`record`] does, and takes it back: whether the log can be written at all.
///
/// # Errors
/// As [`record`].
pub async fn probe(store: &Store) -> Result<(), Error> {
    let begun = Begun {
        request_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        received_at: 0,
        method: "POST".to_owned(),
        path: "/".to_owned(),
        model: "probe".to_owned(),
        stream: false,
        openai_request: "{}".into(),
        first_user_message: String::new(),
        session: SessionRef::Opens,
        base: None,
        source: Source::QwenProxy,
    };
    let mut tx = store.write_log().await?;
    batch::write(&mut tx, &mut Openings::default(), &[Exchange { begun, ended: None }]).await.map_err(retriable)
}

/// On PostgreSQL somebody may delete a request between the statement that finds it and the one that answers it. The next
/// attempt sees that it is gone.
fn retriable(error: Error) -> Error {
    match error {
        Error::NotFound { .. } | Error::Conflict { .. } => Error::Unavailable(error.into()),
        other => other,
    }
}

// === impl Source ===

impl Source {
    /// The word in the tables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::QwenProxy => "qwen-proxy",
        }
    }
}

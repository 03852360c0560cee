//! The request log: exchanges become rows of `sessions`, `requests` and `responses`.
//!
//! [`record`] is idempotent, because its caller replays what it is not sure about: after a crash, after a lost
//! connection whose commit may have happened. An exchange may come once when it has begun and again when it has ended,
//! or only then; each order and number of repetitions leaves the same rows. A request reaches one final status and keeps
//! it.

pub(crate) mod session;

use signalbox_core::openai::Usage;
use signalbox_core::schema::RequestStatus;

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Store};

/// A request and, once it has ended, its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// How it began.
    pub begun: Begun,
    /// How it ended; `None` while it is pending.
    pub ended: Option<Ended>,
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
    pub openai_request: String,
    /// How the conversation began; the caller cuts it to 4096 characters.
    pub first_user_message: String,
    /// The conversation it belongs to.
    pub session: SessionRef,
    /// What `openai_request` has in common with that of an earlier request, if that is known.
    pub base: Option<Base>,
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
    /// UUID. If another response has it already, the request's id takes its place.
    pub response_id: String,
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
    /// The hash of the conversation's opening, by which later requests find its session.
    pub opening_hash: Option<String>,
}

/// A request that is in the log already.
struct Known {
    id: i64,
    session_id: String,
    status: String,
}

struct Id(i64);

pub(crate) const FIND: &str = "SELECT id, session_id, status FROM requests WHERE request_id = $1";

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
    for exchange in exchanges {
        record_one(&mut tx, exchange).await.map_err(retriable)?;
    }
    tx.commit().await
}

/// On PostgreSQL somebody may delete a request between the statement that finds it and the one that answers it. The next
/// attempt sees that it is gone.
fn retriable(error: Error) -> Error {
    match error {
        Error::NotFound { .. } | Error::Conflict { .. } => Error::Unavailable(error.into()),
        other => other,
    }
}

async fn record_one(tx: &mut Transaction, exchange: &Exchange) -> Result<(), Error> {
    let begun = &exchange.begun;
    let ended = exchange.ended.as_ref().filter(|ended| ended.status != RequestStatus::Pending);
    let known: Option<Known> = tx.first(Statement::new(FIND).bind(&begun.request_id).replacing_nul()).await?;
    let (id, session_id) = match (known, ended) {
        (None, _) => {
            let session_id = session::join(tx, begun).await?;
            (begin(tx, begun, ended, &session_id).await?, session_id)
        }
        (Some(known), Some(ended)) if known.is_pending() => {
            end(tx, known.id, ended).await?;
            (known.id, known.session_id)
        }
        (Some(_), _) => return Ok(()),
    };
    if let Some(ended) = ended {
        answer(tx, id, &session_id, &begun.request_id, ended).await?;
        if let Some(hash) = &ended.opening_hash {
            session::set_opening(tx, &session_id, hash).await?;
        }
    }
    Ok(())
}

/// Rows get the times of what they tell about, not of their writing, so that a repetition would write the same.
async fn begin(tx: &mut Transaction, begun: &Begun, ended: Option<&Ended>, session_id: &str) -> Result<i64, Error> {
    let statement = Statement::new(
        "INSERT INTO requests (request_id, session_id, timestamp, method, path, openai_request, qwen_request, model,
             stream, status, provider_id, source, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'router', $3) RETURNING id",
    )
    .bind(&begun.request_id)
    .bind(session_id)
    .bind(begun.received_at)
    .bind(&begun.method)
    .bind(&begun.path)
    .bind(&begun.openai_request)
    .bind(ended.map_or("null", Ended::upstream_request))
    .bind(&begun.model)
    .bind(begun.stream)
    .bind(ended.map_or(RequestStatus::Pending, |ended| ended.status).as_str())
    .bind(ended.and_then(|ended| ended.provider_id.as_deref()))
    .replacing_nul();
    tx.one::<Id>(statement, "request").await.map(|id| id.0)
}

async fn end(tx: &mut Transaction, id: i64, ended: &Ended) -> Result<(), Error> {
    let statement =
        Statement::new("UPDATE requests SET status = $2, provider_id = $3, qwen_request = $4 WHERE id = $1")
            .bind(id)
            .bind(ended.status.as_str())
            .bind(ended.provider_id.as_deref())
            .bind(ended.upstream_request())
            .replacing_nul();
    tx.execute(statement).await.map(drop)
}

async fn answer(tx: &mut Transaction, id: i64, session_id: &str, request_id: &str, ended: &Ended) -> Result<(), Error> {
    let statement = Statement::new(
        "INSERT INTO responses (request_id, session_id, response_id, timestamp, openai_response, completion_tokens,
             prompt_tokens, total_tokens, finish_reason, error, duration_ms, first_byte_ms, status_code, provider_id,
             attempts, truncated, created_at)
         VALUES ($1, $2, CASE WHEN EXISTS (SELECT 1 FROM responses WHERE response_id = $3) THEN $4 ELSE $3 END, $5, $6,
             $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $5)
         ON CONFLICT (request_id) DO NOTHING",
    )
    .bind(id)
    .bind(session_id)
    .bind(&ended.response_id)
    .bind(request_id)
    .bind(ended.ended_at)
    .bind(ended.openai_response.as_deref())
    .bind(ended.usage.map(|usage| usage.completion_tokens))
    .bind(ended.usage.map(|usage| usage.prompt_tokens))
    .bind(ended.usage.map(|usage| usage.total_tokens))
    .bind(ended.finish_reason.as_deref())
    .bind(ended.error.as_deref())
    .bind(ended.duration_ms)
    .bind(ended.first_byte_ms)
    .bind(ended.status_code)
    .bind(ended.provider_id.as_deref())
    .bind(ended.attempts)
    .bind(ended.truncated)
    .replacing_nul();
    tx.execute(statement).await.map(drop)
}

// === impl Ended ===

impl Ended {
    fn upstream_request(&self) -> &str {
        self.upstream_request.as_deref().unwrap_or("null")
    }
}

// === impl Known, Id ===

impl Known {
    fn is_pending(&self) -> bool {
        self.status == RequestStatus::Pending.as_str()
    }
}

impl FromRow for Known {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { id: row.int("id")?, session_id: row.text("session_id")?, status: row.text("status")? })
    }
}

impl FromRow for Id {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.int("id").map(Self)
    }
}

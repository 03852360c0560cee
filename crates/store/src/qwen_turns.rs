//! Table `qwen_turns` and its sessions: the points at which conversations with chat.qwen.ai can be continued.
//!
//! Every answer is a turn. A later request finds the turns with the same history, and the caller selects one by its
//! last answer. Several turns may match, from conversations that began alike. A turn is kept when its conversation
//! continues, so that it can be continued from there again.

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::{Error, Store};

/// Maximum number of turns that are examined: conversations that are equal so far are interchangeable.
const MAX_TURNS: i64 = 256;

/// A turn that can be continued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The session that the turn belongs to.
    pub session_id: String,
    /// The id of the chat at chat.qwen.ai.
    pub chat_id: String,
    /// The parent id that the next message must name.
    pub parent_id: String,
    /// Whether the turn is the last of its conversation.
    pub is_newest: bool,
    /// The beginning of the answer.
    pub answer: String,
    /// The hash of the system message.
    pub instructed: String,
    /// The hash of the tools that the chat knows.
    pub tools: String,
}

/// A turn that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedTurn<'a> {
    /// The session that the turn belongs to; created if it does not exist.
    pub session_id: &'a str,
    /// See [`Turn::chat_id`]. If the session had another chat, the turns of that chat are deleted.
    pub chat_id: &'a str,
    /// The first user message of the conversation, truncated by the caller.
    pub first_user_message: &'a str,
    /// The hash of the conversation's opening.
    pub opening_hash: &'a str,
    /// See [`Turn::parent_id`].
    pub parent_id: &'a str,
    /// The hash of the history, which is equal in all conversations that may continue here.
    pub asked: &'a str,
    /// See [`Turn::answer`].
    pub answer: &'a str,
    /// See [`Turn::instructed`].
    pub instructed: &'a str,
    /// See [`Turn::tools`].
    pub tools: &'a str,
    /// When the turn ended, in Unix milliseconds.
    pub ended_at: i64,
    /// The time until which the turn can be continued, in Unix milliseconds.
    pub expires_at: i64,
}

pub(crate) const FIND: &str =
    "SELECT qwen_turns.*, sessions.chat_id, sessions.parent_id = qwen_turns.parent_id AS is_newest
     FROM qwen_turns JOIN sessions ON sessions.id = qwen_turns.session_id
     WHERE qwen_turns.asked = $1 AND sessions.source = 'qwen-proxy' AND sessions.expires_at > $2
     ORDER BY qwen_turns.created_at DESC, qwen_turns.session_id DESC LIMIT $3";

/// Returns the turns with this history that can be continued at `now_ms` (Unix milliseconds), the newest first.
///
/// # Errors
/// See [`Error`].
pub async fn find(store: &Store, asked: &str, now_ms: i64) -> Result<Vec<Turn>, Error> {
    store.all(Statement::new(FIND).bind(asked).bind(now_ms).bind(MAX_TURNS)).await
}

/// Stores a turn and makes it the newest of its session.
///
/// # Errors
/// See [`Error`].
pub async fn put(store: &Store, turn: &EndedTurn<'_>) -> Result<(), Error> {
    let mut tx = store.write_log().await?;
    let forget = Statement::new(
        "DELETE FROM qwen_turns WHERE session_id = $1
             AND EXISTS (SELECT 1 FROM sessions WHERE id = $1 AND chat_id <> $2)",
    );
    tx.execute(forget.bind(turn.session_id).bind(turn.chat_id).replacing_nul()).await?;
    let session = Statement::new(
        "INSERT INTO sessions (id, chat_id, parent_id, first_user_message, message_count, created_at, last_accessed,
             expires_at, conversation_hash, source)
         VALUES ($1, $2, $3, $4, 1, $5, $5, $6, $7, 'qwen-proxy')
         ON CONFLICT (id) DO UPDATE SET chat_id = excluded.chat_id, parent_id = excluded.parent_id,
             message_count = sessions.message_count + 1, last_accessed = excluded.last_accessed,
             expires_at = excluded.expires_at,
             conversation_hash = COALESCE(sessions.conversation_hash, excluded.conversation_hash)",
    )
    .bind(turn.session_id)
    .bind(turn.chat_id)
    .bind(turn.parent_id)
    .bind(turn.first_user_message)
    .bind(turn.ended_at)
    .bind(turn.expires_at)
    .bind(turn.opening_hash);
    tx.execute(session.replacing_nul()).await?;
    let insert = Statement::new(
        "INSERT INTO qwen_turns (session_id, parent_id, asked, answer, instructed, tools, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(turn.session_id)
    .bind(turn.parent_id)
    .bind(turn.asked)
    .bind(turn.answer)
    .bind(turn.instructed)
    .bind(turn.tools)
    .bind(turn.ended_at);
    tx.execute(insert.replacing_nul()).await?;
    tx.commit().await
}

/// Deletes up to `limit` conversations that expired before `now_ms` (Unix milliseconds); returns their number. A
/// session is kept as long as it has logged requests.
///
/// # Errors
/// See [`Error`].
pub async fn delete_expired(store: &Store, now_ms: i64, limit: i64) -> Result<u64, Error> {
    let mut tx = store.write_log().await?;
    let sessions = Statement::new(
        "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions WHERE source = 'qwen-proxy' AND expires_at <= $1
                  AND NOT EXISTS (SELECT 1 FROM requests WHERE requests.session_id = sessions.id)
              ORDER BY expires_at LIMIT $2)",
    );
    let sessions = tx.execute(sessions.bind(now_ms).bind(limit)).await?;
    let turns = Statement::new(
        "DELETE FROM qwen_turns WHERE session_id IN
             (SELECT id FROM sessions WHERE source = 'qwen-proxy' AND expires_at <= $1
                  AND EXISTS (SELECT 1 FROM qwen_turns WHERE qwen_turns.session_id = sessions.id)
              ORDER BY expires_at LIMIT $2)",
    );
    let turns = tx.execute(turns.bind(now_ms).bind(limit)).await?;
    tx.commit().await?;
    Ok(sessions + turns)
}

/// Returns the number of conversations that can be continued at `now_ms` (Unix milliseconds).
///
/// # Errors
/// See [`Error`].
pub async fn count(store: &Store, now_ms: i64) -> Result<i64, Error> {
    let count = "SELECT COUNT(*) AS total FROM sessions WHERE source = 'qwen-proxy' AND expires_at > $1
                     AND EXISTS (SELECT 1 FROM qwen_turns WHERE qwen_turns.session_id = sessions.id)";
    let total: crate::page::Total = store.one(Statement::new(count).bind(now_ms), "count").await?;
    Ok(total.0)
}

// === impl FromRow ===

impl FromRow for Turn {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            session_id: row.text("session_id")?,
            chat_id: row.text("chat_id")?,
            parent_id: row.text("parent_id")?,
            is_newest: row.flag("is_newest")?,
            answer: row.text("answer")?,
            instructed: row.text("instructed")?,
            tools: row.text("tools")?,
        })
    }
}

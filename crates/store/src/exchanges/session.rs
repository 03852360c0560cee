//! Which row of `sessions` an exchange belongs to.
//!
//! The router's sessions are groups of the log, not chats: they are forgotten a fixed time after their newest request.
//! Sessions of qwen-proxy are never changed here, even if a client names one of them.

use super::{Begun, SessionRef};
use crate::Error;
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;

/// How long after its newest request a session is forgotten: 30 days.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

pub(crate) const CONTINUE: &str = "UPDATE sessions SET message_count = message_count + 1,
         last_accessed = CASE WHEN $2 > last_accessed THEN $2 ELSE last_accessed END,
         expires_at = CASE WHEN $3 > expires_at THEN $3 ELSE expires_at END
     WHERE id = (SELECT id FROM sessions WHERE conversation_hash = $1 AND source = 'router'
                 ORDER BY created_at DESC, id DESC LIMIT 1)
     RETURNING id";

/// The beginning is that of the earliest request, in whatever order they are recorded.
const UPSERT: &str = "INSERT INTO sessions (id, chat_id, first_user_message, message_count, created_at, last_accessed,
         expires_at, conversation_hash, source)
     VALUES ($1, $1, $2, 1, $3, $3, $4, $5, 'router')
     ON CONFLICT (id) DO UPDATE SET message_count = sessions.message_count + 1,
         first_user_message = CASE WHEN excluded.created_at < sessions.created_at
             THEN excluded.first_user_message ELSE sessions.first_user_message END,
         created_at = CASE WHEN excluded.created_at < sessions.created_at
             THEN excluded.created_at ELSE sessions.created_at END,
         last_accessed = CASE WHEN excluded.last_accessed > sessions.last_accessed
             THEN excluded.last_accessed ELSE sessions.last_accessed END,
         expires_at = CASE WHEN excluded.expires_at > sessions.expires_at
             THEN excluded.expires_at ELSE sessions.expires_at END
     WHERE sessions.source = 'router'";

struct SessionId(String);

/// Counts a new request in its session, which is made if need be; answers the session's id.
pub(super) async fn join(tx: &mut Transaction, begun: &Begun) -> Result<String, Error> {
    let (id, hash) = match &begun.session {
        SessionRef::Named(id) => (id, None),
        SessionRef::Opens => (&begun.request_id, None),
        SessionRef::Continues(hash) => {
            let statement = Statement::new(CONTINUE).bind(hash).bind(begun.received_at).bind(expiry(begun));
            if let Some(SessionId(id)) = tx.first(statement.replacing_nul()).await? {
                return Ok(id);
            }
            (&begun.request_id, Some(hash.as_str()))
        }
    };
    let statement = Statement::new(UPSERT)
        .bind(id)
        .bind(&begun.first_user_message)
        .bind(begun.received_at)
        .bind(expiry(begun))
        .bind(hash)
        .replacing_nul();
    tx.execute(statement).await?;
    Ok(id.clone())
}

/// Remembers by what opening later requests find the session; the first one counts.
pub(super) async fn set_opening(tx: &mut Transaction, session_id: &str, hash: &str) -> Result<(), Error> {
    let statement = Statement::new(
        "UPDATE sessions SET conversation_hash = $2
         WHERE id = $1 AND conversation_hash IS NULL AND source = 'router'",
    );
    tx.execute(statement.bind(session_id).bind(hash).replacing_nul()).await.map(drop)
}

const fn expiry(begun: &Begun) -> i64 {
    begun.received_at.saturating_add(KEPT_MS)
}

// === impl SessionId ===

impl FromRow for SessionId {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.text("id").map(Self)
    }
}

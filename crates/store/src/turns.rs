//! The turns of a session, as far as the provider's cache of their prompts depends on them.

use signalbox_core::prompt_cache::PromptTokens;

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::{Error, Store};

/// An answered request of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Number of the request.
    pub id: i64,
    /// UUID of the request.
    pub request_id: String,
    /// Time of its arrival.
    pub timestamp: i64,
    /// Model that the client asked for.
    pub model: String,
    /// Provider that answered.
    pub provider_id: Option<String>,
    /// Tokens of its prompt.
    pub tokens: PromptTokens,
}

/// Selects the turns of a session whose tokens were counted by class.
macro_rules! select {
    ($which:literal, $limit:literal) => {
        concat!(
            "SELECT requests.id, requests.request_id, requests.timestamp, requests.model, requests.provider_id,
                 responses.prompt_tokens, responses.cache_read_tokens
             FROM requests JOIN responses ON responses.id = requests.id
             WHERE requests.session_id = $1 AND responses.prompt_tokens IS NOT NULL
                 AND responses.cache_read_tokens IS NOT NULL ",
            $which,
            " ORDER BY requests.timestamp DESC, requests.id DESC LIMIT ",
            $limit
        )
    };
}

/// Finds the turns before another one.
pub(crate) const BEFORE: &str =
    select!("AND requests.model = $2 AND (requests.timestamp, requests.id) < ($3, $4)", "$5");

/// Finds the newest turns.
pub(crate) const NEWEST: &str = select!("", "$2");

/// Returns the newest turns of a session, at most `limit`, the newest first.
///
/// # Errors
/// See [`Error`].
pub async fn newest(store: &Store, session_id: &str, limit: i64) -> Result<Vec<Turn>, Error> {
    store.all(Statement::new(NEWEST).bind(session_id).bind(limit)).await
}

/// Returns the turns of the session before the request with this arrival and number, for the same model: at most
/// `limit`, the newest first.
///
/// # Errors
/// See [`Error`].
pub async fn before(
    store: &Store,
    session_id: &str,
    model: &str,
    (timestamp, id): (i64, i64),
    limit: i64,
) -> Result<Vec<Turn>, Error> {
    let statement = Statement::new(BEFORE).bind(session_id).bind(model).bind(timestamp).bind(id).bind(limit);
    store.all(statement).await
}

// === impl FromRow ===

impl FromRow for Turn {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.int("id")?,
            request_id: row.text("request_id")?,
            timestamp: row.int("timestamp")?,
            model: row.text("model")?,
            provider_id: row.optional_text("provider_id")?,
            tokens: PromptTokens { prompt: row.int("prompt_tokens")?, cached: row.int("cache_read_tokens")? },
        })
    }
}

//! Table `sessions`: conversations.

use signalbox_core::schema::Session;

use crate::erasure::{self, Selection};
use crate::row::{Columns, FromRow};
use crate::statement::{Filtered, Statement};
use crate::{Error, ListPage, Page, RowPosition, Store};

/// The name of a row of this table in errors.
const ENTITY: &str = "session";

/// Counts all sessions, from the hourly sums.
pub(crate) const TOTAL: &str = "SELECT CAST(COALESCE(SUM(sessions), 0) AS BIGINT) AS total FROM session_hours";

/// The time by which sessions are sorted, the newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The beginning of the session.
    #[default]
    CreatedAt,
    /// The newest request of the session.
    LastAccessed,
}

/// Returns the sessions, the newest first.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store, sort: Sort, page: Page) -> Result<ListPage<Session>, Error> {
    list_after(store, sort, None, page).await
}

/// Returns the sessions after a position in that order; the total still counts all.
///
/// # Errors
/// See [`Error`].
pub async fn list_after(
    store: &Store,
    sort: Sort,
    after: Option<&RowPosition<String>>,
    page: Page,
) -> Result<ListPage<Session>, Error> {
    let page = page.check()?;
    let mut tx = store.read().await?;
    let total = tx.total(Statement::new(TOTAL)).await?;
    let items = tx.all(page_statement(sort, after, page)).await?;
    Ok(ListPage { items, total })
}

/// Returns the statement for one page.
pub(crate) fn page_statement<'a>(sort: Sort, after: Option<&'a RowPosition<String>>, page: Page) -> Statement<'a> {
    let (behind, order) = match sort {
        Sort::CreatedAt => ("(created_at, id) < (?, ?)", "ORDER BY created_at DESC, id DESC"),
        Sort::LastAccessed => ("(last_accessed, id) < (?, ?)", "ORDER BY last_accessed DESC, id DESC"),
    };
    let mut filtered = Filtered::default();
    if let Some(RowPosition { at, id }) = after {
        filtered.and_pair(behind, (*at, id));
    }
    filtered.page("SELECT * FROM sessions", order, page)
}

/// Returns one session, even if it has expired.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn get(store: &Store, id: &str) -> Result<Session, Error> {
    store.one(Statement::new("SELECT * FROM sessions WHERE id = $1").bind(id), ENTITY).await
}

/// Returns the sessions of a chat at chat.qwen.ai, the newest first, at most `limit`.
///
/// # Errors
/// See [`Error`].
pub async fn of_chat(store: &Store, chat_id: &str, limit: i64) -> Result<Vec<Session>, Error> {
    let select = "SELECT * FROM sessions WHERE chat_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2";
    store.all(Statement::new(select).bind(chat_id).bind(limit)).await
}

/// Deletes a session with its requests and responses, and every text of them that no other row contains: see
/// [`crate::erasure`]. If this fails, some of the requests may have been deleted, and a repetition deletes the others.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, id: &str) -> Result<(), Error> {
    get(store, id).await?;
    erasure::sessions(store, Selection::Session(id)).await.map(drop)
}

/// Like [`delete`], deletes up to `limit` sessions that expired before `now_ms`, with their requests and responses;
/// returns their number. To delete many, call this repeatedly.
///
/// # Errors
/// See [`Error`].
pub async fn delete_expired(store: &Store, now_ms: i64, limit: i64) -> Result<u64, Error> {
    erasure::sessions(store, Selection::Expired { before: now_ms, limit }).await
}

// === impl FromRow ===

impl FromRow for Session {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            chat_id: row.text("chat_id")?,
            parent_id: row.optional_text("parent_id")?,
            first_user_message: row.text("first_user_message")?,
            message_count: row.int("message_count")?,
            created_at: row.int("created_at")?,
            last_accessed: row.int("last_accessed")?,
            expires_at: row.int("expires_at")?,
        })
    }
}

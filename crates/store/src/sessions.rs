//! Table `sessions`.

use signalbox_core::schema::Session;

use crate::row::{Columns, FromRow};
use crate::statement::{Filtered, Statement};
use crate::{After, Error, Listed, Page, Store};

/// What an error calls a row of this table.
const WHAT: &str = "session";

pub(crate) const DELETE_EXPIRED: &str =
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";

/// How many there are, from the sums by hour.
pub(crate) const TOTAL: &str = "SELECT CAST(COALESCE(SUM(sessions), 0) AS BIGINT) AS total FROM session_hours";

/// The newest first, by which time?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When it began.
    #[default]
    CreatedAt,
    /// Its newest request.
    LastAccessed,
}

/// The sessions, the newest first.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store, sort: Sort, page: Page) -> Result<Listed<Session>, Error> {
    list_after(store, sort, None, page).await
}

/// The sessions behind a place in that order; they all count for the total.
///
/// # Errors
/// See [`Error`].
pub async fn list_after(
    store: &Store,
    sort: Sort,
    after: Option<&After<String>>,
    page: Page,
) -> Result<Listed<Session>, Error> {
    let page = page.check()?;
    let mut tx = store.read().await?;
    let total = tx.total(Statement::new(TOTAL)).await?;
    let items = tx.all(piece(sort, after, page)).await?;
    Ok(Listed { items, total })
}

/// One page.
pub(crate) fn piece<'a>(sort: Sort, after: Option<&'a After<String>>, page: Page) -> Statement<'a> {
    let (behind, order) = match sort {
        Sort::CreatedAt => ("(created_at, id) < (?, ?)", "ORDER BY created_at DESC, id DESC"),
        Sort::LastAccessed => ("(last_accessed, id) < (?, ?)", "ORDER BY last_accessed DESC, id DESC"),
    };
    let mut filtered = Filtered::default();
    if let Some(After { at, id }) = after {
        filtered.and_pair(behind, (*at, id));
    }
    filtered.page("SELECT * FROM sessions", order, page)
}

/// One session, even if it has expired.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn get(store: &Store, id: &str) -> Result<Session, Error> {
    store.one(Statement::new("SELECT * FROM sessions WHERE id = $1").bind(id), WHAT).await
}

/// Returns the sessions of a chat at chat.qwen.ai, the newest first, at most `limit`.
///
/// # Errors
/// See [`Error`].
pub async fn of_chat(store: &Store, chat_id: &str, limit: i64) -> Result<Vec<Session>, Error> {
    let select = "SELECT * FROM sessions WHERE chat_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2";
    store.all(Statement::new(select).bind(chat_id).bind(limit)).await
}

/// Deletes a session with its requests and responses.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, id: &str) -> Result<(), Error> {
    store.change(Statement::new("DELETE FROM sessions WHERE id = $1").bind(id), WHAT).await
}

/// Deletes up to `limit` sessions that expired before `now_ms`, with their requests and responses; answers how many.
/// A caller with many to delete calls again, so that other writers get their turn in between.
///
/// # Errors
/// See [`Error`].
pub async fn delete_expired(store: &Store, now_ms: i64, limit: i64) -> Result<u64, Error> {
    let mut tx = store.write().await?;
    let deleted = tx.execute(Statement::new(DELETE_EXPIRED).bind(now_ms).bind(limit)).await?;
    tx.commit().await?;
    Ok(deleted)
}

// === impl FromRow ===

impl FromRow for Session {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            chat_id: row.text("chat_id")?,
            parent_id: row.maybe_text("parent_id")?,
            first_user_message: row.text("first_user_message")?,
            message_count: row.int("message_count")?,
            created_at: row.int("created_at")?,
            last_accessed: row.int("last_accessed")?,
            expires_at: row.int("expires_at")?,
        })
    }
}

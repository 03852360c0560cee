//! Tables `audit` and `audit_actor`: the log of changes and their actors.
//!
//! Triggers in the schema write the log in the same transaction as the change, so that no writer can omit it. They read
//! the actor from `audit_actor`, where [`Store::write`] stores the actor of the current task: see [`with_actor`].
//! Changes made directly with SQL have no actor.

use signalbox_core::schema::AuditEntry;

pub use crate::actor::{Actor, RequestLine, with_actor};
use crate::row::{Columns, FromRow};
use crate::statement::{Filtered, Statement};
use crate::{Error, ListPage, Page, RowPosition, Store};

/// Selects entries. `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The actor.
    pub actor: Option<String>,
    /// `created`, `updated`, `deleted`, or the method of a request.
    pub action: Option<String>,
    /// The kind of resource.
    pub resource: Option<String>,
    /// The id of the resource.
    pub resource_id: Option<String>,
    /// `done`, `refused` or `failed`.
    pub outcome: Option<String>,
    /// The id of the request that caused the change.
    pub request_id: Option<String>,
    /// The earliest time, in Unix milliseconds.
    pub since: Option<i64>,
    /// The end of the period, exclusive, in Unix milliseconds.
    pub until: Option<i64>,
    /// Returns only entries after this one; the total still counts all.
    pub after: Option<RowPosition<i64>>,
}

pub(crate) const DELETE: &str =
    "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)";

/// Returns the entries, the newest first.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store, filter: &Filter, page: Page) -> Result<ListPage<AuditEntry>, Error> {
    let page = page.check()?;
    let mut filtered = Filtered::default();
    filtered.and_if("actor = ?", filter.actor.as_deref());
    filtered.and_if("action = ?", filter.action.as_deref());
    filtered.and_if("resource = ?", filter.resource.as_deref());
    filtered.and_if("resource_id = ?", filter.resource_id.as_deref());
    filtered.and_if("outcome = ?", filter.outcome.as_deref());
    filtered.and_if("request_id = ?", filter.request_id.as_deref());
    filtered.and_if("at >= ?", filter.since);
    filtered.and_if("at < ?", filter.until);
    let mut tx = store.read().await?;
    let total = tx.total(filtered.all("SELECT COUNT(*) AS total FROM audit")).await?;
    filtered.and_if("id < ?", filter.after.as_ref().map(|after| after.id));
    let items = tx.all(filtered.page("SELECT * FROM audit", "ORDER BY id DESC", page)).await?;
    Ok(ListPage { items, total })
}

/// Logs a request that ended with this status, unless a change made by the request is in the log already.
///
/// # Errors
/// See [`Error`].
pub async fn log_request(store: &Store, actor: &Actor, status: u16, at_ms: i64) -> Result<(), Error> {
    let Some(request) = &actor.request else {
        return Err(Error::Invalid("only requests are recorded".to_owned()));
    };
    let outcome = match status {
        ..400 => "done",
        400..500 => "refused",
        _ => "failed",
    };
    // PostgreSQL requires an explicit type for a selected parameter.
    let statement = Statement::new(
        "INSERT INTO audit (at, actor, action, resource, resource_id, outcome, request_id, method, path, status)
         SELECT CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS TEXT), 'request', CAST($4 AS TEXT), CAST($5 AS TEXT),
             CAST($6 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($7 AS BIGINT)
         WHERE NOT EXISTS (SELECT 1 FROM audit WHERE request_id = $6)",
    )
    .bind(at_ms)
    .bind(&actor.name)
    .bind(&request.method)
    .bind(&request.path)
    .bind(outcome)
    .bind(&request.id)
    .bind(i64::from(status));
    let mut tx = store.write().await?;
    tx.execute(statement.replacing_nul()).await?;
    tx.commit().await
}

/// Deletes at most `limit` entries older than `before_ms`; returns the number of deleted entries.
///
/// # Errors
/// See [`Error`].
pub async fn delete_before(store: &Store, before_ms: i64, limit: i64) -> Result<u64, Error> {
    let mut tx = store.write().await?;
    let deleted = tx.execute(Statement::new(DELETE).bind(before_ms).bind(limit)).await?;
    tx.commit().await?;
    Ok(deleted)
}

// === impl FromRow ===

impl FromRow for AuditEntry {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let json = |name: &'static str| -> Result<_, Error> {
            let text = row.optional_text(name)?;
            text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| Error::unreadable("audit", error))
        };
        Ok(Self {
            id: row.int("id")?,
            at: row.int("at")?,
            actor: row.optional_text("actor")?,
            action: row.text("action")?,
            resource: row.text("resource")?,
            resource_id: row.text("resource_id")?,
            before: json("before")?,
            after: json("after")?,
            outcome: row.text("outcome")?,
            request_id: row.optional_text("request_id")?,
            method: row.optional_text("method")?,
            path: row.optional_text("path")?,
            status: row.optional_int("status")?,
        })
    }
}

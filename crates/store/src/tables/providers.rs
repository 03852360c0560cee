//! Rows of the table `providers`.

use signalbox_core::schema::{NewProvider, Provider};

use crate::Error;
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;

/// The name of a row of this table in errors.
pub(crate) const ENTITY: &str = "provider";

/// Creates a provider.
pub(crate) async fn add(tx: &mut Transaction, provider: &NewProvider, now_ms: i64) -> Result<Provider, Error> {
    let statement = Statement::new(
        "INSERT INTO providers (id, name, type, enabled, priority, description, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING *",
    );
    tx.one(values(statement, provider, now_ms), ENTITY).await
}

/// Creates or updates a provider.
pub(crate) async fn put(tx: &mut Transaction, provider: &NewProvider, now_ms: i64) -> Result<(), Error> {
    let statement = Statement::new(
        "INSERT INTO providers (id, name, type, enabled, priority, description, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, type = excluded.type, enabled = excluded.enabled,
             priority = excluded.priority, description = excluded.description, updated_at = excluded.updated_at",
    );
    tx.execute(values(statement, provider, now_ms)).await.map(drop)
}

/// Binds the values of a row.
fn values<'a>(statement: Statement<'a>, provider: &'a NewProvider, now_ms: i64) -> Statement<'a> {
    statement
        .bind(&provider.id)
        .bind(&provider.name)
        .bind(&provider.kind)
        .bind(provider.enabled)
        .bind(provider.priority)
        .bind(provider.description.as_deref())
        .bind(now_ms)
}

/// Locks the provider's row until the end of the transaction, so that changes of its dependent rows are serialised (on
/// SQLite, writers are serialised anyway). Fails if the provider does not exist.
pub(crate) async fn lock_row(tx: &mut Transaction, id: &str) -> Result<(), Error> {
    let touch = Statement::new("UPDATE providers SET priority = priority WHERE id = $1").bind(id);
    match tx.execute(touch).await? {
        0 => Err(Error::NotFound { entity: ENTITY }),
        _ => Ok(()),
    }
}

// === impl FromRow ===

impl FromRow for Provider {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            kind: row.text("type")?,
            enabled: row.flag("enabled")?,
            priority: row.int("priority")?,
            description: row.optional_text("description")?,
            created_at: row.int("created_at")?,
            updated_at: row.int("updated_at")?,
        })
    }
}

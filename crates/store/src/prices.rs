//! Table `price_layers`: the operator's overrides of the shipped prices.
//!
//! The document is stored as text, and its writer checks it first: this crate does not know prices.

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Store};

/// The operator's overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceLayer {
    /// A JSON document of prices.
    pub document: String,
    /// When it was written, in Unix milliseconds.
    pub updated_at: i64,
}

pub(crate) const CURRENT: &str = "SELECT document, updated_at FROM price_layers WHERE id = 'api'";
pub(crate) const DELETE: &str = "DELETE FROM price_layers WHERE id = 'api'";

/// Returns the overrides, if there are any.
///
/// # Errors
/// See [`Error`].
pub async fn get(store: &Store) -> Result<Option<PriceLayer>, Error> {
    store.first(Statement::new(CURRENT)).await
}

/// Replaces the overrides.
///
/// # Errors
/// See [`Error`].
pub async fn put(store: &Store, document: &str, now_ms: i64) -> Result<(), Error> {
    let mut tx = store.write().await?;
    set(&mut tx, document, now_ms).await?;
    tx.commit().await
}

/// Removes the overrides; returns whether there were any.
///
/// # Errors
/// See [`Error`].
pub async fn delete(store: &Store) -> Result<bool, Error> {
    let mut tx = store.write().await?;
    let deleted = tx.execute(Statement::new(DELETE)).await?;
    tx.commit().await?;
    Ok(deleted > 0)
}

pub(crate) async fn set(tx: &mut Transaction, document: &str, now_ms: i64) -> Result<(), Error> {
    let statement = Statement::new(
        "INSERT INTO price_layers (id, document, updated_at) VALUES ('api', $1, $2)
         ON CONFLICT (id) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at",
    );
    tx.execute(statement.bind(document).bind(now_ms)).await.map(drop)
}

// === impl FromRow ===

impl FromRow for PriceLayer {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { document: row.text("document")?, updated_at: row.int("updated_at")? })
    }
}

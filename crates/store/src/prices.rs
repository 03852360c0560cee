//! Table `price_layers`: the operator's overrides of the shipped prices, and prices that were imported from a file.
//!
//! The document is stored as text, and its writer checks it first: this crate does not know prices.

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Store};

/// Where prices come from. Overrides win over imported prices, and these over shipped ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceSource {
    /// The operator's overrides.
    Overrides,
    /// Prices that were imported from a file.
    Import,
}

/// A document of prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceLayer {
    /// A JSON document of prices.
    pub document: String,
    /// When it was written, in Unix milliseconds.
    pub updated_at: i64,
}

/// Returns the document of a source, if there is one.
///
/// # Errors
/// See [`Error`].
pub async fn get(store: &Store, source: PriceSource) -> Result<Option<PriceLayer>, Error> {
    store.first(select(source)).await
}

/// Replaces the document of a source.
///
/// # Errors
/// See [`Error`].
pub async fn put(store: &Store, source: PriceSource, document: &str, now_ms: i64) -> Result<(), Error> {
    let mut tx = store.write().await?;
    set(&mut tx, source, document, now_ms).await?;
    tx.commit().await
}

/// Removes the document of a source; returns whether there was one.
///
/// # Errors
/// See [`Error`].
pub async fn delete(store: &Store, source: PriceSource) -> Result<bool, Error> {
    let mut tx = store.write().await?;
    let deleted = tx.execute(remove(source)).await?;
    tx.commit().await?;
    Ok(deleted > 0)
}

pub(crate) fn select(source: PriceSource) -> Statement<'static> {
    Statement::new("SELECT document, updated_at FROM price_layers WHERE id = $1").bind(source.id())
}

pub(crate) fn remove(source: PriceSource) -> Statement<'static> {
    Statement::new("DELETE FROM price_layers WHERE id = $1").bind(source.id())
}

pub(crate) async fn set(tx: &mut Transaction, source: PriceSource, document: &str, now_ms: i64) -> Result<(), Error> {
    let statement = Statement::new(
        "INSERT INTO price_layers (id, document, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at",
    );
    tx.execute(statement.bind(source.id()).bind(document).bind(now_ms)).await.map(drop)
}

// === impl PriceSource ===

impl PriceSource {
    /// Returns the id of the row.
    const fn id(self) -> &'static str {
        match self {
            Self::Overrides => "api",
            Self::Import => "file",
        }
    }
}

// === impl FromRow ===

impl FromRow for PriceLayer {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { document: row.text("document")?, updated_at: row.int("updated_at")? })
    }
}

//! Deletes single chunks. [`crate::retention`] deletes the oldest ones of a day instead.

use std::collections::BTreeMap;

use super::Key;
use crate::Error;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::statement::Statement;
use crate::transaction::Transaction;

/// The stored bytes of a chunk.
struct Size {
    day: i64,
    bytes: i64,
}

pub(crate) const SIZES: (&str, usize, &str) =
    ("SELECT day, CAST(LENGTH(bytes) AS BIGINT) AS size FROM bodies WHERE (day, request_id, part) IN (VALUES ", 3, ")");

pub(crate) const DELETE: (&str, usize, &str) = ("DELETE FROM bodies WHERE (day, request_id, part) IN (VALUES ", 3, ")");

/// Leaves `removed_to` unchanged: it says that all chunks up to a request have been deleted.
const SUBTRACT: &str = "UPDATE body_days SET bytes = CASE WHEN bytes > $2 THEN bytes - $2 ELSE 0 END WHERE day = $1";

/// Deletes these chunks and subtracts their bytes from the totals. Chunks that do not exist are ignored.
pub(crate) async fn remove(tx: &mut Transaction, keys: impl Iterator<Item = Key>) -> Result<(), Error> {
    let mut selected = Rows::new(SIZES.0, SIZES.1, SIZES.2);
    let mut deleted = Rows::new(DELETE.0, DELETE.1, DELETE.2);
    for key in keys {
        let row = [key.day.into(), key.request_id.into(), key.part.number().into()];
        selected.push(row.clone());
        deleted.push(row);
    }
    let sizes: Vec<Size> = selected.all(tx).await?;
    deleted.execute(tx).await?;
    let mut days = BTreeMap::<i64, i64>::new();
    for Size { day, bytes } in sizes {
        let sum = days.entry(day).or_default();
        *sum = sum.saturating_add(bytes);
    }
    for (day, bytes) in days {
        tx.execute(Statement::new(SUBTRACT).bind(day).bind(bytes)).await?;
    }
    Ok(())
}

// === impl Size ===

impl FromRow for Size {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { day: row.int("day")?, bytes: row.int("size")? })
    }
}

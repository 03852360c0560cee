//! Reading columns, the same way from both databases.

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::Error;

/// A row of an answer. The schema knows four types: text, 64-bit integers, booleans and bytes.
pub(crate) trait Columns {
    fn text(&self, column: &str) -> Result<String, Error>;
    fn maybe_text(&self, column: &str) -> Result<Option<String>, Error>;
    fn int(&self, column: &str) -> Result<i64, Error>;
    fn maybe_int(&self, column: &str) -> Result<Option<i64>, Error>;
    fn flag(&self, column: &str) -> Result<bool, Error>;
    fn bytes(&self, column: &str) -> Result<Vec<u8>, Error>;
}

/// What can be made of a row. The row types live in `signalbox-core`, which does not know sqlx, so sqlx's own trait
/// cannot be implemented for them.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &dyn Columns) -> Result<Self, Error>;
}

macro_rules! columns {
    ($row:ty) => {
        impl Columns for $row {
            fn text(&self, column: &str) -> Result<String, Error> {
                Ok(self.try_get(column)?)
            }

            fn maybe_text(&self, column: &str) -> Result<Option<String>, Error> {
                Ok(self.try_get(column)?)
            }

            fn int(&self, column: &str) -> Result<i64, Error> {
                Ok(self.try_get(column)?)
            }

            fn maybe_int(&self, column: &str) -> Result<Option<i64>, Error> {
                Ok(self.try_get(column)?)
            }

            fn flag(&self, column: &str) -> Result<bool, Error> {
                Ok(self.try_get(column)?)
            }

            fn bytes(&self, column: &str) -> Result<Vec<u8>, Error> {
                Ok(self.try_get(column)?)
            }
        }
    };
}

columns!(SqliteRow);
columns!(PgRow);

// === impl FromRow for the plainest answers ===

/// Nothing but the fact that there is a row.
impl FromRow for () {
    fn from_row(_: &dyn Columns) -> Result<Self, Error> {
        Ok(())
    }
}

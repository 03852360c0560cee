//! Reads columns in the same way from both databases.

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::Error;

/// A row of a result. The schema has four types: text, 64-bit integers, booleans and bytes.
pub(crate) trait Columns {
    fn text(&self, column: &str) -> Result<String, Error>;
    fn optional_text(&self, column: &str) -> Result<Option<String>, Error>;
    fn int(&self, column: &str) -> Result<i64, Error>;
    fn optional_int(&self, column: &str) -> Result<Option<i64>, Error>;
    fn flag(&self, column: &str) -> Result<bool, Error>;
    fn bytes(&self, column: &str) -> Result<Vec<u8>, Error>;
}

/// A type that can be read from a row. The row types are defined in `signalbox-core`, which does not depend on sqlx, so
/// sqlx's own trait cannot be implemented for them.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &dyn Columns) -> Result<Self, Error>;
}

/// A row, if it can be read. A single row that another program wrote must not hide all others.
pub(crate) struct Readable<T>(Option<T>);

/// Returns the rows that can be read.
pub(crate) fn readable<T>(rows: Vec<Readable<T>>) -> Vec<T> {
    rows.into_iter().filter_map(|row| row.0).collect()
}

macro_rules! columns {
    ($row:ty) => {
        impl Columns for $row {
            fn text(&self, column: &str) -> Result<String, Error> {
                Ok(self.try_get(column)?)
            }

            fn optional_text(&self, column: &str) -> Result<Option<String>, Error> {
                Ok(self.try_get(column)?)
            }

            fn int(&self, column: &str) -> Result<i64, Error> {
                Ok(self.try_get(column)?)
            }

            fn optional_int(&self, column: &str) -> Result<Option<i64>, Error> {
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

// === impl Readable ===

impl<T: FromRow> FromRow for Readable<T> {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        match T::from_row(row) {
            Ok(read) => Ok(Self(Some(read))),
            Err(error @ Error::Corrupt(_)) => {
                tracing::warn!(id = row.text("id")?, %error, "a row of the catalogue cannot be read and is ignored");
                Ok(Self(None))
            }
            Err(error) => Err(error),
        }
    }
}

// === impl FromRow for () ===

/// Only tells that a row exists.
impl FromRow for () {
    fn from_row(_: &dyn Columns) -> Result<Self, Error> {
        Ok(())
    }
}

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

impl Columns for PgRow {
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

/// A column of SQLite takes values of any type, which other programs may have written: numbers are rounded, texts that
/// are no numbers count as 0, and invalid UTF-8 is replaced, so that no such value hides the other rows of a list.
impl Columns for SqliteRow {
    fn text(&self, column: &str) -> Result<String, Error> {
        self.try_get(column).or_else(|error| any_text(self, column).ok_or(error)).map_err(Error::from)
    }

    fn optional_text(&self, column: &str) -> Result<Option<String>, Error> {
        self.try_get(column).or_else(|error| any_text(self, column).map(Some).ok_or(error)).map_err(Error::from)
    }

    fn int(&self, column: &str) -> Result<i64, Error> {
        self.try_get(column).or_else(|error| any_int(self, column).ok_or(error)).map_err(Error::from)
    }

    fn optional_int(&self, column: &str) -> Result<Option<i64>, Error> {
        self.try_get(column).or_else(|error| any_int(self, column).map(Some).ok_or(error)).map_err(Error::from)
    }

    fn flag(&self, column: &str) -> Result<bool, Error> {
        self.try_get(column)
            .or_else(|error| any_int(self, column).map(|int| int != 0).ok_or(error))
            .map_err(Error::from)
    }

    fn bytes(&self, column: &str) -> Result<Vec<u8>, Error> {
        Ok(self.try_get(column)?)
    }
}

fn any_text(row: &SqliteRow, column: &str) -> Option<String> {
    let bytes: Vec<u8> = row.try_get_unchecked(column).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[expect(clippy::cast_possible_truncation, reason = "numbers beyond the range become its ends")]
fn any_int(row: &SqliteRow, column: &str) -> Option<i64> {
    let number: f64 = row.try_get_unchecked(column).ok()?;
    Some(number.round() as i64)
}

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

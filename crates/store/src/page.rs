//! Lists in pieces.

use crate::Error;
use crate::row::{Columns, FromRow};

/// Which piece of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most so many rows; not negative.
    pub limit: i64,
    /// So many rows are skipped; not negative.
    pub offset: i64,
}

/// A place in a list whose newest row is the first: the rows behind this one are older.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After<I> {
    /// Its time.
    pub at: i64,
    /// Its id, for rows of the same time.
    pub id: I,
}

/// A piece of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows of the page.
    pub items: Vec<T>,
    /// How many rows there are on all pages.
    pub total: i64,
}

/// The answer to `SELECT COUNT(*) AS total`.
pub(crate) struct Total(pub(crate) i64);

// === impl Page ===

impl Page {
    /// Everything. Only for tables that people fill by hand.
    pub const ALL: Self = Self { limit: i64::MAX, offset: 0 };

    pub(crate) fn check(self) -> Result<Self, Error> {
        if self.limit < 0 || self.offset < 0 {
            return Err(Error::Invalid("limit and offset must not be negative".to_owned()));
        }
        Ok(self)
    }
}

// === impl Listed ===

impl<T> Listed<T> {
    /// The same page of other things.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Listed<U> {
        Listed { items: self.items.into_iter().map(each).collect(), total: self.total }
    }
}

// === impl Total ===

impl FromRow for Total {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.int("total").map(Self)
    }
}

//! Pages of lists.

use crate::Error;
use crate::row::{Columns, FromRow};

/// The requested page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Maximum number of rows; not negative.
    pub limit: i64,
    /// Number of rows to skip; not negative.
    pub offset: i64,
}

/// A position in a list that begins with the newest row: the following rows are older.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPosition<I> {
    /// The time of the row.
    pub at: i64,
    /// The id of the row, to order rows with the same time.
    pub id: I,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage<T> {
    /// The rows of the page.
    pub items: Vec<T>,
    /// The number of rows on all pages.
    pub total: i64,
}

/// The result of `SELECT COUNT(*) AS total`.
pub(crate) struct Total(pub(crate) i64);

// === impl Page ===

impl Page {
    /// The whole list. Only for tables that users fill by hand.
    pub const ALL: Self = Self { limit: i64::MAX, offset: 0 };

    pub(crate) fn check(self) -> Result<Self, Error> {
        if self.limit < 0 || self.offset < 0 {
            return Err(Error::Invalid("limit and offset must not be negative".to_owned()));
        }
        Ok(self)
    }
}

// === impl ListPage ===

impl<T> ListPage<T> {
    /// Converts the rows of the page.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> ListPage<U> {
        ListPage { items: self.items.into_iter().map(each).collect(), total: self.total }
    }
}

// === impl Total ===

impl FromRow for Total {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.int("total").map(Self)
    }
}

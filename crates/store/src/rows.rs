//! Writes or reads many rows with few statements.
//!
//! Each statement has a fixed cost: on SQLite it crosses to the thread of the connection and back. Therefore rows are
//! grouped. Only a few group sizes are used, because each is a separate SQL text that the database prepares and caches.

use crate::Error;
use crate::row::FromRow;
use crate::statement::{Statement, Value};
use crate::transaction::Transaction;

/// The allowed numbers of rows per statement: the largest group that fits comes first.
const GROUP_SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// Maximum bytes of a group, unless a single row is larger.
const MAX_GROUP_BYTES: usize = 1 << 20;

/// Rows for a statement of the form `head (…), (…), … tail`.
#[derive(Clone, Debug)]
pub(crate) struct Rows<'a> {
    head: &'static str,
    width: usize,
    tail: &'static str,
    values: Vec<Value<'a>>,
}

// === impl Rows ===

impl<'a> Rows<'a> {
    pub(crate) const fn new(head: &'static str, width: usize, tail: &'static str) -> Self {
        Self { head, width, tail, values: Vec::new() }
    }

    /// Reserves capacity for `rows` rows.
    pub(crate) fn with_capacity(mut self, rows: usize) -> Self {
        self.values.reserve(rows * self.width);
        self
    }

    /// Adds a row, which must have as many values as the others.
    pub(crate) fn push<const WIDTH: usize>(&mut self, row: [Value<'a>; WIDTH]) {
        debug_assert_eq!(self.width, WIDTH, "{}", self.head);
        self.values.extend(row);
    }

    /// Runs the statements in the order of the rows; returns the number of changed rows.
    pub(crate) async fn execute(self, tx: &mut Transaction) -> Result<u64, Error> {
        let mut changed = 0;
        for statement in self.groups() {
            changed += tx.execute(statement.replacing_nul()).await?;
        }
        Ok(changed)
    }

    /// Runs the statements; returns all of their rows.
    pub(crate) async fn all<T: FromRow>(self, tx: &mut Transaction) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        for statement in self.groups() {
            found.extend(tx.all(statement.replacing_nul()).await?);
        }
        Ok(found)
    }

    /// Returns the statements.
    pub(crate) fn groups(self) -> impl Iterator<Item = Statement<'a>> {
        let Self { head, width, tail, values } = self;
        let mut values = values.into_iter();
        std::iter::from_fn(move || {
            let size = width * group(values.as_slice(), width)?;
            Some(Statement::of_rows(head, width, tail, values.by_ref().take(size).collect()))
        })
    }
}

/// Returns the number of rows of the next statement; `None` if no rows are left.
fn group(values: &[Value<'_>], width: usize) -> Option<usize> {
    let weight = |rows: usize| values[..rows * width].iter().map(Value::weight).sum::<usize>();
    let fits = |rows: usize| rows * width <= values.len() && (rows == 1 || weight(rows) <= MAX_GROUP_BYTES);
    GROUP_SIZES.into_iter().find(|&rows| fits(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(rows: usize, weight: usize) -> Vec<usize> {
        let mut all = Rows::new("", 2, "");
        for _ in 0..rows {
            all.push([Value::from("x".repeat(weight)), Value::from(1)]);
        }
        let mut values = &*all.values;
        std::iter::from_fn(|| {
            let rows = group(values, 2)?;
            values = &values[rows * 2..];
            Some(rows)
        })
        .collect()
    }

    #[test]
    fn rows_are_batched_in_few_sizes() {
        assert!(groups(0, 1).is_empty());
        assert_eq!(groups(1, 1), [1]);
        assert_eq!(groups(70, 1), [64, 4, 1, 1]);
        assert_eq!(groups(530, 1), [256, 256, 16, 1, 1]);
    }

    #[test]
    fn large_rows_are_batched_in_smaller_groups() {
        assert_eq!(groups(18, MAX_GROUP_BYTES / 16), [16, 1, 1]);
        assert_eq!(groups(5, MAX_GROUP_BYTES / 3), [1; 5]);
        assert_eq!(groups(2, MAX_GROUP_BYTES + 1), [1, 1]);
    }
}

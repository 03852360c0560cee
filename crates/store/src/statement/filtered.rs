//! Builds statements with optional conditions.

use super::{Statement, Text, Value};
use crate::Page;

/// A `WHERE` clause that is built from the conditions in use.
#[derive(Debug, Default)]
pub(crate) struct Filtered<'a> {
    clause: String,
    values: Vec<Value<'a>>,
}

// === impl Filtered ===

impl<'a> Filtered<'a> {
    /// Adds a condition; its single `?` is replaced with the value's placeholder.
    pub(crate) fn and(&mut self, condition: &'static str, value: impl Into<Value<'a>>) {
        self.values.push(value.into());
        let place = format!("${}", self.values.len());
        self.push(&condition.replacen('?', &place, 1));
    }

    /// Adds a condition that compares two columns with two values; its two `?` are replaced with their placeholders.
    pub(crate) fn and_pair(&mut self, condition: &'static str, pair: (impl Into<Value<'a>>, impl Into<Value<'a>>)) {
        self.values.push(pair.0.into());
        self.values.push(pair.1.into());
        let (first, second) = (self.values.len() - 1, self.values.len());
        self.push(&condition.replacen('?', &format!("${first}"), 1).replacen('?', &format!("${second}"), 1));
    }

    /// Adds a condition if there is a value for it.
    pub(crate) fn and_if<V: Into<Value<'a>>>(&mut self, condition: &'static str, value: Option<V>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// Adds the condition that a column has one of these values; without values, it matches all.
    pub(crate) fn and_any<V: Into<Value<'a>>>(&mut self, column: &'static str, values: impl IntoIterator<Item = V>) {
        let first = self.values.len() + 1;
        self.values.extend(values.into_iter().map(Into::into));
        let places: Vec<String> = (first..=self.values.len()).map(|place| format!("${place}")).collect();
        match &*places {
            [] => {}
            [place] => self.push(&format!("{column} = {place}")),
            places => self.push(&format!("{column} IN ({})", places.join(", "))),
        }
    }

    /// Adds a condition that needs no value.
    pub(crate) fn and_fixed(&mut self, condition: &'static str) {
        self.push(condition);
    }

    /// Returns `select` with the conditions.
    pub(crate) fn all(&self, select: &'static str) -> Statement<'a> {
        Statement {
            text: Text::Plain(format!("{select}{}", self.clause).into()),
            values: self.values.clone(),
            clean: false,
        }
    }

    /// Returns `head`, a `SELECT` of the ids of the page, and `tail`. Skipped rows are counted in an index and never
    /// read.
    pub(crate) fn page_of(
        &self,
        head: &'static str,
        ids: (&'static str, &'static str),
        tail: &'static str,
        page: Page,
    ) -> Statement<'a> {
        let (limit, offset) = (self.values.len() + 1, self.values.len() + 2);
        let (select, order) = ids;
        let text = format!("{head}({select}{} {order} LIMIT ${limit} OFFSET ${offset}){tail}", self.clause);
        Statement { text: Text::Plain(text.into()), values: self.values.clone(), clean: false }
            .bind(page.limit)
            .bind(page.offset)
    }

    /// Returns `select` with the conditions and the order, limited to the page.
    pub(crate) fn page(&self, select: &'static str, order: &'static str, page: Page) -> Statement<'a> {
        let (limit, offset) = (self.values.len() + 1, self.values.len() + 2);
        let text = format!("{select}{} {order} LIMIT ${limit} OFFSET ${offset}", self.clause);
        Statement { text: Text::Plain(text.into()), values: self.values.clone(), clean: false }
            .bind(page.limit)
            .bind(page.offset)
    }

    fn push(&mut self, condition: &str) {
        self.clause.push_str(if self.clause.is_empty() { " WHERE " } else { " AND " });
        self.clause.push_str(condition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_numbered_in_order() {
        let mut filtered = Filtered::default();
        filtered.and_if("a = ?", Some("x"));
        filtered.and_if("b = ?", None::<i64>);
        filtered.and_fixed("c IS NULL");
        filtered.and("d >= ?", 7);
        let statement = filtered.page("SELECT * FROM t", "ORDER BY a", Page { limit: 1, offset: 2 });
        assert_eq!(
            statement.text.for_postgres(4),
            "SELECT * FROM t WHERE a = $1 AND c IS NULL AND d >= $2 ORDER BY a LIMIT $3 OFFSET $4"
        );
        assert_eq!(statement.values.len(), 4);
        let mut filtered = Filtered::default();
        filtered.and_any("a", [1, 2]);
        filtered.and_any("b", [] as [i64; 0]);
        filtered.and_any("c", ["x"]);
        assert_eq!(filtered.all("SELECT 1").text.for_postgres(3), "SELECT 1 WHERE a IN ($1, $2) AND c = $3");
        assert_eq!(Filtered::default().all("SELECT 1").text.for_sqlite(0), "SELECT 1");
    }
}

//! SQL statements for both databases, with their values.
//!
//! Both databases support `$1`, `RETURNING`, `ON CONFLICT … excluded`, `TRUE` and `FALSE`. Every text consists of
//! literals in this crate: a value never becomes part of it.

mod filtered;

use std::borrow::Cow;
use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Postgres, Sqlite};

pub(crate) use filtered::Filtered;

use crate::Error;

/// A statement with its values.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    text: Text,
    values: Vec<Value<'a>>,
    /// Whether the values are known to contain no U+0000.
    clean: bool,
}

#[derive(Clone, Debug)]
enum Text {
    Plain(Cow<'static, str>),
    /// `head` and `tail` with `($1, $2), ($3, $4)` between them: all values, in rows of `width` values.
    Rows {
        head: Cow<'static, str>,
        width: usize,
        tail: &'static str,
    },
}

/// A value of one of the four types of the schema. PostgreSQL requires a type even for NULL.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Text(Option<Cow<'a, str>>),
    Int(Option<i64>),
    Flag(Option<bool>),
    Bytes(Cow<'a, [u8]>),
}

/// The latest text of each column. Rows of the log often repeat texts, and a shared text need not be copied for
/// SQLite's thread.
struct Texts(Vec<Option<Arc<str>>>);

// === impl Statement ===

impl<'a> Statement<'a> {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text: Text::Plain(Cow::Borrowed(text)), values: Vec::new(), clean: false }
    }

    /// Creates a statement with many rows: see [`crate::rows::Rows`].
    pub(crate) const fn of_rows(head: &'static str, width: usize, tail: &'static str, values: Vec<Value<'a>>) -> Self {
        Self { text: Text::Rows { head: Cow::Borrowed(head), width, tail }, values, clean: false }
    }

    pub(crate) fn bind(mut self, value: impl Into<Value<'a>>) -> Self {
        self.clean = false;
        self.values.push(value.into());
        self
    }

    /// Refuses texts with the character U+0000: PostgreSQL cannot store it, and SQLite's functions stop at it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.clean && self.values.iter().any(Value::has_nul) {
            return Err(Error::Invalid("a text contains the character U+0000".to_owned()));
        }
        Ok(())
    }

    /// Replaces U+0000 with U+FFFD. For the request log, which data of clients or providers must not block.
    pub(crate) fn replacing_nul(mut self) -> Self {
        for value in self.values.iter_mut().filter(|value| value.has_nul()) {
            if let Value::Text(Some(text)) = value {
                *text = Cow::Owned(text.replace('\0', "\u{fffd}"));
            }
        }
        self.clean = true;
        self
    }

    /// Copies the values, so that the statement is `'static`.
    #[cfg(test)]
    pub(crate) fn owned(self) -> Statement<'static> {
        let owned = |value| match value {
            Value::Text(text) => Value::Text(text.map(|text| Cow::Owned(text.into_owned()))),
            Value::Int(int) => Value::Int(int),
            Value::Flag(flag) => Value::Flag(flag),
            Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
        };
        Statement { text: self.text, values: self.values.into_iter().map(owned).collect(), clean: self.clean }
    }

    /// Returns the statement that explains the plan of this one.
    #[cfg(test)]
    pub(crate) fn explained(mut self, explain: &str) -> Self {
        let (Text::Plain(text) | Text::Rows { head: text, .. }) = &mut self.text;
        *text = format!("{explain} {text}").into();
        self
    }

    pub(crate) fn for_sqlite(&self) -> Result<Query<'static, Sqlite, SqliteArguments>, Error> {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(self.values.len(), 0);
        let mut texts = Texts::new(&self.text);
        self.values
            .iter()
            .enumerate()
            .try_for_each(|(position, value)| match value {
                Value::Text(text) => arguments.add(text.as_deref().map(|text| texts.shared(position, text))),
                Value::Int(int) => arguments.add(*int),
                Value::Flag(flag) => arguments.add(*flag),
                Value::Bytes(bytes) => arguments.add(&**bytes),
            })
            .map_err(sqlx::Error::Encode)?;
        let text = AssertSqlSafe(self.text.for_sqlite(self.values.len()));
        Ok(sqlx::query_with(text, arguments))
    }

    pub(crate) fn for_postgres(&self) -> Result<Query<'static, Postgres, PgArguments>, Error> {
        let mut arguments = PgArguments::default();
        arguments.reserve(self.values.len(), self.values.iter().map(Value::weight).sum());
        self.values
            .iter()
            .try_for_each(|value| match value {
                Value::Text(text) => arguments.add(text.as_deref()),
                Value::Int(int) => arguments.add(*int),
                Value::Flag(flag) => arguments.add(*flag),
                Value::Bytes(bytes) => arguments.add(&**bytes),
            })
            .map_err(sqlx::Error::Encode)?;
        let text = AssertSqlSafe(self.text.for_postgres(self.values.len()));
        Ok(sqlx::query_with(text, arguments))
    }
}

/// Returns the text with U+0000 replaced: see [`Statement::replacing_nul`].
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    match memchr::memchr(0, text.as_bytes()) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(text.replace('\0', "\u{fffd}")),
    }
}

// === impl Text ===

impl Text {
    fn for_sqlite(&self, values: usize) -> Cow<'static, str> {
        match self {
            Self::Plain(text) => text.clone(),
            // `?` rather than `$1`: SQLite searches the names of all parameters for each one that has a name.
            Self::Rows { head, width, tail } => rows(head, values, *width, tail, |text, _| text.push('?')),
        }
    }

    fn for_postgres(&self, values: usize) -> Cow<'static, str> {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Rows { head, width, tail } => rows(head, values, *width, tail, |text, value| {
                text.push('$');
                text.push_str(&(value + 1).to_string());
            }),
        }
    }
}

// === impl Texts ===

impl Texts {
    fn new(text: &Text) -> Self {
        match text {
            Text::Plain(_) => Self(Vec::new()),
            Text::Rows { width, .. } => Self(vec![None; *width]),
        }
    }

    /// Returns the text for this position; shares the text of the row above if they are equal.
    fn shared(&mut self, position: usize, text: &str) -> Arc<str> {
        let column = position.checked_rem(self.0.len()).and_then(|column| self.0.get_mut(column));
        match column {
            Some(Some(above)) if **above == *text => Arc::clone(above),
            Some(column) => Arc::clone(column.insert(text.into())),
            None => text.into(),
        }
    }
}

fn rows(
    head: &str,
    values: usize,
    width: usize,
    tail: &str,
    mut place: impl FnMut(&mut String, usize),
) -> Cow<'static, str> {
    let mut text = String::with_capacity(head.len() + 8 * values + tail.len());
    text.push_str(head);
    for value in 0..values {
        text.push_str(match value {
            0 => "(",
            _ if value % width == 0 => "), (",
            _ => ", ",
        });
        place(&mut text, value);
    }
    text.push(')');
    text.push_str(tail);
    text.into()
}

// === impl Value ===

impl Value<'_> {
    fn has_nul(&self) -> bool {
        matches!(self, Self::Text(Some(text)) if memchr::memchr(0, text.as_bytes()).is_some())
    }

    /// Returns the length in bytes of its text or data, which determines the size of a statement.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.as_ref().map_or(0, |text| text.len()),
            Self::Bytes(bytes) => bytes.len(),
            Self::Int(_) | Self::Flag(_) => 0,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(Cow::Borrowed(text)))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Some(Cow::Borrowed(text)))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<Cow<'a, str>>> for Value<'a> {
    fn from(text: Option<Cow<'a, str>>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(Cow::Borrowed))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(Cow::Owned(text)))
    }
}

impl From<Option<String>> for Value<'_> {
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(Cow::Owned))
    }
}

impl From<i64> for Value<'_> {
    fn from(int: i64) -> Self {
        Self::Int(Some(int))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(int: Option<i64>) -> Self {
        Self::Int(int)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(Some(flag))
    }
}

impl From<Option<bool>> for Value<'_> {
    fn from(flag: Option<bool>) -> Self {
        Self::Flag(flag)
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgres_rows_are_numbered_and_sqlite_rows_are_not() {
        let text = Text::Rows { head: "VALUES ".into(), width: 2, tail: ";" };
        assert_eq!(text.for_postgres(4), "VALUES ($1, $2), ($3, $4);");
        assert_eq!(text.for_sqlite(4), "VALUES (?, ?), (?, ?);");
        assert_eq!(text.for_sqlite(2), "VALUES (?, ?);");
    }

    #[test]
    fn equal_texts_of_a_column_share_memory() {
        let mut texts = Texts::new(&Text::Rows { head: "".into(), width: 2, tail: "" });
        let row = |texts: &mut Texts, row: usize, (a, b)| (texts.shared(row * 2, a), texts.shared(row * 2 + 1, b));
        let first = row(&mut texts, 0, ("a", "b"));
        let second = row(&mut texts, 1, ("a", "a"));
        let third = row(&mut texts, 2, ("b", "a"));
        assert_eq!([&*second.0, &*second.1, &*third.0, &*third.1], ["a", "a", "b", "a"]);
        assert!(Arc::ptr_eq(&first.0, &second.0) && Arc::ptr_eq(&second.1, &third.1));
    }

    #[test]
    fn a_nul_is_refused() {
        assert!(Statement::new("SELECT $1").bind("a\0b").check().is_err());
        assert!(Statement::new("SELECT $1").bind("ab").check().is_ok());
        let replaced = Statement::new("SELECT $1").bind("a\0b").replacing_nul();
        assert!(replaced.check().is_ok());
        assert!(matches!(&replaced.values[0], Value::Text(Some(text)) if text == "a\u{fffd}b"));
    }
}

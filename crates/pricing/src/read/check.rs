//! Collects the mistakes of a document with their places.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};

use crate::Mistake;

/// Maximum characters of a text of the document in a mistake.
const MAX_QUOTED_CHARS: usize = 64;

/// The mistakes found so far, and the place that is being read.
#[derive(Debug, Default)]
pub(super) struct Check {
    path: String,
    id: Option<String>,
    mistakes: Vec<Mistake>,
}

/// A text of the document, with escapes in place of unprintable characters, and cut if it is long.
struct Quoted<'a>(&'a str);

/// Returns the form of a text of the document in a mistake.
pub(super) fn quoted(text: &str) -> impl fmt::Display {
    Quoted(text).to_string()
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(MAX_QUOTED_CHARS) {
            match c {
                '"' | '\'' => f.write_char(c)?,
                c => write!(f, "{}", c.escape_debug())?,
            }
        }
        if chars.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}

// === impl Check ===

impl Check {
    /// Returns all mistakes.
    pub(super) fn mistakes(self) -> Vec<Mistake> {
        self.mistakes
    }

    /// Returns the number of mistakes so far.
    pub(super) const fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// Sets the `id` of the row that is being read.
    pub(super) fn set_row(&mut self, id: Option<&str>) {
        self.id = id.map(|id| Quoted(id).to_string());
    }

    /// Runs `read` one level deeper.
    pub(super) fn at<T>(&mut self, key: impl fmt::Display, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(&Quoted(&key.to_string()).to_string());
        let value = read(self);
        self.path.truncate(length);
        value
    }

    /// Adds a mistake at the current place, and returns `None`.
    pub(super) fn mistake<T>(&mut self, what: impl Into<String>) -> Option<T> {
        self.mistakes.push(Mistake { path: self.path.clone(), id: self.id.clone(), what: what.into() });
        None
    }

    /// Adds a mistake one level deeper.
    pub(super) fn mistake_at(&mut self, key: impl fmt::Display, what: impl Into<String>) {
        self.at(key, |check| check.mistake::<()>(what));
    }

    /// Adds a mistake for each field that is not known.
    pub(super) fn known_fields(&mut self, fields: &Map<String, Value>, known: &[&str]) {
        for key in fields.keys().filter(|key| !known.contains(&key.as_str())) {
            self.mistake_at(key, format!("is not a known field; the fields here are {}", known.join(", ")));
        }
    }

    /// Reads a field if it is there. `null` is a mistake of most fields.
    pub(super) fn field<'a, T>(
        &mut self,
        fields: &'a Map<String, Value>,
        key: &str,
        read: impl FnOnce(&mut Self, &'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = fields.get(key)?;
        self.at(key, |check| read(check, value))
    }

    /// Reads an object.
    pub(super) fn object<'a>(&mut self, value: &'a Value) -> Option<&'a Map<String, Value>> {
        value.as_object().or_else(|| self.mistake("must be an object of fields"))
    }

    /// Reads a text that is not empty.
    pub(super) fn text<'a>(&mut self, value: &'a Value) -> Option<&'a str> {
        let text = value.as_str().filter(|text| !text.trim().is_empty() && !text.contains(char::is_control));
        text.or_else(|| self.mistake("must be text on one line"))
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&mut self, value: &Value) -> Option<bool> {
        value.as_bool().or_else(|| self.mistake("must be true or false"))
    }

    /// Reads a number of tokens.
    pub(super) fn tokens(&mut self, value: &Value) -> Option<u64> {
        value.as_u64().or_else(|| self.mistake("must be a whole number of tokens, such as 200000"))
    }

    /// Reads one text or a list of texts, none of them empty.
    pub(super) fn texts<'a>(&mut self, value: &'a Value) -> Option<Vec<&'a str>> {
        let Value::Array(items) = value else { return self.text(value).map(|text| vec![text]) };
        if items.is_empty() {
            return self.mistake("must not be an empty list");
        }
        let texts: Vec<_> =
            items.iter().enumerate().filter_map(|(index, item)| self.at(index, |check| check.text(item))).collect();
        (texts.len() == items.len()).then_some(texts)
    }
}

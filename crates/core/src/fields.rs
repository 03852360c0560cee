//! Reads the fields of a JSON object and collects every mistake with the path of its field.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::mistake::Mistake;
use crate::text::{NOT_A_LINE, is_blank, is_line, quoted};

/// Fields of an object that have not been read yet, and the mistakes found so far. `null` counts as a missing field.
pub(crate) struct Fields<'a> {
    /// Path of the object; empty for the document itself.
    path: String,
    fields: Map<String, Value>,
    /// Names of the fields that were read.
    known: Vec<&'static str>,
    mistakes: &'a mut Vec<Mistake>,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Returns the fields of the object at `path`.
    pub(crate) const fn new(path: String, fields: Map<String, Value>, mistakes: &'a mut Vec<Mistake>) -> Self {
        Self { path, fields, known: Vec::new(), mistakes }
    }

    /// Adds a mistake in a field.
    pub(crate) fn mistake(&mut self, name: &str, what: impl Into<String>) {
        let path = self.path_of(name);
        self.mistakes.push(Mistake { path, what: what.into() });
    }

    /// Returns whether the field is given and not `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !value.is_null())
    }

    /// Returns a value of any type.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// Returns a boolean.
    pub(crate) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let read = self.take(name)?.as_bool();
        self.required(name, read, || "must be true or false".to_owned())
    }

    /// Returns a whole number in this range, which may be written as `5.0`.
    pub(crate) fn integer(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.take(name)?;
        let read = whole(&value).filter(|number| range.contains(number));
        self.required(name, read, || format!("must be a whole number from {} to {}", range.start(), range.end()))
    }

    /// Returns a whole number in this range, which must be given.
    pub(crate) fn required_integer(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        if !self.has(name) {
            self.take(name);
            self.mistake(name, format!("is required: a whole number from {} to {}", range.start(), range.end()));
            return None;
        }
        self.integer(name, range)
    }

    /// Returns a number above 0 and up to `max`.
    pub(crate) fn number(&mut self, name: &'static str, max: f64) -> Option<f64> {
        let read = self.take(name)?.as_f64().filter(|number| *number > 0.0 && *number <= max);
        self.required(name, read, || format!("must be a number above 0 and up to {max}"))
    }

    /// Returns a text of one line that is not blank.
    pub(crate) fn line(&mut self, name: &'static str, max_chars: usize) -> Option<String> {
        let value = self.take(name)?;
        match line(value, max_chars) {
            Ok(text) => Some(text),
            Err(what) => {
                self.mistake(name, what);
                None
            }
        }
    }

    /// Returns the value of one of these words.
    pub(crate) fn word<T: DeserializeOwned>(&mut self, name: &'static str, words: &[&str]) -> Option<T> {
        let value = self.take(name)?;
        let is_word = value.as_str().is_some_and(|word| words.contains(&word));
        let read = is_word.then(|| T::deserialize(value).ok()).flatten();
        self.required(name, read, || format!("must be {}", alternatives(words)))
    }

    /// Returns an object.
    pub(crate) fn object(&mut self, name: &'static str) -> Option<Map<String, Value>> {
        let read = match self.take(name)? {
            Value::Object(fields) => Some(fields),
            _ => None,
        };
        self.required(name, read, || "must be an object".to_owned())
    }

    /// Returns the fields of an object within this one.
    pub(crate) fn nested(&mut self, name: &'static str) -> Option<Fields<'_>> {
        let fields = self.object(name)?;
        let path = self.path_of(name);
        Some(Fields::new(path, fields, self.mistakes))
    }

    /// Returns the items of a list of this length, each read by `read`; the invalid ones are left out.
    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        length: RangeInclusive<usize>,
        mut read: impl FnMut(String, Value, &mut Vec<Mistake>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let (min, max) = (*length.start(), *length.end());
        match self.take(name)? {
            Value::Array(items) if length.contains(&items.len()) => {
                let path = self.path_of(name);
                let each = |(at, item)| read(format!("{path}[{at}]"), item, self.mistakes);
                Some(items.into_iter().enumerate().filter_map(each).collect())
            }
            _ => {
                self.mistake(name, format!("must be a list of {min} to {max} items"));
                None
            }
        }
    }

    /// Returns a list of different texts that `check` accepts.
    pub(crate) fn texts(
        &mut self,
        name: &'static str,
        length: RangeInclusive<usize>,
        max_chars: usize,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Option<Vec<String>> {
        let mut seen: Vec<String> = Vec::new();
        self.list(name, length, |path, item, mistakes| {
            let checked = line(item, max_chars)
                .and_then(|text| check(&text).map(|()| text))
                .and_then(|text| if seen.contains(&text) { Err("is given twice".to_owned()) } else { Ok(text) });
            match checked {
                Ok(text) => {
                    seen.push(text.clone());
                    Some(text)
                }
                Err(what) => {
                    mistakes.push(Mistake { path, what });
                    None
                }
            }
        })
    }

    /// Reports the fields that were not read, which would be discarded silently.
    pub(crate) fn finish(self) {
        let known = self.known.join(", ");
        for name in self.fields.keys() {
            let path = self.path_of(&quoted(name));
            self.mistakes.push(Mistake { path, what: format!("is an unknown field; use {known}") });
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Adds a mistake if the value is missing.
    fn required<T>(&mut self, name: &str, value: Option<T>, what: impl FnOnce() -> String) -> Option<T> {
        if value.is_none() {
            self.mistake(name, what());
        }
        value
    }
}

/// Returns a model name: not blank, with at most one `*`.
///
/// # Errors
/// Returns the mistake, without its subject.
pub(crate) fn check_pattern(name: &str) -> Result<(), String> {
    if name.matches('*').nth(1).is_some() { Err("must not have more than one *".to_owned()) } else { Ok(()) }
}

/// Returns a text of one line that is not blank.
fn line(value: Value, max_chars: usize) -> Result<String, String> {
    match value {
        Value::String(text) if !is_blank(&text) && text.chars().count() <= max_chars => {
            if is_line(&text) {
                Ok(text)
            } else {
                Err(NOT_A_LINE.to_owned())
            }
        }
        _ => Err(format!("must be a text of 1 to {max_chars} characters")),
    }
}

/// Returns a whole number that is not negative and that every JSON reader represents exactly.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn whole(value: &Value) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && (0.0..=EXACT).contains(&number)).then_some(number as u64)
    })
}

/// Returns `a, b or c`.
pub(crate) fn alternatives(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

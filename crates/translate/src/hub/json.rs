//! JSON that is carried as it was written.

use std::fmt;

use signalbox_core::json::repaired;

/// A JSON value as text, with the order of its members and the digits of its numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Box<str>);

// === impl Json ===

impl Json {
    /// Checks and wraps a document; `None` if it is not JSON.
    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        repaired(json.trim_ascii().as_bytes()).map(|json| Self(json.into()))
    }

    /// Wraps text that is a value of a document that was checked before.
    pub(crate) fn checked(json: &str) -> Self {
        Self(json.into())
    }

    /// Wraps what this crate has written.
    pub(crate) fn written(json: Vec<u8>) -> Self {
        Self(String::from_utf8(json).unwrap_or_else(|_| "null".into()).into())
    }

    /// Returns a text as a JSON string.
    pub(crate) fn of_str(text: &str) -> Self {
        let mut json = Vec::new();
        crate::out::string(&mut json, text);
        Self::written(json)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the value is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

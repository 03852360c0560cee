//! Reads a JSON body field by field and collects every mistake, so that the user can correct all of them at once.

use serde_json::{Map, Value};
use signalbox_core::provider_config::Mistake;
use signalbox_core::text::{NOT_A_LINE, NOT_PROSE, is_blank, is_line, is_prose};

use super::Error;

/// The fields that have not been taken yet, and the mistakes found so far.
#[derive(Debug)]
pub struct Form {
    fields: Map<String, Value>,
    mistakes: Vec<String>,
}

// === impl Form ===

impl Form {
    /// Creates a form of the given fields.
    #[must_use]
    pub fn new(fields: Map<String, Value>) -> Self {
        Self { fields, mistakes: Vec::new() }
    }

    /// Adds a mistake.
    pub fn mistake(&mut self, text: impl Into<String>) {
        self.mistakes.push(text.into());
    }

    /// Adds mistakes found by another validation.
    pub(super) fn mistakes(&mut self, mistakes: &[Mistake]) {
        self.mistakes.extend(mistakes.iter().map(ToString::to_string));
    }

    /// Adds the mistake of a failed check.
    pub(super) fn check(&mut self, checked: Result<(), Mistake>) {
        self.mistakes(checked.err().as_slice());
    }

    /// Takes a field of any type.
    pub fn take(&mut self, field: &str) -> Option<Value> {
        self.fields.remove(field)
    }

    /// Discards fields that some clients send although they are not used.
    pub fn ignore(&mut self, fields: &[&str]) {
        for field in fields {
            self.fields.remove(*field);
        }
    }

    /// Takes a text that must not be blank; `None` if the field is absent.
    pub fn text(&mut self, field: &str, mistake: &str) -> Option<String> {
        match self.take(field)? {
            Value::String(text) if !is_blank(&text) => Some(text),
            _ => {
                self.mistake(mistake);
                None
            }
        }
    }

    /// Takes a required text that must not be blank. Returns an empty text after a mistake, which [`Self::finish`]
    /// reports.
    pub fn required_text(&mut self, field: &str, mistake: &str) -> String {
        if !self.fields.contains_key(field) {
            self.mistake(mistake);
        }
        self.text(field, mistake).unwrap_or_default()
    }

    /// Takes a name: a text that must not be blank and must be a single line; `None` if the field is absent.
    pub(super) fn line(&mut self, field: &str, mistake: &str) -> Option<String> {
        let text = self.text(field, mistake)?;
        if !is_line(&text) {
            self.mistake(format!("{field} {NOT_A_LINE}"));
        }
        Some(text)
    }

    /// Takes a required name. Returns an empty text after a mistake, which [`Self::finish`] reports.
    pub(super) fn required_line(&mut self, field: &str, mistake: &str) -> String {
        if !self.fields.contains_key(field) {
            self.mistake(mistake);
        }
        self.line(field, mistake).unwrap_or_default()
    }

    /// Takes a description or `null`.
    pub(super) fn prose_or_null(&mut self, field: &str) -> Option<Option<String>> {
        let given = self.text_or_null(field)?;
        if given.as_deref().is_some_and(|text| !is_prose(text)) {
            self.mistake(format!("{field} {NOT_PROSE}"));
        }
        Some(given)
    }

    /// Takes a text or `null`.
    pub fn text_or_null(&mut self, field: &str) -> Option<Option<String>> {
        match self.take(field)? {
            Value::String(text) => Some(Some(text)),
            Value::Null => Some(None),
            _ => {
                self.mistake(format!("{field} must be a string or null"));
                None
            }
        }
    }

    /// Takes a boolean.
    pub fn boolean(&mut self, field: &str) -> Option<bool> {
        match self.take(field)? {
            Value::Bool(value) => Some(value),
            _ => {
                self.mistake(format!("{field} must be a boolean"));
                None
            }
        }
    }

    /// Takes an integer, which may be written as `5.0`.
    pub fn integer(&mut self, field: &str) -> Option<i64> {
        let value = integer_of(&self.take(field)?);
        if value.is_none() {
            self.mistake(format!("{field} must be an integer"));
        }
        value
    }

    /// Takes an object.
    pub fn object(&mut self, field: &str) -> Option<Map<String, Value>> {
        match self.take(field)? {
            Value::Object(object) => Some(object),
            _ => {
                self.mistake(format!("{field} must be an object"));
                None
            }
        }
    }

    /// Takes a required object. Returns an empty object after a mistake, which [`Self::finish`] reports.
    pub fn required_object(&mut self, field: &str) -> Map<String, Value> {
        if !self.fields.contains_key(field) {
            self.mistake(format!("{field} must be an object"));
        }
        self.object(field).unwrap_or_default()
    }

    /// Reports all mistakes. A field that has not been taken is a mistake too, because it would be ignored silently.
    ///
    /// # Errors
    /// [`Error::Validation`] with every mistake.
    pub fn finish(mut self) -> Result<(), Error> {
        self.mistakes.extend(self.fields.keys().map(|field| format!("unknown field: {field}")));
        if self.mistakes.is_empty() { Ok(()) } else { Err(Error::Validation(self.mistakes)) }
    }
}

/// Returns the integer value of a number, if it is integral. JSON has only one number type, and some writers append
/// `.0` to integers.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
#[must_use]
pub fn integer_of(value: &Value) -> Option<i64> {
    /// Up to this magnitude an `f64` represents every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(body: Value) -> Form {
        match body {
            Value::Object(fields) => Form::new(fields),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let mut form = form(json!({"name": " \u{200b}\u{feff}", "enabled": "yes", "priority": 1.5, "extra": 1}));
        form.required_text("id", "id is required");
        form.text("name", "name is blank");
        form.boolean("enabled");
        form.integer("priority");
        form.text_or_null("description");
        let Err(Error::Validation(mistakes)) = form.finish() else { panic!("no mistake was found") };
        assert_eq!(
            mistakes,
            [
                "id is required",
                "name is blank",
                "enabled must be a boolean",
                "priority must be an integer",
                "unknown field: extra"
            ]
        );
    }

    #[test]
    fn valid_fields_are_accepted() {
        let mut form = form(json!({"name": "n", "priority": 5.0, "description": null, "config": {"a": 1}}));
        assert_eq!(form.required_text("name", ""), "n");
        assert_eq!(form.integer("priority"), Some(5));
        assert_eq!(form.text_or_null("description"), Some(None));
        assert_eq!(form.text_or_null("absent"), None);
        assert_eq!(form.required_object("config").len(), 1);
        assert!(form.finish().is_ok());
    }
}

//! Mistakes in a request, each with the field that has it, so that forms can show them where they belong.

use serde::Serialize;
use signalbox_core::provider_config::Mistake;
use utoipa::ToSchema;

/// A mistake in the body or the query of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldMistake {
    /// The path of the field, such as `targets[0].provider`, or the name of the parameter. Empty for the request as a
    /// whole.
    field: String,
    /// The mistake and its correction.
    message: String,
}

// === impl FieldMistake ===

impl FieldMistake {
    /// Creates a mistake of the field with this path.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// Creates a mistake of the request as a whole.
    pub fn of_request(message: impl Into<String>) -> Self {
        Self::new("", message)
    }

    /// Creates a mistake from a text that begins with the path of its field and a colon.
    #[must_use]
    pub fn of_path(text: String) -> Self {
        let field = text.split_once(": ").map(|(path, _)| path.to_owned());
        Self { field: field.unwrap_or_default(), message: text }
    }

    /// Returns the path of the field.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Returns the mistake and its correction.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Moves the field below another one.
    #[must_use]
    pub(super) fn below(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), message: self.message }
    }
}

/// Reads a sentence whose subject is its field: `limit must be between 1 and 1000`.
impl From<String> for FieldMistake {
    fn from(message: String) -> Self {
        let field = message.split_whitespace().next().unwrap_or_default();
        debug_assert!(is_path(field), "the sentence has to begin with its field: {message}");
        Self { field: field.to_owned(), message }
    }
}

impl From<&str> for FieldMistake {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl From<&Mistake> for FieldMistake {
    fn from(mistake: &Mistake) -> Self {
        Self { field: mistake.path.clone(), message: mistake.to_string() }
    }
}

impl From<&signalbox_pricing::Mistake> for FieldMistake {
    fn from(mistake: &signalbox_pricing::Mistake) -> Self {
        Self { field: mistake.path.clone(), message: mistake.to_string() }
    }
}

/// Returns whether a word can be the name of a field.
fn is_path(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
        && word.chars().all(|char| char.is_ascii_alphanumeric() || "._[]\"-".contains(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_begins_with_its_field() {
        for (sentence, field) in [
            ("limit must be between 1 and 1000", "limit"),
            ("expiresAt must be a positive number", "expiresAt"),
            ("targets[0].provider is required", "targets[0].provider"),
        ] {
            assert_eq!(FieldMistake::from(sentence), FieldMistake::new(field, sentence));
        }
    }

    #[test]
    fn a_path_may_contain_blanks() {
        let text = "providers.my team.type: must be one word";
        assert_eq!(FieldMistake::of_path(text.to_owned()), FieldMistake::new("providers.my team.type", text));
        assert_eq!(FieldMistake::of_path("broken".to_owned()), FieldMistake::of_request("broken"));
    }

    #[test]
    fn typed_mistakes_keep_their_path() {
        let mistake = Mistake { path: "config.headers.X Y".to_owned(), what: "must be text".to_owned() };
        let expected = FieldMistake::new("config.headers.X Y", "config.headers.X Y must be text");
        assert_eq!(FieldMistake::from(&mistake), expected);
        assert_eq!(expected.below("settings").field(), "settings.config.headers.X Y");
    }
}

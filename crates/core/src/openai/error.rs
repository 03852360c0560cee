//! The error format that every OpenAI client understands.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// `{"error": {...}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The only field.
    pub error: ErrorObject,
}

/// Describes an error as text and as codes. All four fields are always present, because clients read them without a
/// check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorObject {
    /// One sentence for the user, with advice where it is known.
    pub message: String,
    /// The class: `invalid_request_error`, `authentication_error`, `upstream_error`, …
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The request field at fault, such as `messages`.
    pub param: Option<Cow<'static, str>>,
    /// The stable, machine-readable reason, such as `model_not_found`.
    pub code: Option<Cow<'static, str>>,
}

impl ErrorBody {
    /// Creates an error without `param`.
    pub fn new(kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        let error = ErrorObject { message: message.into(), kind: kind.into(), param: None, code: Some(code.into()) };
        Self { error }
    }

    /// Sets the request field that caused the error.
    #[must_use]
    pub fn param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.error.param = Some(param.into());
        self
    }

    /// Returns the error as JSON. Cannot fail: all values are strings.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the error as an event, for a stream whose head has already been sent.
    #[must_use]
    pub fn to_event(&self) -> String {
        format!("data: {}\n\n", self.to_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_fields_are_written() {
        let body = ErrorBody::new("invalid_request_error", "missing_field", "`messages` is missing").param("messages");
        assert_eq!(
            body.to_json(),
            r#"{"error":{"message":"`messages` is missing","type":"invalid_request_error","param":"messages","code":"missing_field"}}"#
        );
    }
}

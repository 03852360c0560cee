//! Errors of requests that cannot be read, or that the target cannot carry out.

use std::fmt;

/// The kind of a [`RequestError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The body is not a JSON object.
    Malformed,
    /// A required field is absent.
    Missing,
    /// A field has another JSON type than the API defines.
    WrongType,
    /// The kind of a block, an item, a role or a tool is not known.
    UnknownKind,
    /// A tool result has no tool call before it.
    Orphan,
    /// Data that must be base64 is not.
    Base64,
    /// The target API has no form for this field, and the answer would be a different one without it.
    NotTranslatable,
    /// The request refers to stored items that the caller did not resolve.
    Unresolved,
}

/// Describes why a request is refused. All of them are answered with status 400, except [`Problem::Unresolved`], which
/// is answered with 404.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// The kind of the problem.
    pub problem: Problem,
    /// The place in the client's request, such as `messages.1.content.0`; empty for the body itself.
    pub field: String,
    /// At most two sentences for the client.
    pub message: String,
}

// === impl RequestError ===

impl RequestError {
    pub(crate) fn new(problem: Problem, field: &impl fmt::Display, advice: &str) -> Self {
        let field = field.to_string();
        let what = match problem {
            Problem::Malformed => "The request body is not a JSON object.".to_owned(),
            Problem::Missing => format!("`{field}` is missing."),
            Problem::WrongType => format!("`{field}` has the wrong type."),
            Problem::UnknownKind => format!("`{field}` is of an unknown kind."),
            Problem::Orphan => format!("`{field}` answers a tool call that is not in the conversation."),
            Problem::Base64 => format!("`{field}` is not valid base64."),
            Problem::NotTranslatable => format!("`{field}` cannot be sent to the API of this model's provider."),
            Problem::Unresolved => format!("`{field}` refers to an item that is not stored."),
        };
        let message = if advice.is_empty() { what } else { format!("{what} {advice}") };
        Self { problem, field, message }
    }

    /// Returns the HTTP status: 400, or 404 for items that are not stored.
    #[must_use]
    pub const fn status(&self) -> u16 {
        if matches!(self.problem, Problem::Unresolved) { 404 } else { 400 }
    }

    /// Returns the machine-readable reason, as OpenAI's `code`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.problem {
            Problem::Malformed => "invalid_json",
            Problem::Missing => "missing_required_parameter",
            Problem::WrongType => "invalid_type",
            Problem::UnknownKind | Problem::Orphan | Problem::Base64 => "invalid_value",
            Problem::NotTranslatable => "unsupported_parameter",
            Problem::Unresolved => "previous_response_not_found",
        }
    }
}

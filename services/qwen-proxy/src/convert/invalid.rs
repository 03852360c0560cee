//! Errors of requests that cannot be converted.

/// A request that cannot be sent to chat.qwen.ai: status 400, type `invalid_request_error`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// One sentence for the user.
    pub message: String,
    /// Field that is invalid, such as `messages[2].content[1]`.
    pub param: Option<String>,
    /// Stable, machine-readable error code.
    pub code: &'static str,
}

impl Invalid {
    /// Creates an error for a `param` that violates a rule of the API.
    pub(super) fn request(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(param.into()), code: "invalid_request" }
    }

    /// Replaces the error by a more specific one if `body` contains an unpaired surrogate, which makes a string
    /// unreadable.
    pub(super) fn explained_by(self, body: &[u8]) -> Self {
        let Some(half) = half_character(body).filter(|_| self.code != "invalid_json") else { return self };
        let message = format!(
            "the request contains an unpaired surrogate ({half}), perhaps because text was truncated there; send the \
             complete character, or remove it"
        );
        Self { message, code: "invalid_unicode", ..self }
    }

    /// Creates an error for a body that is not a JSON object.
    pub(super) fn json(error: &serde_json::Error) -> Self {
        let message = format!("the request body is not valid JSON: {error}");
        Self { message, param: None, code: "invalid_json" }
    }
}

/// Returns the first escape of an unpaired surrogate in a JSON text.
fn half_character(json: &[u8]) -> Option<&str> {
    let unit = |at: usize| {
        let escape = std::str::from_utf8(json.get(at..at + 6)?).ok()?;
        u32::from_str_radix(escape.strip_prefix("\\u")?, 16).ok().map(|unit| (unit, escape))
    };
    let mut at = 0;
    while let Some(next) = json[at..].iter().position(|byte| *byte == b'\\') {
        at += next;
        at += match (unit(at), unit(at + 6)) {
            (Some((0xD800..=0xDBFF, _)), Some((0xDC00..=0xDFFF, _))) => 12,
            (Some((0xD800..=0xDFFF, escape)), _) => return Some(escape),
            // Skip the backslash and the character it escapes.
            _ => 2.min(json.len() - at),
        };
    }
    None
}

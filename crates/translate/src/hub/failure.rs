//! Failures of providers, in classes.

use signalbox_core::openai::provider_error;

/// The class of a failure, which decides the status and whether another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The request is wrong, and stays wrong.
    BadRequest,
    /// The conversation is too long for the model.
    ContextLength,
    /// The provider refuses the content.
    ContentRefused,
    /// The key is missing, wrong or expired.
    Credentials,
    /// The key may not do this.
    Permission,
    /// The account has no money or quota left.
    Billing,
    /// The model or the path does not exist.
    NotFound,
    /// The request conflicts with another one.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// Too many requests or tokens per minute.
    RateLimit,
    /// The provider has too much to do.
    Overloaded,
    /// The provider or a gateway before it gave up waiting.
    Timeout,
    /// Any other fault of the provider.
    Server,
    /// The answer ended without its terminal event.
    Incomplete,
    /// The provider sent events of another API, or something else that cannot be read.
    Foreign,
}

/// A failure, as the provider or a decoder reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class.
    pub class: ErrorClass,
    /// The provider's HTTP status, 400 to 599.
    pub status: Option<u16>,
    /// The message for the client.
    pub message: String,
    /// The provider's own word for the kind.
    pub kind: Option<String>,
    /// The provider's own machine-readable reason.
    pub code: Option<String>,
    /// The request field at fault.
    pub param: Option<String>,
}

// === impl Failure ===

impl Failure {
    /// Creates a failure without details.
    #[must_use]
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, status: None, message: message.into(), kind: None, code: None, param: None }
    }

    /// Returns the failure of an answer that ended without its terminal event.
    #[must_use]
    pub fn incomplete() -> Self {
        Self::new(ErrorClass::Incomplete, "The provider's answer ended before it was complete. Send the request again.")
    }

    /// Returns the failure of an answer that is not of the expected API.
    #[must_use]
    pub fn foreign(what: &str) -> Self {
        Self::new(ErrorClass::Foreign, format!("The provider's answer is not of the expected API: {what}."))
    }

    /// Creates a failure of the class that belongs to an HTTP status. `code` is the machine-readable reason.
    #[must_use]
    pub fn of_status(status: u16, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let class = class_of(Some(status), "", code, "");
        Self { class, status: Some(status), message, kind: None, code: Some(code.to_owned()), param: None }
    }

    /// Reads the error body of any provider. `status` is the HTTP status; `None` for an error within a stream. A body
    /// that is not understood is described by its status.
    #[must_use]
    pub fn read(status: Option<u16>, body: &[u8]) -> Self {
        let Some(error) = provider_error(body) else {
            let message = match status {
                Some(status) => format!("The provider answered with status {status}."),
                None => "The provider reported an error that cannot be read.".to_owned(),
            };
            return Self { status, ..Self::new(class_of(status, "", "", ""), message) };
        };
        let status = status.filter(|status| (400..600).contains(status)).or(error.status);
        let words = [error.kind.as_deref().unwrap_or_default(), error.code.as_deref().unwrap_or_default()];
        let class = class_of(status, words[0], words[1], &error.message);
        Self { class, status, message: error.message, kind: error.kind, code: error.code, param: error.param }
    }

    /// Returns whether another attempt may succeed.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        use ErrorClass::{Conflict, Foreign, Incomplete, Overloaded, RateLimit, Server, Timeout};
        matches!(self.class, RateLimit | Overloaded | Timeout | Server | Conflict | Incomplete | Foreign)
    }
}

fn class_of(status: Option<u16>, kind: &str, code: &str, message: &str) -> ErrorClass {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let is = |words: &[&str]| words.contains(&kind) || words.contains(&code);
    if is(&["context_length_exceeded", "model_context_window_exceeded"])
        || says(&["prompt is too long", "exceed context limit", "input length exceeds the context", "maximum context"])
    {
        return ErrorClass::ContextLength;
    }
    if is(&["content_policy_violation", "content_filter", "bio_policy", "misalignment_policy_violation"]) {
        return ErrorClass::ContentRefused;
    }
    if is(&["insufficient_quota", "billing_error", "insufficient_balance"]) || says(&["spend limit"]) {
        return ErrorClass::Billing;
    }
    // Google's own answer to a wrong key has the status 400.
    if says(&["api key not valid"]) {
        return ErrorClass::Credentials;
    }
    if is(&["overloaded_error", "overloaded"]) {
        return ErrorClass::Overloaded;
    }
    match status {
        Some(401) => ErrorClass::Credentials,
        Some(402) => ErrorClass::Billing,
        Some(403) => ErrorClass::Permission,
        Some(404) => ErrorClass::NotFound,
        Some(409) => ErrorClass::Conflict,
        Some(413) => ErrorClass::TooLarge,
        Some(429) => ErrorClass::RateLimit,
        Some(408 | 504) => ErrorClass::Timeout,
        Some(503 | 529) => ErrorClass::Overloaded,
        Some(400..=499) => ErrorClass::BadRequest,
        _ if is(&["server_error", "api_error"]) => ErrorClass::Server,
        _ if is(&["invalid_prompt"]) => ErrorClass::BadRequest,
        _ => ErrorClass::Server,
    }
}

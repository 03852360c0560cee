//! Table `responses`: the logged answers.

use crate::token_classes::TokenClasses;

/// The cost of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestCost {
    /// Nano-dollars; `None` if the cost is unknown, which is not zero.
    pub nanos: Option<i64>,
    /// `reported` by the provider, `computed` from the tokens and the price table, `estimated` from the length of an
    /// answer that broke off, [`Self::CACHE`], or `unknown: ` and a word for the reason.
    pub origin: String,
    /// The version of the price table that was used.
    pub price_version: Option<String>,
}

// === impl RequestCost ===

impl RequestCost {
    /// Origin of the cost of an answer that was given again, which is 0.
    pub const CACHE: &str = "cache";

    /// Returns the cost of an answer that was given again.
    #[must_use]
    pub fn of_cache() -> Self {
        Self { nanos: Some(0), origin: Self::CACHE.to_owned(), price_version: None }
    }
}

/// A row of `responses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The number of the row.
    pub id: i64,
    /// The number of the request (`requests.id`).
    pub request_id: i64,
    /// The conversation that the response belongs to.
    pub session_id: String,
    /// A UUID.
    pub response_id: String,
    /// When the answer ended.
    pub timestamp: i64,
    /// The provider's answer, if it is stored separately from `response_body`. Only the Node.js version stored any.
    pub upstream_response: Option<String>,
    /// The answer as one `chat.completion`, rebuilt if it was streamed; or the error.
    pub response_body: Option<String>,
    /// See [`super::Session::parent_id`].
    pub parent_id: Option<String>,
    /// Tokens of the answer, as reported by the provider.
    pub completion_tokens: Option<i64>,
    /// Tokens of the prompt, as reported by the provider.
    pub prompt_tokens: Option<i64>,
    /// All tokens, as reported by the provider.
    pub total_tokens: Option<i64>,
    /// The classes of these tokens; `None` if there are no counts, or if an earlier version wrote the row.
    pub token_classes: Option<TokenClasses>,
    /// The cost; `None` if no provider answered, or if an earlier version wrote the row.
    pub cost: Option<RequestCost>,
    /// `stop`, `length`, `tool_calls`, `content_filter`; `error` if there was no answer.
    pub finish_reason: Option<String>,
    /// The error message, if the request failed.
    pub error: Option<String>,
    /// Milliseconds from the arrival of the request to the last byte of the answer.
    pub duration_ms: Option<i64>,
    /// Milliseconds from the arrival of the request to the first byte of the answer.
    pub first_byte_ms: Option<i64>,
    /// The HTTP status sent to the client.
    pub status_code: Option<i64>,
    /// The provider that answered, or was tried last.
    pub provider_id: Option<String>,
    /// The number of providers that were tried.
    pub attempts: i64,
    /// Whether the answer was longer than the log keeps.
    pub truncated: bool,
    /// The APIs of client and provider if they differ, and the fields that were dropped or altered. Same text as the
    /// header `x-signalbox-translation`.
    pub translation: Option<String>,
    /// When the row was written.
    pub created_at: i64,
}

//! Table `responses`: what was answered.

/// A row of `responses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its number.
    pub id: i64,
    /// The number of the request (`requests.id`).
    pub request_id: i64,
    /// The conversation.
    pub session_id: String,
    /// UUID.
    pub response_id: String,
    /// When the answer ended.
    pub timestamp: i64,
    /// What the provider sent, where it is kept apart from `openai_response`. The name is the original's.
    pub qwen_response: Option<String>,
    /// The answer as one `chat.completion`, rebuilt from the stream if it was one; or the error.
    pub openai_response: Option<String>,
    /// See [`super::Session::parent_id`].
    pub parent_id: Option<String>,
    /// As the provider reported it.
    pub completion_tokens: Option<i64>,
    /// As the provider reported it.
    pub prompt_tokens: Option<i64>,
    /// As the provider reported it.
    pub total_tokens: Option<i64>,
    /// `stop`, `length`, `tool_calls`, `content_filter`; `error` when there was none.
    pub finish_reason: Option<String>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// From the request's arrival to the answer's last byte.
    pub duration_ms: Option<i64>,
    /// From the request's arrival to the answer's first byte.
    pub first_byte_ms: Option<i64>,
    /// What the client saw.
    pub status_code: Option<i64>,
    /// The provider that answered, or was tried last.
    pub provider_id: Option<String>,
    /// How many providers were tried.
    pub attempts: i64,
    /// The answer was longer than the log keeps.
    pub truncated: bool,
    /// When the row was written.
    pub created_at: i64,
}

//! Table `requests`: what was asked.

/// A row of `requests`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub id: i64,
    /// The conversation.
    pub session_id: String,
    /// UUID; clients see it as `x-request-id`.
    pub request_id: String,
    /// When it arrived.
    pub timestamp: i64,
    /// `POST`.
    pub method: String,
    /// `/v1/chat/completions`.
    pub path: String,
    /// The body as the client sent it.
    pub openai_request: String,
    /// The body as the provider received it, where that differs; `null` otherwise. The name is the original's.
    pub qwen_request: String,
    /// The model that was asked for.
    pub model: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// How it ended.
    pub status: RequestStatus,
    /// The provider that answered, or was tried last.
    pub provider_id: Option<String>,
    /// When the row was written.
    pub created_at: i64,
}

/// How a request ended. A request reaches exactly one final status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestStatus {
    /// Not ended yet.
    Pending,
    /// The client got a whole answer.
    Completed,
    /// The provider said no, or said nothing that can be understood; the client got the error.
    Failed,
    /// The answer broke off after its beginning had gone to the client.
    Truncated,
    /// The client left before the answer began.
    Cancelled,
    /// The client left in the middle of the answer.
    ClientDisconnected,
    /// The router died.
    Interrupted,
}

impl RequestStatus {
    /// All of them, with the words the table uses.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Pending, "pending"),
        (Self::Completed, "completed"),
        (Self::Failed, "failed"),
        (Self::Truncated, "truncated"),
        (Self::Cancelled, "cancelled"),
        (Self::ClientDisconnected, "client_disconnected"),
        (Self::Interrupted, "interrupted"),
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("pending", |(_, word)| word)
    }

    /// Whether something went wrong on our side or the provider's; that a client left is nobody's failure.
    #[must_use]
    pub fn has_failed(self) -> bool {
        matches!(self, Self::Failed | Self::Truncated | Self::Interrupted)
    }

    /// The status of a word in the table.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(status, _)| *status)
    }
}

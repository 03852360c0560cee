//! Table `requests`: the logged requests.

/// A row of `requests`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The number of the row.
    pub id: i64,
    /// The conversation that the request belongs to.
    pub session_id: String,
    /// A UUID; clients see it as `x-request-id`.
    pub request_id: String,
    /// When the request arrived.
    pub timestamp: i64,
    /// `POST`.
    pub method: String,
    /// `/v1/chat/completions`.
    pub path: String,
    /// The body as the client sent it.
    pub request_body: String,
    /// The body as sent to the provider, if it differs; `null` otherwise.
    pub upstream_request: String,
    /// The requested model.
    pub model: String,
    /// Whether a stream was requested.
    pub stream: bool,
    /// How the request ended.
    pub status: RequestStatus,
    /// The provider that answered, or was tried last.
    pub provider_id: Option<String>,
    /// The client key: the id of a row of `api_keys`, which may be deleted by now, or `config-1` and so on.
    pub key_id: Option<String>,
    /// When the row was written.
    pub created_at: i64,
}

/// How a request ended. A request reaches exactly one final status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestStatus {
    /// The request has not ended yet.
    Pending,
    /// The client received the whole answer.
    Completed,
    /// The provider refused, or its answer could not be understood; the client received the error.
    Failed,
    /// The answer broke off after its beginning had been sent to the client.
    Truncated,
    /// The client disconnected before the answer began.
    Cancelled,
    /// The client disconnected during the answer.
    ClientDisconnected,
    /// The router terminated before the request ended.
    Interrupted,
}

impl RequestStatus {
    /// All statuses, with their names in the table.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Pending, "pending"),
        (Self::Completed, "completed"),
        (Self::Failed, "failed"),
        (Self::Truncated, "truncated"),
        (Self::Cancelled, "cancelled"),
        (Self::ClientDisconnected, "client_disconnected"),
        (Self::Interrupted, "interrupted"),
    ];

    /// Returns the name of the status in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("pending", |(_, word)| word)
    }

    /// Returns whether the request failed in the router or at the provider. A client that disconnects is not a failure.
    #[must_use]
    pub fn has_failed(self) -> bool {
        matches!(self, Self::Failed | Self::Truncated | Self::Interrupted)
    }

    /// Returns the status with the given name in the table.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(status, _)| *status)
    }
}

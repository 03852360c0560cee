//! Refusals of management requests.

use http::StatusCode;

/// Reason why a management request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManagementError {
    /// The request has been forwarded already.
    #[error("the request was already forwarded: the record of the running api-server names this router")]
    ForwardingLoop,
    /// The responsible api-server is temporarily unavailable.
    #[error("api-server is not reachable: {0}; try again in a moment")]
    Unavailable(String),
    /// The control token is required and cannot be read.
    #[error("management needs the control token, which cannot be read: {0}")]
    NoToken(String),
    /// The control token is required, and is missing or wrong.
    #[error(
        "management needs the control token, not a client key: send the output of `api-server token` as `Authorization: Bearer <token>`"
    )]
    Unauthorized,
}

// === impl ManagementError ===

impl ManagementError {
    /// Returns the status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::ForwardingLoop => StatusCode::LOOP_DETECTED,
            Self::Unavailable(_) | Self::NoToken(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
        }
    }

    /// Returns the type of the error, in the categories of the OpenAI API.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ForwardingLoop => "invalid_request_error",
            Self::Unavailable(_) | Self::NoToken(_) => "server_error",
            Self::Unauthorized => "authentication_error",
        }
    }

    /// Returns the stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ForwardingLoop => "loop_detected",
            Self::Unavailable(_) => "api_server_unavailable",
            Self::NoToken(_) => "control_token_unreadable",
            Self::Unauthorized => "invalid_control_token",
        }
    }
}

//! Why a request without a valid key is denied, and what its client is told.

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;

/// Reason why a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The key is missing or wrong.
    #[error("a valid API key is required: send it as `Authorization: Bearer <key>`")]
    Unknown,
    /// The key is wrong, and too many wrong ones came from the same address before it.
    #[error(
        "too many wrong keys were sent from your address; send a valid key, or try again in {} s",
        seconds(*retry_after)
    )]
    TooMany {
        /// Time until the next wrong key is checked.
        retry_after: Duration,
    },
    /// The key has expired, or was replaced by a rotation.
    #[error("this API key has expired; ask whoever issued it for a new one")]
    Expired,
    /// The key was revoked.
    #[error("this API key was revoked; ask whoever issued it for a new one")]
    Revoked,
    /// The key may not be presented from this address.
    #[error("this API key may not be used from {}; ask whoever issued it to allow the address", address(*.0))]
    Address(Option<IpAddr>),
}

/// Returns the words for the address of a client.
fn address(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_canonical().to_string())
}

// === impl Denied ===

impl Denied {
    /// Returns the status of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unknown | Self::Expired | Self::Revoked => StatusCode::UNAUTHORIZED,
            Self::Address(_) => StatusCode::FORBIDDEN,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Returns OpenAI's error type.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Unknown | Self::Expired | Self::Revoked => "authentication_error",
            Self::Address(_) => "permission_error",
            Self::TooMany { .. } => "rate_limit_error",
        }
    }

    /// Returns the stable error code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "invalid_api_key",
            Self::Expired => "api_key_expired",
            Self::Revoked => "api_key_revoked",
            Self::Address(_) => "address_not_allowed",
            Self::TooMany { .. } => "too_many_wrong_keys",
        }
    }

    /// Returns the value of the header `Retry-After`, in seconds, if waiting helps.
    #[must_use]
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::TooMany { retry_after } => Some(seconds(retry_after)),
            Self::Unknown | Self::Expired | Self::Revoked | Self::Address(_) => None,
        }
    }
}

/// Rounds up to whole seconds.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

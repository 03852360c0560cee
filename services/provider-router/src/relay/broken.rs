//! Why a stream broke off, for the client, the log and the health of the target.

use signalbox_core::schema::RequestStatus;

use super::MAX_EVENT;
use crate::{fault::Fault, guard::Stopped};

/// Reason why a stream broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the provider's answer was interrupted: {0}")]
    Upstream(#[from] signalbox_upstream::Error),
    #[error("the provider's answer ended before it was complete")]
    Unfinished,
    #[error("the provider sent an event of more than {MAX_EVENT} bytes")]
    EndlessEvent,
    #[error("the provider reported a failure and ended its answer: {0}")]
    Failed(String),
    #[error("a guardrail stopped the answer: {}", words(.0))]
    Guarded(Stopped),
    #[error("the router is shutting down")]
    ShuttingDown,
    #[error("the request was cancelled by an operator")]
    Cancelled,
}

/// Returns what the guardrails found, which is not quoted.
fn words(stopped: &Stopped) -> String {
    match stopped {
        Stopped::Found(kind) => format!("it contains what looks like a {kind}"),
        Stopped::TooLong => "too much of it would have to be held to judge it".to_owned(),
    }
}

// === impl Broken ===

impl Broken {
    /// Returns the class of the failure.
    pub(super) const fn fault(&self) -> Fault {
        match self {
            Self::Upstream(error) => Fault::of_transport(error),
            Self::Unfinished => Fault::Reset,
            Self::EndlessEvent => Fault::Unusable,
            Self::Failed(_) => Fault::Server,
            Self::Guarded(_) => Fault::Withheld,
            Self::ShuttingDown | Self::Cancelled => Fault::Over,
        }
    }

    /// Returns the status of the request in the log.
    pub(super) fn status(&self) -> RequestStatus {
        match self {
            Self::Failed(_) | Self::Guarded(_) => RequestStatus::Failed,
            Self::Cancelled => RequestStatus::Cancelled,
            _ => RequestStatus::Truncated,
        }
    }

    /// Returns the type of the error event. A cancelled request has the same one before its first byte.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Cancelled | Self::Guarded(_) => "invalid_request_error",
            _ => "upstream_error",
        }
    }

    /// Returns the stable word for the error event.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Upstream(error) => error.code(),
            Self::Unfinished => "upstream_truncated",
            Self::EndlessEvent => "upstream_invalid_response",
            Self::Failed(_) => "upstream_failed",
            Self::Guarded(_) => "guardrail_refused",
            Self::ShuttingDown => "router_shutdown",
            Self::Cancelled => "request_cancelled",
        }
    }
}

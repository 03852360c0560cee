//! How a stream breaks off.

use bytes::Bytes;
use signalbox_core::schema::AttemptRecord;
use signalbox_upstream::Error;

use super::super::MAX_EVENT;
use crate::exchange::{NewTarget, Switch};

/// How a stream broke off.
#[derive(Debug)]
pub(super) enum Break {
    Failed(Error),
    Closed,
    /// An event was too long.
    Endless,
    /// The provider reported an error in this event.
    Reported {
        event: Bytes,
        /// Whether it counts against the breaker of the target.
        counts: bool,
    },
}

/// The stream that the client has received the beginning of, after it broke off.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) why: Break,
    /// Attempts to continue it that failed.
    pub(super) failed: Vec<AttemptRecord>,
}

// === impl Break ===

impl Break {
    /// Returns whether it counts against the breaker of the target.
    pub(super) const fn counts(&self) -> bool {
        match self {
            Self::Failed(error) => !matches!(error, Error::TotalTimeout { .. }),
            Self::Closed | Self::Endless => true,
            Self::Reported { counts, .. } => *counts,
        }
    }
}

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("the answer ended before it was complete"),
            Self::Endless => write!(f, "the provider sent an event of more than {MAX_EVENT} bytes"),
            Self::Reported { .. } => f.write_str("the provider reported an error within its answer"),
        }
    }
}

// === impl Broken ===

impl Broken {
    /// Returns the facts for the log; `target` continues the stream.
    pub(super) fn switch(&mut self, target: Option<NewTarget>) -> Switch {
        let failed = std::mem::take(&mut self.failed);
        Switch { why: self.why.to_string(), counts: self.why.counts(), failed, target }
    }
}

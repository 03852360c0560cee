//! How a stream breaks off.

use bytes::Bytes;
use signalbox_core::schema::AttemptRecord;
use signalbox_upstream::Error;

use super::super::MAX_EVENT;
use crate::{
    exchange::{NewTarget, Switch},
    fault::Fault,
};

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
        /// Class of the error.
        fault: Fault,
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
    /// Returns the class of the failure.
    pub(super) const fn fault(&self) -> Fault {
        match self {
            Self::Failed(error) => Fault::of_transport(error),
            Self::Closed => Fault::Reset,
            Self::Endless => Fault::Unusable,
            Self::Reported { fault, .. } => *fault,
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
        Switch { why: self.why.to_string(), counts: self.why.fault().rule().counts, failed, target }
    }
}

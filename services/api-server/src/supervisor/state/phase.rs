//! Visible properties of a state.

use tokio::time::Instant;

use super::{Stage, State, Then};
use crate::supervisor::Phase;

// === impl State ===

impl State {
    /// Returns the visible phase; `None` while a failed child is being killed, because the phase published before stays
    /// valid until its group is proven empty and the cause is known.
    pub(in crate::supervisor) fn phase(self) -> Option<Phase> {
        match self {
            Self::Stopped { .. } => Some(Phase::Stopped),
            Self::Starting { .. } => Some(Phase::Starting),
            Self::Running { .. } => Some(Phase::Running),
            Self::Stopping { then: Then::Fail { .. }, stage: Stage::Killed, .. } => None,
            Self::Stopping { .. } => Some(Phase::Stopping),
            Self::Backoff { .. } | Self::Stuck { .. } | Self::Failed => Some(Phase::Error),
        }
    }

    /// Returns whether its health checks succeed.
    pub(in crate::supervisor) fn is_healthy(self) -> bool {
        matches!(self, Self::Running { misses: 0, .. })
    }

    /// Returns the time of the next start, if there is to be one.
    pub(in crate::supervisor) fn retry_at(self) -> Option<Instant> {
        if let Self::Backoff { until } = self { Some(until) } else { None }
    }

    /// Returns whether the child listens or is about to again, so that its port has to be kept.
    pub(in crate::supervisor) fn keeps_port(self) -> bool {
        !matches!(self, Self::Stopped { .. } | Self::Failed | Self::Stopping { then: Then::Rest, .. })
    }

    /// Returns whether the child should serve but no process does.
    pub(in crate::supervisor) fn is_dark(self) -> bool {
        match self {
            Self::Starting { .. } | Self::Backoff { .. } => true,
            Self::Stopping { then, stage, .. } => then != Then::Rest && stage == Stage::Killed,
            _ => false,
        }
    }

    /// Returns whether a new generation is to take over.
    pub(in crate::supervisor) fn is_handing_over(self) -> bool {
        matches!(self, Self::Running { handover: Some(_), .. })
    }
}

//! Commands to the fleet, and the words by which logs and traces name them.

use tokio::sync::{oneshot, watch};
use tracing::Span;

use super::{Failure, Overrides, Progress};
use crate::supervisor::Unmet;

/// A command, and the channels for its reply.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) action: Action,
    /// The span that everything done for the command is part of.
    pub(super) span: Span,
    /// Dropped once the effect of the command is visible in the state.
    pub(super) taken: oneshot::Sender<()>,
    pub(super) progress: watch::Sender<Progress>,
}

#[derive(Debug)]
pub(super) enum Action {
    Start(Overrides, Which),
    Stop(Which),
    Restart(Overrides, Which),
    Adopt(Overrides),
}

/// Services that a command applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Both.
    #[default]
    Both,
    /// provider-router.
    Router,
    /// qwen-proxy.
    Qwen,
}

// === impl Action ===

impl Action {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Start(..) => "start",
            Self::Stop(_) => "stop",
            Self::Restart(..) => "restart",
            Self::Adopt(_) => "adopt",
        }
    }

    pub(super) const fn which(&self) -> Which {
        match self {
            Self::Start(_, which) | Self::Restart(_, which) | Self::Stop(which) => *which,
            Self::Adopt(_) => Which::Both,
        }
    }
}

// === impl Which ===

impl Which {
    /// Returns whether a service is among both.
    pub(super) const fn overlaps(self, other: Self) -> bool {
        !matches!((self, other), (Self::Router, Self::Qwen) | (Self::Qwen, Self::Router))
    }

    /// Returns the name of the service, or `both`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Router => "provider-router",
            Self::Qwen => "qwen-proxy",
        }
    }
}

// === impl Failure ===

impl Failure {
    /// Returns a stable word for the failure.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Superseded | Self::Child(Unmet::Superseded) => "superseded",
            Self::Unprepared(_) => "unprepared",
            Self::Child(Unmet::Failed(cause)) => cause.fault.code(),
            Self::Child(Unmet::Closed) | Self::Closed => "closed",
        }
    }
}

//! State of both services.

use super::{Preparation, Which, Worker};
use crate::supervisor::{Phase, Snapshot};

/// State of both services at one moment.
#[derive(Clone, Debug)]
pub struct Now {
    /// Preparations before the start of children.
    pub preparation: Preparation,
    /// provider-router: all its processes combined.
    pub router: Snapshot,
    /// Processes of provider-router.
    pub workers: Vec<Worker>,
    /// qwen-proxy.
    pub qwen: Snapshot,
    /// Port of provider-router: the actual one while it is running, otherwise the configured one.
    pub router_port: u16,
    /// Port of qwen-proxy, as above.
    pub qwen_port: u16,
}

/// State of both services in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Summary {
    /// Both are running.
    Running,
    /// One of them is running.
    Partial,
    /// Neither is running, as requested.
    Stopped,
    /// At least one is starting.
    Starting,
    /// Neither is running, because of a failure.
    Error,
}

// === impl Now ===

impl Now {
    /// Summarises the state of both services.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let phases = [self.router.state, self.qwen.state];
        let running = phases.iter().filter(|phase| **phase == Phase::Running).count();
        if running == phases.len() {
            Summary::Running
        } else if self.preparation == Preparation::Preparing || phases.contains(&Phase::Starting) {
            Summary::Starting
        } else if running > 0 {
            Summary::Partial
        } else if phases.contains(&Phase::Error) || matches!(self.preparation, Preparation::Failed(_)) {
            Summary::Error
        } else {
            Summary::Stopped
        }
    }

    /// Returns whether these services run.
    #[must_use]
    pub fn is_running(&self, which: Which) -> bool {
        self.is_all(which, Phase::Running)
    }

    /// Returns whether these services are stopped and no start is in progress.
    #[must_use]
    pub fn is_stopped(&self, which: Which) -> bool {
        self.is_all(which, Phase::Stopped) && self.preparation != Preparation::Preparing
    }

    fn is_all(&self, which: Which, phase: Phase) -> bool {
        match which {
            Which::Both => [self.router.state, self.qwen.state] == [phase; 2],
            Which::Router => self.router.state == phase,
            Which::Qwen => self.qwen.state == phase,
        }
    }
}

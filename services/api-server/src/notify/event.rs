//! Events worth reporting.

use serde::{Deserialize, Serialize};

use crate::supervisor::{Fault, Phase, Snapshot};

/// Kinds of events of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It was running, and ended without being asked to.
    Crashed,
    /// It is down, and stays down without intervention.
    Failed,
    /// It is running again.
    Recovered,
    /// It is running, but does not answer its health check.
    Degraded,
}

/// Last known state of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastState {
    phase: Phase,
    healthy: bool,
    /// Whether it is down and will be started again.
    retrying: bool,
    generation: u64,
    /// Whether the process of this generation has been running.
    was_ready: bool,
    /// Whether a failure was reported, but not its end.
    troubled: bool,
}

// === impl LastState ===

impl LastState {
    pub(super) fn of(now: &Snapshot) -> Self {
        Self {
            phase: now.state,
            healthy: now.healthy,
            retrying: now.retry_at.is_some(),
            generation: now.generation,
            was_ready: now.state == Phase::Running,
            troubled: false,
        }
    }

    /// Compares with a newer state. Returns the new last known state, and the event to report, if any.
    pub(super) fn observe(self, now: &Snapshot) -> (Self, Option<Kind>) {
        let kind = self.judge(now);
        let next = Self::of(now);
        let troubled = match kind {
            Some(Kind::Recovered) => false,
            Some(_) => true,
            // An explicit stop needs no report of a recovery.
            None => self.troubled && now.state != Phase::Stopped,
        };
        let was_ready = next.was_ready || (self.was_ready && self.generation == now.generation);
        (Self { troubled, was_ready, ..next }, kind)
    }

    fn judge(self, now: &Snapshot) -> Option<Kind> {
        let retrying = now.retry_at.is_some();
        let news = self.phase != now.state || self.retrying != retrying;
        match now.state {
            Phase::Error if news && !retrying => Some(Kind::Failed),
            Phase::Error if news && self.was_ready && self.generation == now.generation && !has_left(now) => {
                Some(Kind::Crashed)
            }
            Phase::Running if now.healthy && self.troubled => Some(Kind::Recovered),
            Phase::Running if !now.healthy && self.healthy => Some(Kind::Degraded),
            _ => None,
        }
    }
}

/// Returns whether the process was asked to exit from outside, which needs no report.
fn has_left(now: &Snapshot) -> bool {
    now.cause.as_ref().is_some_and(|cause| cause.fault == Fault::Left)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::supervisor::{Limits, supervise};

    /// State of a service, whether it is healthy, and whether it will be started again.
    const STARTING: (Phase, bool, bool) = (Phase::Starting, false, false);
    const RUNNING: (Phase, bool, bool) = (Phase::Running, true, false);
    const SICK: (Phase, bool, bool) = (Phase::Running, false, false);
    const STOPPING: (Phase, bool, bool) = (Phase::Stopping, false, false);
    const STOPPED: (Phase, bool, bool) = (Phase::Stopped, false, false);
    const RETRYING: (Phase, bool, bool) = (Phase::Error, false, true);
    const DOWN: (Phase, bool, bool) = (Phase::Error, false, false);

    /// Returns the events reported for a sequence of states; each start is a new process.
    async fn told(life: &[(Phase, bool, bool)]) -> Vec<Kind> {
        let idle = supervise("service", Limits::default()).watch().borrow().clone();
        let (mut seen, mut generation, mut told) = (LastState::of(&idle), 0, Vec::new());
        for &(state, healthy, retrying) in life {
            generation += u64::from(state == Phase::Starting);
            let retry_at = retrying.then(Instant::now);
            let (next, kind) = seen.observe(&Snapshot { state, healthy, retry_at, generation, ..idle.clone() });
            seen = next;
            told.extend(kind);
        }
        told
    }

    #[tokio::test]
    async fn requested_changes_send_no_notification() {
        assert_eq!(told(&[STARTING, RUNNING, STOPPING, STARTING, RUNNING, STOPPING, STOPPED]).await, []);
    }

    #[tokio::test]
    async fn a_crash_and_its_recovery_are_notified_once() {
        let life = [STARTING, RUNNING, RETRYING, RETRYING, STARTING, RETRYING, STARTING, RUNNING, RUNNING];
        assert_eq!(told(&life).await, [Kind::Crashed, Kind::Recovered]);
    }

    #[tokio::test]
    async fn an_abandoned_service_is_notified_as_failed() {
        let life = [STARTING, RUNNING, RETRYING, STARTING, DOWN, DOWN, STARTING, RUNNING];
        assert_eq!(told(&life).await, [Kind::Crashed, Kind::Failed, Kind::Recovered]);
        assert_eq!(told(&[STARTING, DOWN]).await, [Kind::Failed]);
        assert_eq!(told(&[STARTING, RETRYING, DOWN]).await, [Kind::Failed]);
    }

    #[tokio::test]
    async fn a_degraded_service_and_its_recovery_are_notified_once() {
        assert_eq!(told(&[STARTING, RUNNING, SICK, SICK, RUNNING]).await, [Kind::Degraded, Kind::Recovered]);
    }

    #[tokio::test]
    async fn a_stopped_service_sends_no_recovery() {
        assert_eq!(told(&[STARTING, RUNNING, RETRYING, STOPPED, STARTING, RUNNING]).await, [Kind::Crashed]);
    }
}

//! The workers of one service: processes that accept from the same sockets.
//!
//! A service with a single worker is a group, too. A restart replaces one worker after the other, each by handover, so
//! that the number of serving workers never drops; a failure ends the sequence, and the remaining workers stay
//! unchanged.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::{join_all, select_all, try_join_all};
use tokio::sync::watch;

use crate::supervisor::{Child, Limits, Phase, SharedListener, Snapshot, Spec, Ticket, Unmet, supervise_with};

/// Remaining part of a command that has been started.
pub(super) type Rest<'a> = Pin<Box<dyn Future<Output = Result<(), Unmet>> + Send + 'a>>;

/// Processes of one service.
#[derive(Debug)]
pub(super) struct WorkerGroup {
    workers: Vec<Child>,
    shared_listener: SharedListener,
}

/// Receivers of the workers' states.
#[derive(Clone, Debug)]
pub(super) struct Watchers(Vec<(&'static str, watch::Receiver<Snapshot>)>);

/// State of one of several processes of a service.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Name of the service, followed by a number from the second worker on; used for its log and in messages.
    pub name: &'static str,
    /// State of the process.
    pub snapshot: Snapshot,
}

// === impl WorkerGroup ===

impl WorkerGroup {
    /// Creates one worker per name.
    pub(super) fn new(names: &[&'static str], limits: Limits) -> (Self, Watchers) {
        let shared_listener = SharedListener::default();
        let workers: Vec<Child> =
            names.iter().map(|name| supervise_with(name, limits, shared_listener.clone())).collect();
        let watchers = names.iter().copied().zip(workers.iter().map(Child::watch)).collect();
        (Self { workers, shared_listener }, Watchers(watchers))
    }

    /// Returns all workers.
    #[cfg(unix)]
    pub(super) fn workers(&self) -> &[Child] {
        &self.workers
    }

    /// Starts the workers that are not running. `specs`: one per worker.
    pub(super) async fn start(&self, specs: Vec<Spec>) -> Rest<'_> {
        let mut tickets = Vec::new();
        for (worker, spec) in self.workers.iter().zip(specs) {
            tickets.push(worker.start(spec).await);
        }
        all(tickets)
    }

    /// Stops all workers concurrently.
    pub(super) async fn stop(&self) -> Rest<'_> {
        let mut tickets = Vec::new();
        for worker in &self.workers {
            tickets.push(worker.stop().await);
        }
        // A worker that survives SIGKILL is reported only after the others are gone.
        Box::pin(async { join_all(tickets.into_iter().map(Ticket::done)).await.into_iter().collect() })
    }

    /// Replaces the running workers, one after the other, and starts the others.
    pub(super) async fn restart(&self, specs: Vec<Spec>) -> Rest<'_> {
        if let ([_, _, ..], Some(first)) = (self.workers.as_slice(), specs.first())
            && self.shared_listener.is_in_the_way_of(&first.listen).await
        {
            // The new sockets can be bound only after the last worker has released the old ones.
            let stopped = self.stop().await;
            return Box::pin(async move {
                stopped.await?;
                self.start(specs).await.await
            });
        }
        let (mut begun, mut later) = (Vec::new(), Vec::new());
        let mut is_any_replaced = false;
        for (worker, spec) in self.workers.iter().zip(specs) {
            if worker.watch().borrow().is_running() && std::mem::replace(&mut is_any_replaced, true) {
                later.push((worker, spec));
            } else {
                begun.push(worker.restart(spec).await);
            }
        }
        Box::pin(async move {
            all(begun).await?;
            for (worker, spec) in later {
                worker.restart(spec).await.done().await?;
            }
            Ok(())
        })
    }

    /// Stops all workers, and waits until they are gone.
    pub(super) async fn close(self) {
        join_all(self.workers.into_iter().map(Child::close)).await;
    }
}

/// Waits for all tickets, or for the first failure.
fn all<'a>(tickets: Vec<Ticket>) -> Rest<'a> {
    Box::pin(async { try_join_all(tickets.into_iter().map(Ticket::done)).await.map(drop) })
}

// === impl Watchers ===

impl Watchers {
    /// Returns each worker's name, and a receiver of its state.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, watch::Receiver<Snapshot>)> {
        self.0.iter().cloned()
    }

    /// Returns the present state of all workers.
    pub(super) fn now(&self) -> Vec<Worker> {
        self.0.iter().map(|(name, watch)| Worker { name, snapshot: watch.borrow().clone() }).collect()
    }

    /// Resolves when any state has changed since the last call; `Err` once the group is closed. Cancel safe.
    pub(super) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        select_all(self.0.iter_mut().map(|(_, watch)| Box::pin(watch.changed()))).await.0
    }
}

/// Combines the workers into one snapshot: running if any worker is, and healthy if every worker is that is neither
/// starting nor stopping. Counts are sums over all workers, except `failures`, which is the maximum.
pub(super) fn as_one(workers: &[Worker]) -> Snapshot {
    const BEST_FIRST: [Phase; 5] = [Phase::Running, Phase::Starting, Phase::Stopping, Phase::Error, Phase::Stopped];
    let all = || workers.iter().map(|worker| &worker.snapshot);
    let best = BEST_FIRST.into_iter().find_map(|phase| all().find(|worker| worker.state == phase));
    let best = best.cloned().unwrap_or_else(Snapshot::idle);
    // The present failure of a worker takes precedence over a past failure of another.
    let broken = || all().filter(|worker| worker.state == Phase::Error);
    let causes = broken().chain(all()).filter_map(|worker| worker.cause.as_ref());
    Snapshot {
        seq: all().map(|worker| worker.seq).sum(),
        healthy: best.is_running()
            && all().all(|worker| worker.healthy || matches!(worker.state, Phase::Starting | Phase::Stopping)),
        handing_over: all().any(|worker| worker.handing_over),
        generation: all().map(|worker| worker.generation).sum(),
        restarts: all().map(|worker| worker.restarts).sum(),
        failures: all().map(|worker| worker.failures).max().unwrap_or_default(),
        retry_at: all().filter_map(|worker| worker.retry_at).min(),
        cause: causes.map(Arc::clone).next(),
        forced: all().any(|worker| worker.forced),
        ..best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::supervise;

    fn worker(name: &'static str, state: Phase, pid: u32) -> Worker {
        let idle = supervise(name, Limits::default()).watch().borrow().clone();
        let healthy = state == Phase::Running;
        Worker { name, snapshot: Snapshot { state, healthy, pid: Some(pid), seq: 1, generation: 1, ..idle } }
    }

    #[tokio::test]
    async fn a_single_worker_has_the_name_of_the_service() {
        let alone = worker("a", Phase::Running, 7);
        assert_eq!(as_one(std::slice::from_ref(&alone)), alone.snapshot);
    }

    #[tokio::test]
    async fn a_service_runs_while_any_worker_runs() {
        let running = worker("a", Phase::Running, 7);
        let seen = |other: Phase| {
            let one = as_one(&[worker("b", other, 8), running.clone()]);
            (one.state, one.healthy, one.pid, one.seq, one.generation)
        };
        assert_eq!(seen(Phase::Error), (Phase::Running, false, Some(7), 2, 2));
        assert_eq!(seen(Phase::Starting), (Phase::Running, true, Some(7), 2, 2));
        assert_eq!(seen(Phase::Running), (Phase::Running, true, Some(8), 2, 2));
        let two = |a, b| as_one(&[worker("a", a, 7), worker("b", b, 8)]).state;
        assert_eq!(two(Phase::Stopped, Phase::Stopping), Phase::Stopping);
        assert_eq!(two(Phase::Error, Phase::Starting), Phase::Starting);
        assert_eq!(two(Phase::Stopped, Phase::Error), Phase::Error);
    }
}

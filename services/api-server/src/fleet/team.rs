//! The workers of one service: processes that accept from the same sockets.
//!
//! A service of one worker is a team, too. A restart replaces one worker after the other, each by handover, so that as
//! many serve as before at every moment; one that fails ends the sequence, and the rest stays as it is.

use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use futures_util::future::{join_all, select_all, try_join_all};
use tokio::sync::watch;

use crate::supervisor::{Child, Limits, Phase, Share, Snapshot, Spec, Ticket, Unmet, supervise_with};

/// The most workers of a service.
pub const MAX_WORKERS: usize = 64;

/// The rest of a command that has been set in motion.
pub(super) type Rest<'a> = Pin<Box<dyn Future<Output = Result<(), Unmet>> + Send + 'a>>;

/// The processes of one service.
#[derive(Debug)]
pub(super) struct Team {
    workers: Vec<Child>,
    share: Share,
}

/// What is known about them.
#[derive(Clone, Debug)]
pub(super) struct Watchers(Vec<(&'static str, watch::Receiver<Snapshot>)>);

/// One of several processes of a service.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The name of its log and in messages: that of the service, and from the second on a number.
    pub name: &'static str,
    /// What is known about it.
    pub snapshot: Snapshot,
}

/// The name of the router's workers: the first has that of the program.
pub(super) fn router_name(worker: usize) -> &'static str {
    static NAMES: LazyLock<Vec<String>> =
        LazyLock::new(|| (2..=MAX_WORKERS).map(|n| format!("{}-{n}", super::service::ROUTER)).collect());
    worker.checked_sub(1).and_then(|rest| NAMES.get(rest)).map_or(super::service::ROUTER, String::as_str)
}

// === impl Team ===

impl Team {
    /// One worker for each name.
    pub(super) fn new(names: &[&'static str], limits: Limits) -> (Self, Watchers) {
        let share = Share::default();
        let workers: Vec<Child> = names.iter().map(|name| supervise_with(name, limits, share.clone())).collect();
        let watchers = names.iter().copied().zip(workers.iter().map(Child::watch)).collect();
        (Self { workers, share }, Watchers(watchers))
    }

    /// All workers.
    #[cfg(unix)]
    pub(super) fn workers(&self) -> &[Child] {
        &self.workers
    }

    /// Starts those that do not run. `specs`: one for each worker.
    pub(super) async fn start(&self, specs: Vec<Spec>) -> Rest<'_> {
        let mut tickets = Vec::new();
        for (worker, spec) in self.workers.iter().zip(specs) {
            tickets.push(worker.start(spec).await);
        }
        all(tickets)
    }

    /// Stops all of them at once.
    pub(super) async fn stop(&self) -> Rest<'_> {
        let mut tickets = Vec::new();
        for worker in &self.workers {
            tickets.push(worker.stop().await);
        }
        // Of a worker that survives SIGKILL is told when the others are gone.
        Box::pin(async { join_all(tickets.into_iter().map(Ticket::done)).await.into_iter().collect() })
    }

    /// Replaces those that run, one after the other, and starts those that do not.
    pub(super) async fn restart(&self, specs: Vec<Spec>) -> Rest<'_> {
        if let ([_, _, ..], Some(first)) = (self.workers.as_slice(), specs.first())
            && self.share.is_in_the_way_of(&first.listen).await
        {
            // The new sockets can be bound only when the last worker has left the old ones.
            let stopped = self.stop().await;
            return Box::pin(async move {
                stopped.await?;
                self.start(specs).await.await
            });
        }
        let (mut begun, mut later) = (Vec::new(), Vec::new());
        let mut somebody_is_replaced = false;
        for (worker, spec) in self.workers.iter().zip(specs) {
            if worker.watch().borrow().is_running() && std::mem::replace(&mut somebody_is_replaced, true) {
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

    /// Stops all and waits until they are gone.
    pub(super) async fn close(self) {
        join_all(self.workers.into_iter().map(Child::close)).await;
    }
}

/// Waits for all, or for the first that goes wrong.
fn all<'a>(tickets: Vec<Ticket>) -> Rest<'a> {
    Box::pin(async { try_join_all(tickets.into_iter().map(Ticket::done)).await.map(drop) })
}

// === impl Watchers ===

impl Watchers {
    /// Each worker with its name, and what becomes of it.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, watch::Receiver<Snapshot>)> {
        self.0.iter().cloned()
    }

    /// All workers at this moment.
    pub(super) fn now(&self) -> Vec<Worker> {
        self.0.iter().map(|(name, watch)| Worker { name, snapshot: watch.borrow().clone() }).collect()
    }

    /// Resolves when one has changed since the last call; `Err` once it is closed. Cancel safe.
    pub(super) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        select_all(self.0.iter_mut().map(|(_, watch)| Box::pin(watch.changed()))).await.0
    }
}

/// The service as if it were one process: it runs if a worker does, and is healthy if every worker is that is not on its
/// way up. Counts are those of all workers together.
pub(super) fn as_one(workers: &[Worker]) -> Snapshot {
    const BEST_FIRST: [Phase; 5] = [Phase::Running, Phase::Starting, Phase::Stopping, Phase::Error, Phase::Stopped];
    let all = || workers.iter().map(|worker| &worker.snapshot);
    let best = BEST_FIRST.into_iter().find_map(|phase| all().find(|worker| worker.state == phase));
    let best = best.cloned().unwrap_or_else(Snapshot::idle);
    // What is in the way of a worker counts for more than what another one has left behind.
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

    #[test]
    fn workers_have_names() {
        assert_eq!([0, 1, 63].map(router_name), ["provider-router", "provider-router-2", "provider-router-64"]);
    }

    #[tokio::test]
    async fn a_service_of_one_worker_is_that_worker() {
        let alone = worker("a", Phase::Running, 7);
        assert_eq!(as_one(std::slice::from_ref(&alone)), alone.snapshot);
    }

    #[tokio::test]
    async fn a_service_runs_as_long_as_one_worker_does() {
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

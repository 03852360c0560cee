//! The task that owns both services, and executes one command at a time for each of them.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use signalbox_daemon::fail_lifecycle;
use signalbox_daemon::listener::check_host;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use tracing::instrument::Instrumented;

use super::beside::Beside;
use super::command::{Action, Command, Which};
use super::worker_group::{Rest, Watchers, WorkerGroup};
use super::{Config, Failure, Overrides, Preparation, Progress, service};
use crate::supervisor::{Spec, Unmet};

/// The steps of a command.
type Sequence<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// A command in progress. No two of them apply to the same service.
struct CommandInProgress<'a> {
    which: Which,
    sequence: Instrumented<Sequence<'a>>,
    progress: watch::Sender<Progress>,
}

/// Specs of the processes to start.
struct Specs<'a> {
    /// One per worker.
    router: Vec<Spec>,
    qwen: Vec<Spec>,
    preparing: Preparing<'a>,
}

/// Guard: shows a preparation in progress until it is dropped, also when a command is aborted.
struct Preparing<'a>(&'a watch::Sender<Preparation>);

/// State of the task.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) config: Config,
    pub(super) router: WorkerGroup,
    pub(super) qwen: WorkerGroup,
    pub(super) qwen_watch: Watchers,
    pub(super) preparation: watch::Sender<Preparation>,
    /// Processes of an earlier api-server that are finishing their streams.
    pub(super) leaving: TaskTracker,
    pub(super) closing: CancellationToken,
}

// === impl Controller ===

impl Controller {
    /// Runs until it is closed or all handles are dropped, then stops both services.
    pub(super) async fn run(self, mut inbox: mpsc::Receiver<Command>) {
        let mut under_way: Vec<CommandInProgress<'_>> = Vec::new();
        let mut beside = Beside::new(&self.config.data_dir, self.qwen_watch.clone());
        loop {
            tokio::select! {
                () = self.closing.cancelled() => break,
                command = inbox.recv() => {
                    let Some(command) = command else { break };
                    let which = command.action.which();
                    // A restart that replaces one worker after the other has to go on when the other service is told
                    // something, or the rest of the workers would keep their old processes.
                    for abandoned in under_way.extract_if(.., |earlier| earlier.which.overlaps(which)) {
                        abandoned.end(Err(Failure::Superseded));
                    }
                    let sequence = command.span.in_scope(|| self.sequence(command.action, command.progress.clone()));
                    let sequence = sequence.instrument(command.span);
                    under_way.push(CommandInProgress { which, sequence, progress: command.progress });
                    drop(command.taken);
                }
                () = beside.follow() => {}
                (at, outcome) = end(&mut under_way) => under_way.swap_remove(at).end(outcome),
            }
        }
        drop(under_way);
        self.closing.cancel();
        self.leaving.close();
        self.leaving.wait().await;
        self.router.close().await;
        self.qwen.close().await;
        beside.withdraw().await;
    }

    /// Starts a sequence. The visible state changes here, not when the sequence is first polled.
    fn sequence(&self, action: Action, progress: watch::Sender<Progress>) -> Sequence<'_> {
        match action {
            Action::Start(overrides, which) => {
                let preparing = Preparing::begin(&self.preparation);
                Box::pin(async move {
                    if self.config.programs.are_built() {
                        progress.send_replace(Progress::Begun);
                    }
                    let Specs { router, qwen, preparing } = self.prepare(&overrides, preparing).await?;
                    match which {
                        Which::Router => {
                            let router = self.router.start(router).await;
                            drop(preparing);
                            begin(router, &progress).await
                        }
                        Which::Qwen => {
                            let qwen = self.qwen.start(qwen).await;
                            drop(preparing);
                            begin(qwen, &progress).await
                        }
                        Which::Both => {
                            let qwen = self.qwen.start(qwen).await;
                            let router = self.router.start(router).await;
                            drop(preparing);
                            both(qwen, router, &progress).await
                        }
                    }
                })
            }
            // Check first: without a possible replacement the running processes are not touched.
            Action::Restart(overrides, which) => Box::pin(async move {
                let preparing = Preparing::begin(&self.preparation);
                let preparing = self.check(&overrides, preparing).await?;
                let Specs { router, qwen, preparing } = self.prepare(&overrides, preparing).await?;
                drop(preparing);
                match which {
                    Which::Router => begin(self.router.restart(router).await, &progress).await,
                    Which::Qwen => begin(self.qwen.restart(qwen).await, &progress).await,
                    Which::Both => {
                        let qwen = self.qwen.restart(qwen).await;
                        let router = self.router.restart(router).await;
                        both(qwen, router, &progress).await
                    }
                }
            }),
            Action::Adopt(overrides) => Box::pin(async move {
                #[cfg(unix)]
                self.adopt(&overrides).await;
                #[cfg(not(unix))]
                drop(overrides);
                Ok(())
            }),
            Action::Stop(which) => {
                self.preparation.send_replace(Preparation::Idle);
                Box::pin(self.stop(which))
            }
        }
    }

    /// Checks that the router can listen on the host in the settings. When the old process has to exit before the new
    /// one can bind its sockets, a later check would be too late.
    async fn check<'a>(&self, overrides: &Overrides, preparing: Preparing<'a>) -> Result<Preparing<'a>, Failure> {
        let Some(host) = &overrides.router_host else { return Ok(preparing) };
        match check_host(host, self.config.guarded).await {
            Ok(()) => Ok(preparing),
            Err(error) => {
                tracing::error!(%error, "the setting server.host is invalid; nothing is restarted");
                Err(Failure::Unprepared(preparing.fail(&format!("the setting server.host is invalid: {error}"))))
            }
        }
    }

    async fn prepare<'a>(&self, overrides: &Overrides, preparing: Preparing<'a>) -> Result<Specs<'a>, Failure> {
        match self.config.programs.ready().await {
            Ok(binaries) => Ok(Specs {
                router: service::routers(&self.config, overrides, &binaries.router),
                qwen: vec![service::qwen(&self.config, overrides, binaries.qwen)],
                preparing,
            }),
            Err(error) => {
                tracing::error!(%error, "cannot start the services");
                Err(Failure::Unprepared(preparing.fail(&error.to_string())))
            }
        }
    }

    async fn stop(&self, which: Which) -> Result<(), Failure> {
        let router = if which == Which::Qwen { Ok(()) } else { self.router.stop().await.await };
        let qwen = if which == Which::Router { Ok(()) } else { self.qwen.stop().await.await };
        Ok(router.and(qwen)?)
    }
}

/// Waits for both services, or for the first failure.
async fn both(qwen: Rest<'_>, router: Rest<'_>, progress: &watch::Sender<Progress>) -> Result<(), Failure> {
    begin(async { tokio::try_join!(qwen, router).map(drop) }, progress).await
}

/// Reports that the command has begun, unless it has failed already.
async fn begin(
    children: impl Future<Output = Result<(), Unmet>>,
    progress: &watch::Sender<Progress>,
) -> Result<(), Failure> {
    let mut children = pin!(children);
    if let Poll::Ready(outcome) = futures_util::poll!(children.as_mut()) {
        return Ok(outcome?);
    }
    progress.send_replace(Progress::Begun);
    Ok(children.await?)
}

/// Returns the index and the outcome of a command that has ended; pending for ever if none is in progress. Cancel safe.
async fn end(under_way: &mut [CommandInProgress<'_>]) -> (usize, Result<(), Failure>) {
    poll_fn(|cx| {
        for (at, command) in under_way.iter_mut().enumerate() {
            if let Poll::Ready(outcome) = Pin::new(&mut command.sequence).poll(cx) {
                return Poll::Ready((at, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

// === impl CommandInProgress ===

impl CommandInProgress<'_> {
    /// Ends the command, after its steps or in the middle of them.
    fn end(self, outcome: Result<(), Failure>) {
        let span = self.sequence.span().clone();
        drop(self.sequence);
        match outcome.as_ref().map_err(Failure::code) {
            Ok(()) => tracing::info!(parent: &span, "the lifecycle command is done"),
            Err(code) => {
                // The cause, with the last lines of the service's log, has been logged by its supervisor.
                tracing::warn!(parent: &span, code, "the lifecycle command was not fulfilled");
                fail_lifecycle(&span, code);
            }
        }
        self.progress.send_replace(Progress::Done(outcome));
    }
}

// === impl Preparing ===

impl<'a> Preparing<'a> {
    fn begin(shown: &'a watch::Sender<Preparation>) -> Self {
        shown.send_replace(Preparation::Preparing);
        Self(shown)
    }

    fn fail(self, reason: &str) -> Arc<str> {
        let reason: Arc<str> = reason.into();
        let shown = self.0;
        drop(self);
        shown.send_replace(Preparation::Failed(Arc::clone(&reason)));
        reason
    }
}

impl Drop for Preparing<'_> {
    fn drop(&mut self) {
        // The failure of a command for the other service stays visible.
        self.0.send_if_modified(|shown| {
            let is_preparing = matches!(shown, Preparation::Preparing);
            if is_preparing {
                *shown = Preparation::Idle;
            }
            is_preparing
        });
    }
}

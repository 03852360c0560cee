//! The task that owns both children and carries out one command at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{Command, Config, Failure, Overrides, Preparation, Want, service};
use crate::supervisor::{Child, Spec};

/// What a command does, step by step.
type Sequence<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// The command that is being carried out.
struct UnderWay<'a> {
    sequence: Sequence<'a>,
    ticket: oneshot::Sender<Result<(), Failure>>,
}

/// What is going to be started.
struct Specs<'a> {
    router: Spec,
    qwen: Spec,
    preparing: Preparing<'a>,
}

/// While it lives, a preparation is shown; an abandoned one is over too.
struct Preparing<'a>(&'a watch::Sender<Preparation>);

/// What the task owns.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) config: Config,
    pub(super) router: Child,
    pub(super) qwen: Child,
    pub(super) preparation: watch::Sender<Preparation>,
}

// === impl Owner ===

impl Owner {
    /// Runs until `closing`, or until nobody can send commands any more; then stops both children.
    pub(super) async fn run(self, mut inbox: mpsc::Receiver<Command>, closing: CancellationToken) {
        let mut under_way: Option<UnderWay<'_>> = None;
        loop {
            tokio::select! {
                () = closing.cancelled() => break,
                command = inbox.recv() => {
                    let Some(command) = command else { break };
                    if let Some(abandoned) = under_way.take() {
                        drop(abandoned.sequence);
                        abandoned.ticket.send(Err(Failure::Superseded)).ok();
                    }
                    under_way = Some(UnderWay { sequence: self.sequence(command.want), ticket: command.ticket });
                    drop(command.taken);
                }
                outcome = end(&mut under_way) => {
                    if let Some(done) = under_way.take() {
                        // Nobody has to wait for an outcome.
                        done.ticket.send(outcome).ok();
                    }
                }
            }
        }
        drop(under_way);
        self.router.close().await;
        self.qwen.close().await;
    }

    /// Begins a sequence: what people see changes now, not when the sequence is first polled.
    fn sequence(&self, want: Want) -> Sequence<'_> {
        match want {
            Want::Start(overrides) => {
                let preparing = Preparing::begin(&self.preparation);
                Box::pin(async move {
                    let specs = self.prepare(&overrides, preparing).await?;
                    self.start(specs).await
                })
            }
            Want::Restart(overrides) => {
                let preparing = Preparing::begin(&self.preparation);
                Box::pin(async move {
                    // First of all, so that what cannot be built is not stopped either.
                    let specs = self.prepare(&overrides, preparing).await?;
                    self.stop().await?;
                    self.start(specs).await
                })
            }
            Want::Stop => {
                self.preparation.send_replace(Preparation::Idle);
                Box::pin(self.stop())
            }
        }
    }

    async fn prepare<'a>(&self, overrides: &Overrides, preparing: Preparing<'a>) -> Result<Specs<'a>, Failure> {
        match self.config.programs.ready().await {
            Ok(binaries) => Ok(Specs {
                router: service::router(&self.config, overrides, binaries.router),
                qwen: service::qwen(&self.config, binaries.qwen),
                preparing,
            }),
            Err(error) => {
                tracing::error!(%error, "cannot start the services");
                Err(Failure::Unprepared(preparing.fail(&error.to_string())))
            }
        }
    }

    async fn start(&self, specs: Specs<'_>) -> Result<(), Failure> {
        let qwen = self.qwen.start(specs.qwen).await;
        let router = self.router.start(specs.router).await;
        drop(specs.preparing);
        qwen.done().await?;
        router.done().await?;
        Ok(())
    }

    async fn stop(&self) -> Result<(), Failure> {
        let router = self.router.stop().await.done().await;
        let qwen = self.qwen.stop().await.done().await;
        Ok(router.and(qwen)?)
    }
}

/// The end of the command under way; waits for ever when there is none.
async fn end(under_way: &mut Option<UnderWay<'_>>) -> Result<(), Failure> {
    match under_way {
        Some(command) => command.sequence.as_mut().await,
        None => std::future::pending().await,
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
        self.0.send_replace(Preparation::Idle);
    }
}

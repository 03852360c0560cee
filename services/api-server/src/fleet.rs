//! The child services: which are run, and in which order.
//!
//! [`launch`] starts one task that owns both services; [`Fleet`] is the handle to it. provider-router may be several
//! processes (`worker_group`). A command is a sequence of steps on the children (build missing executables, start, stop one
//! after the other). It continues if its caller goes away, and a newer command aborts it between two steps.
//!
//! Start: qwen-proxy, then provider-router, without waiting in between. Stop: provider-router completely, then
//! qwen-proxy, because the router may still be serving streams that come from it.

#[cfg(unix)]
mod adoption;
mod beside;
mod command;
mod controller;
mod kill_port_owner;
mod now;
mod outcome;
mod programs;
mod reload;
mod service;
mod started;
mod worker_group;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;
use signalbox_core::secret::Secret;
use signalbox_daemon::adoption::Key;
use signalbox_daemon::{RequestContext, lifecycle_span};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Span;

use self::command::{Action, Command};
use self::controller::Controller;
use self::outcome::Progress;
use self::started::LastStart;
use self::worker_group::{Watchers, WorkerGroup};
use crate::supervisor::{Limits, Resources, Snapshot, Unmet};

pub use self::command::Which;
pub use self::kill_port_owner::{KillError, kill_port_owner};
pub use self::now::{Now, Summary};
pub use self::outcome::Outcome;
pub use self::programs::{ProgramLocation, Programs};
pub use self::reload::Rebuilds;
pub use self::service::MAX_WORKERS;
pub use self::worker_group::Worker;

/// Capacity of the command queue. The task takes commands at once, so the bound is never reached in practice.
const COMMAND_QUEUE: usize = 16;

/// Configuration of the children.
#[derive(Clone, Debug)]
pub struct Config {
    /// Locations of the executables.
    pub programs: Programs,
    /// Host the children bind.
    pub host: String,
    /// Port of provider-router; 0 means any.
    pub router_port: u16,
    /// Port of qwen-proxy; 0 means any.
    pub qwen_port: u16,
    /// Whether they may listen on addresses that other machines can reach: client keys are configured, or their absence
    /// was accepted.
    pub guarded: bool,
    /// Whether the next free port is taken when one is in use.
    pub auto_port: bool,
    /// Data directory, shared by all three services. The children log to `logs/` in it.
    pub data_dir: PathBuf,
    /// Further arguments for both.
    pub args: Vec<OsString>,
    /// Further environment variables for both.
    pub env: Vec<(OsString, OsString)>,
    /// Further variables for both that are passed without appearing in the environment.
    pub secrets: Vec<(String, Secret<String>)>,
    /// Timeouts and thresholds of the supervisors.
    pub limits: Limits,
    /// Number of provider-router processes.
    pub workers: usize,
    /// Resource limits of each provider-router process.
    pub router_resources: Resources,
    /// Resource limits of qwen-proxy.
    pub qwen_resources: Resources,
    /// Time they keep serving after api-server was killed, waiting to be adopted.
    pub orphan_grace: Duration,
    /// Key that authenticates us to children of an earlier api-server. `None`: no children are adopted.
    pub key: Option<Key>,
}

/// Settings of the router that take precedence over [`Config`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Setting `server.host`.
    pub router_host: Option<String>,
    /// Setting `server.port`.
    pub router_port: Option<u16>,
    /// Whether the next free port is taken when one is in use.
    pub auto_port: Option<bool>,
}

/// Handle to the fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    commands: mpsc::Sender<Command>,
    preparation: watch::Receiver<Preparation>,
    router: Watchers,
    qwen: Watchers,
    programs: Programs,
    router_host: String,
    router_port: u16,
    qwen_port: u16,
    last_start: LastStart,
    /// Request that the commands of this handle belong to.
    request: Option<RequestContext>,
}

/// Handle that shuts the fleet down.
#[derive(Debug)]
pub struct Closer {
    closing: CancellationToken,
    task: JoinHandle<()>,
}

/// State of the preparations before a child is spawned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Preparation {
    /// No preparation is in progress.
    #[default]
    Idle,
    /// Locating the executables, and building them in a source checkout.
    Preparing,
    /// No executable is available; with the reason.
    Failed(Arc<str>),
}

/// Subject of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// provider-router.
    Router,
    /// qwen-proxy, or the preparations.
    Other,
}

/// Reason why a command was not fulfilled.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// A newer command superseded it.
    #[error("superseded by a newer command")]
    Superseded,
    /// No executable is available.
    #[error("{0}")]
    Unprepared(Arc<str>),
    /// A child could not fulfil its part.
    #[error("{0}")]
    Child(#[from] Unmet),
    /// api-server is shutting down.
    #[error("api-server is shutting down")]
    Closed,
}

/// Spawns the task. No child is spawned before the first command.
#[must_use]
pub fn launch(config: Config) -> (Fleet, Closer) {
    let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
    let (publish, preparation) = watch::channel(Preparation::Idle);
    let names: Vec<_> = (0..config.workers.clamp(1, MAX_WORKERS)).map(service::router_name).collect();
    let (router, router_watch) = WorkerGroup::new(&names, config.limits);
    let (qwen, qwen_watch) = WorkerGroup::new(&[service::QWEN], config.limits);
    let fleet = Fleet {
        commands,
        preparation,
        router: router_watch,
        qwen: qwen_watch,
        programs: config.programs.clone(),
        router_host: config.host.clone(),
        router_port: config.router_port,
        qwen_port: config.qwen_port,
        last_start: LastStart::default(),
        request: None,
    };
    let closing = CancellationToken::new();
    let controller = Controller {
        config,
        router,
        qwen,
        qwen_watch: fleet.qwen.clone(),
        preparation: publish,
        leaving: TaskTracker::new(),
        closing: closing.clone(),
    };
    let task = tokio::spawn(controller.run(inbox));
    (fleet, Closer { closing, task })
}

// === impl Fleet ===

impl Fleet {
    /// Returns a handle for the commands of a request with these extensions.
    #[must_use]
    pub fn of_request(&self, extensions: &Extensions) -> Self {
        Self { request: extensions.get().cloned(), ..self.clone() }
    }

    /// Returns the span of a command on these services.
    #[must_use]
    pub fn span(&self, command: &'static str, which: Which) -> Span {
        lifecycle_span(command, which.as_str(), self.request.as_ref())
    }

    /// Requests that services run. When this returns, [`Self::now`] already shows the command.
    pub async fn start(&self, overrides: Overrides, which: Which) -> Outcome {
        // A router that runs stays as it is.
        if self.now().router.pid.is_none() {
            self.last_start.note(&overrides, which);
        }
        self.send(Action::Start(overrides, which)).await
    }

    /// Requests that services are stopped.
    pub async fn stop(&self, which: Which) -> Outcome {
        self.send(Action::Stop(which)).await
    }

    /// Requests new processes in place of the present ones, which serve until the new ones are ready.
    pub async fn restart(&self, overrides: Overrides, which: Which) -> Outcome {
        self.last_start.note(&overrides, which);
        self.send(Action::Restart(overrides, which)).await
    }

    /// Adopts the children of an earlier api-server that are serving, and ends the others. Has to be the first command.
    pub async fn adopt(&self, overrides: Overrides) -> Outcome {
        self.send(Action::Adopt(overrides)).await
    }

    /// Returns each child's name, and a receiver of its state.
    #[must_use]
    pub fn services(&self) -> Vec<(&'static str, watch::Receiver<Snapshot>)> {
        self.router.each().chain(self.qwen.each()).collect()
    }

    /// Returns a watcher of the services' executables.
    #[must_use]
    pub fn rebuilds(&self) -> Rebuilds {
        Rebuilds::of(self.programs.clone())
    }

    /// Returns the present state of both services.
    #[must_use]
    pub fn now(&self) -> Now {
        let workers = self.router.now();
        let router = worker_group::as_one(&workers);
        let qwen = worker_group::as_one(&self.qwen.now());
        Now {
            workers,
            preparation: self.preparation.borrow().clone(),
            router_port: router.addr.map_or(self.router_port, |addr| addr.port()),
            qwen_port: qwen.addr.map_or(self.qwen_port, |addr| addr.port()),
            router,
            qwen,
        }
    }

    /// Resolves when the state has changed since the last call; pending for ever once the fleet is closed.
    pub async fn changed(&mut self) -> Change {
        let changed = tokio::select! {
            changed = self.router.changed() => changed.map(|()| Change::Router),
            changed = self.qwen.changed() => changed.map(|()| Change::Other),
            changed = self.preparation.changed() => changed.map(|()| Change::Other),
        };
        match changed {
            Ok(change) => change,
            Err(_closed) => std::future::pending().await,
        }
    }

    async fn send(&self, action: Action) -> Outcome {
        let (progress, shown) = watch::channel(Progress::Accepted);
        let (taken, effect) = oneshot::channel();
        let span = self.span(action.name(), action.which());
        // A closed queue drops both senders, which is reported as `Closed`.
        self.commands.send(Command { action, span, taken, progress }).await.ok();
        effect.await.ok();
        Outcome(shown)
    }
}

// === impl Closer ===

impl Closer {
    /// Stops both services, in order, and waits until they are gone.
    pub async fn close(self) {
        self.closing.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the fleet task failed; the children have been killed");
        }
    }
}

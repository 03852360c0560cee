//! Which children we run, in which order.
//!
//! [`launch`] starts one task that owns both services; [`Fleet`] is the handle to it. provider-router may be several
//! processes (`team`). A command is a sequence over the
//! children (build what is missing, start, stop one after the other) that goes on when its caller is gone, and that a
//! newer command abandons where it stands.
//!
//! Start: qwen-proxy, then provider-router, without waiting in between. Stop: provider-router first and to its end, then
//! qwen-proxy, because the router may still be serving streams that come from it.

#[cfg(unix)]
mod adoption;
mod evict;
mod owner;
mod programs;
mod reload;
mod service;
mod team;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use signalbox_core::secret::Secret;
use signalbox_daemon::adoption::Key;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::owner::Owner;
use self::team::{Team, Watchers};
use crate::supervisor::{Limits, Phase, Resources, Snapshot, Unmet};

pub use self::evict::{Kept, evict};
pub use self::programs::{Place, Programs};
pub use self::reload::Rebuilds;
pub use self::team::{MAX_WORKERS, Worker};

/// Commands that wait for the task. It takes them at once, so the bound is only a bound.
const COMMAND_QUEUE: usize = 16;

/// What every child needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the executables are.
    pub programs: Programs,
    /// What the children bind.
    pub host: String,
    /// The router's port; 0 means any.
    pub router_port: u16,
    /// qwen-proxy's port; 0 means any.
    pub qwen_port: u16,
    /// Whether they may listen where other machines can reach them: there is a client key, or consent to do without.
    pub guarded: bool,
    /// Take the next free port when one is taken.
    pub auto_port: bool,
    /// Shared by all three services. The logs of the children go to `logs/` in it.
    pub data_dir: PathBuf,
    /// Further arguments for both.
    pub args: Vec<OsString>,
    /// Further variables for both.
    pub env: Vec<(OsString, OsString)>,
    /// Further variables for both that others must not see.
    pub secrets: Vec<(String, Secret<String>)>,
    /// How much patience to have with them.
    pub limits: Limits,
    /// How many processes provider-router is.
    pub workers: usize,
    /// What each process of provider-router may use of the machine.
    pub router_resources: Resources,
    /// What qwen-proxy may use of it.
    pub qwen_resources: Resources,
    /// How long they serve on when we are killed, waiting to be adopted by our successor.
    pub orphan_grace: Duration,
    /// What we prove ourselves with to the children of our predecessor. `None`: we adopt nobody.
    pub key: Option<Key>,
}

/// What the settings say about the router; they win over [`Config`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `server.host`.
    pub router_host: Option<String>,
    /// `server.port`.
    pub router_port: Option<u16>,
    /// Take the next free port when one is taken.
    pub auto_port: Option<bool>,
}

/// The handle to the fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    commands: mpsc::Sender<Command>,
    preparation: watch::Receiver<Preparation>,
    router: Watchers,
    qwen: Watchers,
    programs: Programs,
    router_port: u16,
    qwen_port: u16,
}

/// How a command is getting on. Dropping it cancels nothing.
#[derive(Debug)]
pub struct Outcome(watch::Receiver<Progress>);

/// How far a command has come.
#[derive(Clone, Debug)]
enum Progress {
    /// Accepted, and not yet under way.
    Accepted,
    /// Everything has been set in motion, and nothing has gone wrong so far.
    Begun,
    /// Fulfilled, or it cannot be any more.
    Done(Result<(), Failure>),
}

/// Ends the fleet.
#[derive(Debug)]
pub struct Closer {
    closing: CancellationToken,
    task: JoinHandle<()>,
}

/// What has to happen before a child can be spawned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Preparation {
    /// Nothing is under way.
    #[default]
    Idle,
    /// Looking for the executables, and building them in a source checkout.
    Preparing,
    /// There is nothing to spawn, and why.
    Failed(Arc<str>),
}

/// Both children at one moment.
#[derive(Clone, Debug)]
pub struct Now {
    /// Before the children.
    pub preparation: Preparation,
    /// provider-router: all its processes as one.
    pub router: Snapshot,
    /// The processes of provider-router.
    pub workers: Vec<Worker>,
    /// qwen-proxy.
    pub qwen: Snapshot,
    /// The router's port: the real one while it runs, the configured one otherwise.
    pub router_port: u16,
    /// qwen-proxy's port, likewise.
    pub qwen_port: u16,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something about provider-router.
    Router,
    /// Something about qwen-proxy, or before the children.
    Other,
}

/// Both children in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Summary {
    /// Both run.
    Running,
    /// One runs.
    Partial,
    /// None runs, and that is how it should be.
    Stopped,
    /// At least one is on its way up.
    Starting,
    /// None runs, because one failed.
    Error,
}

/// Why a command was not fulfilled.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// A newer command came in between.
    #[error("superseded by a newer command")]
    Superseded,
    /// There is nothing to spawn.
    #[error("{0}")]
    Unprepared(Arc<str>),
    /// A child did not do what it should.
    #[error("{0}")]
    Child(#[from] Unmet),
    /// api-server is ending.
    #[error("api-server is shutting down")]
    Closed,
}

#[derive(Debug)]
struct Command {
    want: Want,
    /// Dropped once the command is under way, for everybody to see.
    taken: oneshot::Sender<()>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug)]
enum Want {
    Start(Overrides),
    Stop,
    Restart(Overrides, Which),
    Adopt(Overrides),
}

/// Which of the two a command is about.
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

/// Starts the task. Nothing is spawned until a command says so.
#[must_use]
pub fn launch(config: Config) -> (Fleet, Closer) {
    let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
    let (publish, preparation) = watch::channel(Preparation::Idle);
    let names: Vec<_> = (0..config.workers.clamp(1, MAX_WORKERS)).map(team::router_name).collect();
    let (router, router_watch) = Team::new(&names, config.limits);
    let (qwen, qwen_watch) = Team::new(&[service::QWEN], config.limits);
    let fleet = Fleet {
        commands,
        preparation,
        router: router_watch,
        qwen: qwen_watch,
        programs: config.programs.clone(),
        router_port: config.router_port,
        qwen_port: config.qwen_port,
    };
    let closing = CancellationToken::new();
    let owner =
        Owner { config, router, qwen, preparation: publish, leaving: TaskTracker::new(), closing: closing.clone() };
    let task = tokio::spawn(owner.run(inbox));
    (fleet, Closer { closing, task })
}

// === impl Fleet ===

impl Fleet {
    /// Wants both to run. When this returns, [`Self::now`] shows that the command is under way.
    pub async fn start(&self, overrides: Overrides) -> Outcome {
        self.send(Want::Start(overrides)).await
    }

    /// Wants both to be gone.
    pub async fn stop(&self) -> Outcome {
        self.send(Want::Stop).await
    }

    /// Wants new processes in place of the present ones, which serve until the new ones are ready.
    pub async fn restart(&self, overrides: Overrides, which: Which) -> Outcome {
        self.send(Want::Restart(overrides, which)).await
    }

    /// Takes over what our predecessor has left behind: its children that serve go on serving, as ours; whoever else is left
    /// is ended. To be called first.
    pub async fn adopt(&self, overrides: Overrides) -> Outcome {
        self.send(Want::Adopt(overrides)).await
    }

    /// Each child with its name, and what becomes of it.
    #[must_use]
    pub fn services(&self) -> Vec<(&'static str, watch::Receiver<Snapshot>)> {
        self.router.each().chain(self.qwen.each()).collect()
    }

    /// Watches the executables of the services.
    #[must_use]
    pub fn rebuilds(&self) -> Rebuilds {
        Rebuilds::of(self.programs.clone())
    }

    /// Both children at this moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let workers = self.router.now();
        let router = team::as_one(&workers);
        let qwen = team::as_one(&self.qwen.now());
        Now {
            workers,
            preparation: self.preparation.borrow().clone(),
            router_port: router.addr.map_or(self.router_port, |addr| addr.port()),
            qwen_port: qwen.addr.map_or(self.qwen_port, |addr| addr.port()),
            router,
            qwen,
        }
    }

    /// Resolves when something has changed since the last call; never, once the fleet is closed.
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

    async fn send(&self, want: Want) -> Outcome {
        let (progress, shown) = watch::channel(Progress::Accepted);
        let (taken, effect) = oneshot::channel();
        // A closed queue drops both senders, which is reported as `Closed`.
        self.commands.send(Command { want, taken, progress }).await.ok();
        effect.await.ok();
        Outcome(shown)
    }
}

// === impl Outcome ===

impl Outcome {
    /// Waits until everything has been set in motion; the outcome, if that is already known then.
    pub async fn begun(&mut self) -> Option<Result<(), Failure>> {
        match self.0.wait_for(|progress| !matches!(progress, Progress::Accepted)).await.as_deref() {
            Ok(Progress::Done(outcome)) => Some(outcome.clone()),
            Ok(_) => None,
            Err(_) => Some(Err(Failure::Closed)),
        }
    }

    /// Waits for the end of the command.
    ///
    /// # Errors
    /// [`Failure`] says why it was not fulfilled.
    pub async fn done(mut self) -> Result<(), Failure> {
        match self.0.wait_for(|progress| matches!(progress, Progress::Done(_))).await.as_deref() {
            Ok(Progress::Done(outcome)) => outcome.clone(),
            _ => Err(Failure::Closed),
        }
    }
}

// === impl Closer ===

impl Closer {
    /// Stops both children, in order, and waits until they are gone.
    pub async fn close(self) {
        self.closing.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the fleet's task ended badly; the children have been killed");
        }
    }
}

// === impl Now ===

impl Now {
    /// Both children in one word.
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

    /// Whether both are stopped and nothing is about to start them.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        [self.router.state, self.qwen.state] == [Phase::Stopped; 2] && self.preparation != Preparation::Preparing
    }
}

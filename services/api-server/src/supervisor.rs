//! The process-group supervisor: keeps one child process in the state that was requested last.
//!
//! # Layout
//! - [`spec`]: the process to run.
//! - [`state`]: the permitted state transitions, as a pure table.
//! - [`actor`]: the task that owns a child's state.
//! - [`run`]: one run of a child process, from spawn to reaping.
//! - [`process`]: spawning, stopping and killing, on Unix or Windows. On Unix: `group`: members of a process group;
//!   `orphans`: descendants whose parent has ended; `family_processes`: process families that were spawned by another
//!   supervisor.
//! - [`adopt`]: processes left behind by another supervisor.
//! - [`port`]: the listening sockets, which the supervisor owns.
//! - [`shared_listener`]: one port shared by several children.
//! - [`fallback_responder`]: answers on the port while no child serves.
//! - [`resources`]: resource limits of a child.
//! - [`output`]: status lines and the log file.
//! - [`probe`]: readiness and liveness checks.
//! - [`exit`]: exit statuses and causes of failures.
//!
//! # Theory of operation
//! [`supervise`] starts a task and returns a [`Child`], the handle to it. A handle sends commands and gets a [`Ticket`]
//! for each; a ticket resolves when the command has been fulfilled or can no longer be. Dropping a ticket cancels
//! nothing. A newer command supersedes older ones that wanted the opposite. All readers share the same [`Snapshot`]
//! through a `watch`, so no two answers can disagree.
//!
//! ```text
//!              start                ready               restart: a new generation starts beside the old one, and
//!   Stopped ----------> Starting ----------> Running    takes over when it is ready; the old one then drains
//!      ^               ^  |  |                 |  |
//!      |     delay,    |  |  | exit,           |  | exit, 3 health checks missed
//!      |     start     |  |  | 30 s over       |  |
//!      |         Backoff  |  |           stop  |  |
//!      |               ^  |  v                 v  |
//!      +---------------+-Stopping <---------------+
//!        group empty   |    |
//!                      |    +--> Failed  (8 failures in a row, or one for the operator; start: to Starting)
//!                      +-------> Stuck   (the group outlives SIGKILL: no second copy is started)
//! ```
//!
//! A child is ready once it has announced itself on its standard output *and* its `/health/ready` answers 200 with the
//! instance it announced. It never becomes ready by waiting long enough. A child that ends without being asked has
//! failed; it is started again after a delay that doubles, until it has failed too often in a row. Two kinds of exit
//! are exempt from that limit: a ready child that exits with code 0 was asked to by something other than its
//! supervisor, and a child whose port is taken may get it back at any time.
//!
//! The sockets are bound here and copies are passed to the child, so that connections queue while no process accepts
//! them, and two generations can serve one after the other. If no child accepts for some seconds, clients get a 503.
//! When the child is stopped or has failed, the sockets are closed. Windows cannot pass sockets: a child binds the port
//! that was found free here, and a restart ends the old generation first.
//!
//! # Invariants
//! - At most one process group per child serves at any time. Beside it there may be one that is starting, and some that
//!   no longer accept connections and finish their streams. After a failure the old group is proven empty before a new
//!   one starts.
//! - A group is signalled only while its leader has not been reaped, so its number cannot belong to an unrelated
//!   process.
//! - Dropping the task kills the group. A child whose supervisor is killed sees the end of its standard input, and
//!   exits unless another supervisor adopts it in time.
//! - This module does not depend on an HTTP server, SQL, or the purpose of the children.

mod actor;
#[cfg(unix)]
pub(crate) mod adopt;
#[cfg(not(unix))]
#[path = "supervisor/adopt/unsupported.rs"]
pub(crate) mod adopt;
mod exit;
mod fallback_responder;
#[cfg(unix)]
mod family_processes;
#[cfg(unix)]
mod group;
#[cfg(unix)]
pub(crate) mod orphans;
mod output;
mod port;
mod probe;
mod process;
mod resources;
mod run;
mod shared_listener;
mod spec;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Span;

pub use self::adopt::AdoptedChild;
pub use self::exit::{Cause, Exit, Fault};
pub use self::port::BindError;
pub use self::resources::Resources;
pub(crate) use self::resources::resident;
pub use self::shared_listener::SharedListener;
pub use self::spec::{Limits, Listen, Spec, inherited_env};

/// Capacity of the command queue. The actor takes commands at once, so the bound is never reached in practice.
const COMMAND_QUEUE: usize = 16;

/// Handle to one supervised child.
#[derive(Debug)]
pub struct Child {
    commands: mpsc::Sender<ChildCommand>,
    published: watch::Receiver<Snapshot>,
    task: JoinHandle<()>,
}

/// State of a child at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Sequence number; incremented with every change.
    pub seq: u64,
    /// Visible state.
    pub state: Phase,
    /// Whether the child is running and its last health check succeeded.
    pub healthy: bool,
    /// Whether the child is running and a new generation is about to take over.
    pub handing_over: bool,
    /// Process id of the group leader, while there is a process.
    pub pid: Option<u32>,
    /// Listening address, once the child is ready.
    pub addr: Option<SocketAddr>,
    /// Address at which this process alone answers; `addr` may be shared.
    pub own_addr: Option<SocketAddr>,
    /// Time of the spawn, while there is a process.
    pub since: Option<Instant>,
    /// Number of the process, counted over all processes spawned so far.
    pub generation: u64,
    /// Number of processes that have replaced the previous one since the child was started by a command.
    pub restarts: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Time of the next start, if the child is to be started again. Only in [`Phase::Error`].
    pub retry_at: Option<Instant>,
    /// Last failure since the child was started by a command. In [`Phase::Error`]: the reason for it.
    pub cause: Option<Arc<Cause>>,
    /// Whether the last stop needed SIGKILL.
    pub forced: bool,
    /// Whether the process was spawned by another supervisor.
    pub adopted: bool,
}

/// Visible states of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// No process.
    Stopped,
    /// Spawned, not ready yet.
    Starting,
    /// Ready.
    Running,
    /// Asked to exit.
    Stopping,
    /// Failed; [`Snapshot::cause`] holds the reason.
    Error,
}

/// Pending outcome of a command: resolves once the command has been fulfilled, or can no longer be.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<Result<(), Unmet>>);

/// Reason why a command was not fulfilled.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unmet {
    /// A newer command wanted the opposite.
    #[error("superseded by a newer command")]
    Superseded,
    /// The child failed.
    #[error("{0}")]
    Failed(Arc<Cause>),
    /// The supervisor has ended.
    #[error("the supervisor has ended")]
    Closed,
}

/// A command, and the channels for its reply.
#[derive(Debug)]
struct ChildCommand {
    desired: Desired,
    /// Dropped once the snapshot shows the effect of the command.
    taken: oneshot::Sender<()>,
    ticket: oneshot::Sender<Result<(), Unmet>>,
    /// The span in which the command was given; log calls about it are made inside.
    span: Span,
}

#[derive(Debug)]
enum Desired {
    Start(Box<Spec>),
    Stop,
    Restart(Box<Spec>),
    Adopt(Box<Spec>, Box<AdoptedChild>),
}

/// Spawns the task that owns the child called `name`. No process is spawned before the first command.
#[must_use]
pub fn supervise(name: &'static str, limits: Limits) -> Child {
    supervise_with(name, limits, SharedListener::default())
}

/// Spawns the task of one of several children that share a port; otherwise like [`supervise`].
#[must_use]
pub fn supervise_with(name: &'static str, limits: Limits, shared_listener: SharedListener) -> Child {
    let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
    let (publish, published) = watch::channel(Snapshot::idle());
    let task = tokio::spawn(actor::Actor::new(name, limits, shared_listener, inbox, publish).run());
    Child { commands, published, task }
}

// === impl Child ===

impl Child {
    /// Requests that the child runs `spec`. A child that is running or starting already is left unchanged.
    ///
    /// When this method returns, the snapshot already shows that the command has been taken; the same holds for the
    /// other commands.
    pub async fn start(&self, spec: Spec) -> Ticket {
        self.send(Desired::Start(Box::new(spec))).await
    }

    /// Requests that the child is stopped: its whole process group is asked to exit, and killed after the grace period.
    pub async fn stop(&self) -> Ticket {
        self.send(Desired::Stop).await
    }

    /// Requests a new process running `spec`, which replaces the present one, if any. The present process serves until
    /// the new one is ready, and keeps serving if that never happens.
    pub async fn restart(&self, spec: Spec) -> Ticket {
        self.send(Desired::Restart(Box::new(spec))).await
    }

    /// Requests that a process that is serving already becomes the child. `spec` describes it, and is used for its
    /// successor when it fails. A child that is not stopped is left unchanged; the process then keeps waiting for
    /// another supervisor.
    pub async fn adopt(&self, spec: Spec, adopted_child: AdoptedChild) -> Ticket {
        self.send(Desired::Adopt(Box::new(spec), Box::new(adopted_child))).await
    }

    /// Returns a receiver of the present state and of every later one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.published.clone()
    }

    /// Stops the child, and waits until its process and its task have ended.
    pub async fn close(self) {
        drop(self.commands);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a supervisor task failed; its process group has been killed");
        }
    }

    async fn send(&self, desired: Desired) -> Ticket {
        let (ticket, answer) = oneshot::channel();
        let (taken, effect) = oneshot::channel();
        // A closed queue drops both senders, which the ticket reports as `Closed`.
        self.commands.send(ChildCommand { desired, taken, ticket, span: Span::current() }).await.ok();
        effect.await.ok();
        Ticket(answer)
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Returns the state before the first command.
    pub(crate) fn idle() -> Self {
        Self {
            seq: 0,
            state: Phase::Stopped,
            healthy: false,
            handing_over: false,
            pid: None,
            addr: None,
            own_addr: None,
            since: None,
            generation: 0,
            restarts: 0,
            failures: 0,
            retry_at: None,
            cause: None,
            forced: false,
            adopted: false,
        }
    }

    /// Returns whether the child is ready to serve.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == Phase::Running
    }

    /// Returns the whole seconds since the process was spawned; 0 if there is none.
    #[must_use]
    pub fn uptime(&self) -> u64 {
        self.since.map_or(0, |since| since.elapsed().as_secs())
    }
}

// === impl Phase ===

impl Phase {
    /// Returns the name of the state in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Error => "error",
        }
    }
}

// === impl Ticket ===

impl Ticket {
    /// Waits until the command has been fulfilled or can no longer be.
    ///
    /// # Errors
    /// [`Unmet`] holds the reason why it was not fulfilled.
    pub async fn done(self) -> Result<(), Unmet> {
        self.0.await.unwrap_or(Err(Unmet::Closed))
    }
}

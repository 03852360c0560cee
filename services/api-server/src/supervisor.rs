//! The process-group supervisor: keeps one child process in the state somebody asked for.
//!
//! # Layout
//! - [`spec`]: what to run. - [`state`]: what may follow what, as a pure table.
//! - [`actor`]: the one task that owns a child's state. - [`run`]: one life of the child, from spawn to burial.
//! - [`process`]: spawning, asking, ending, in the ways of Unix or of Windows. On Unix: `group`: who belongs to a process group;
//!   `orphans`: whose parent has ended; `kin`: a family that somebody else has spawned.
//! - [`adopt`]: what another supervisor has left behind.
//! - [`port`]: the sockets, which are ours. - [`share`]: one port for several children. - [`stand_in`]: who answers there
//!   while nobody serves.
//! - [`resources`]: how much of the machine it may use.
//! - [`output`]: status lines and the log file. - [`probe`]: is it ready, does it live? - [`exit`]: how it ended.
//!
//! # Theory of operation
//! [`supervise`] starts a task and returns a [`Child`], the handle to it. A handle sends commands and gets a [`Ticket`]
//! for each; a ticket resolves when the command has been fulfilled or can no longer be. Dropping a ticket cancels nothing.
//! A newer command supersedes an older one that wanted the opposite. Everybody reads the same [`Snapshot`] from a `watch`,
//! so no two answers can disagree.
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
//!                      |    +--> Failed  (8 failures in a row, or one that only a person can help with; start: to Starting)
//!                      +-------> Stuck   (the group outlives SIGKILL: no second copy is started)
//! ```
//!
//! A child is ready when it said so on its standard output *and* its `/health/ready` answers 200 with the instance it
//! announced. It never becomes ready by waiting long enough. A child that ends without being asked has failed; it is started
//! again after a delay that doubles, until it has failed too often in a row. Two ends are not counted: a ready child that leaves in
//! good order was asked to by somebody else, and a child whose port is taken may get it back any time.
//!
//! The sockets are bound here and copies are passed to the child, so that connections wait while nobody accepts them, and
//! two generations can take turns. Nobody serves for some seconds: they get a 503. The child is stopped or has failed:
//! the sockets are closed. On Windows no socket can be passed: a child binds the port that was found free here, and a restart
//! ends the old generation first.
//!
//! # Invariants
//! - At most one process group per child serves at any time. Beside it there may be one that is getting ready, and some
//!   that accept nothing any more and finish their streams. After a failure the old group is proven empty first.
//! - A group is signalled only while its leader has not been reaped, so its number cannot belong to a stranger.
//! - Dropping the task kills the group. A child whose supervisor is killed sees the end of its standard input, and leaves
//!   unless another supervisor adopts it in time.
//! - Nothing here knows an HTTP server, SQL, or what the children do.

mod actor;
#[cfg(unix)]
pub(crate) mod adopt;
#[cfg(not(unix))]
#[path = "supervisor/adopt/nobody.rs"]
pub(crate) mod adopt;
mod exit;
#[cfg(unix)]
mod group;
#[cfg(unix)]
mod kin;
#[cfg(unix)]
pub(crate) mod orphans;
mod output;
mod port;
mod probe;
mod process;
mod resources;
mod run;
mod share;
mod spec;
mod stand_in;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use self::adopt::Foundling;
pub use self::exit::{Cause, Exit, Fault};
pub use self::port::Refused;
pub use self::resources::Resources;
pub use self::share::Share;
pub use self::spec::{Limits, Listen, Spec, inherited_env};

/// Commands that wait for the actor. It takes them at once, so the bound is only a bound.
const COMMAND_QUEUE: usize = 16;

/// The handle to one supervised child.
#[derive(Debug)]
pub struct Child {
    commands: mpsc::Sender<Command>,
    published: watch::Receiver<Snapshot>,
    task: JoinHandle<()>,
}

/// What is known about a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Grows by one with every change.
    pub seq: u64,
    /// Its state.
    pub state: Phase,
    /// It runs, and its last health check succeeded.
    pub healthy: bool,
    /// It runs, and a new generation is about to take over.
    pub handing_over: bool,
    /// The leader of its process group, while there is one.
    pub pid: Option<u32>,
    /// Where it listens, from the moment it is ready.
    pub addr: Option<SocketAddr>,
    /// Where this process answers and no other: `addr` may be shared.
    pub own_addr: Option<SocketAddr>,
    /// When the process was spawned, while there is one.
    pub since: Option<Instant>,
    /// The number of the process among all that have been spawned so far.
    pub generation: u64,
    /// How often another process has taken the place of the last one since somebody started the child.
    pub restarts: u64,
    /// Failures in a row.
    pub failures: u32,
    /// In [`Phase::Error`]: when it is started again, if it is.
    pub retry_at: Option<Instant>,
    /// What went wrong last, since somebody started it. In [`Phase::Error`]: why it failed.
    pub cause: Option<Arc<Cause>>,
    /// The last stop needed SIGKILL.
    pub forced: bool,
    /// Another supervisor has spawned the process.
    pub adopted: bool,
}

/// The states that people see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing runs.
    Stopped,
    /// Spawned, not ready yet.
    Starting,
    /// Ready.
    Running,
    /// Asked to leave.
    Stopping,
    /// It failed; [`Snapshot::cause`] says why.
    Error,
}

/// Resolves when a command has been fulfilled, or can no longer be.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<Result<(), Unmet>>);

/// Why a command was not fulfilled.
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

/// A command and who waits for it.
#[derive(Debug)]
struct Command {
    want: Want,
    /// Dropped once the snapshot shows the command's effect.
    taken: oneshot::Sender<()>,
    ticket: oneshot::Sender<Result<(), Unmet>>,
}

#[derive(Debug)]
enum Want {
    Start(Box<Spec>),
    Stop,
    Restart(Box<Spec>),
    Adopt(Box<Spec>, Box<Foundling>),
}

/// Starts the task that owns the child called `name`. Nothing is spawned until a command says so.
#[must_use]
pub fn supervise(name: &'static str, limits: Limits) -> Child {
    supervise_with(name, limits, Share::default())
}

/// The same for one of several children that share a port.
#[must_use]
pub fn supervise_with(name: &'static str, limits: Limits, share: Share) -> Child {
    let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
    let (publish, published) = watch::channel(Snapshot::idle());
    let task = tokio::spawn(actor::Actor::new(name, limits, share, inbox, publish).run());
    Child { commands, published, task }
}

// === impl Child ===

impl Child {
    /// Wants the child to run what `spec` says. A child that runs already, or is starting, is left as it is.
    ///
    /// When this returns, as when the other commands do, the snapshot shows that the command has been taken.
    pub async fn start(&self, spec: Spec) -> Ticket {
        self.send(Want::Start(Box::new(spec))).await
    }

    /// Wants the child to be gone: asked politely, then killed after the grace, its whole process group with it.
    pub async fn stop(&self) -> Ticket {
        self.send(Want::Stop).await
    }

    /// Wants a new process running what `spec` says, in place of the present one if there is one. The present one serves
    /// until the new one is ready, and serves on if that never happens.
    pub async fn restart(&self, spec: Spec) -> Ticket {
        self.send(Want::Restart(Box::new(spec))).await
    }

    /// Wants this process, which serves already, to be the child; `spec` is what it runs, or what takes its place when it
    /// fails. A child that is not stopped is left as it is, and the process waits for another supervisor.
    pub async fn adopt(&self, spec: Spec, foundling: Foundling) -> Ticket {
        self.send(Want::Adopt(Box::new(spec), Box::new(foundling))).await
    }

    /// The present state, and every later one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.published.clone()
    }

    /// Stops the child and waits until it is gone and its task has ended.
    pub async fn close(self) {
        drop(self.commands);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a supervisor task ended badly; its process group has been killed");
        }
    }

    async fn send(&self, want: Want) -> Ticket {
        let (ticket, answer) = oneshot::channel();
        let (taken, effect) = oneshot::channel();
        // A closed queue drops both senders, which the ticket reports as `Closed`.
        self.commands.send(Command { want, taken, ticket }).await.ok();
        effect.await.ok();
        Ticket(answer)
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Before the first command.
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

    /// Whether it is ready for work.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == Phase::Running
    }

    /// Whole seconds since the process was spawned; 0 when there is none.
    #[must_use]
    pub fn uptime(&self) -> u64 {
        self.since.map_or(0, |since| since.elapsed().as_secs())
    }
}

// === impl Phase ===

impl Phase {
    /// The word in the API.
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
    /// Waits for the end of the command.
    ///
    /// # Errors
    /// [`Unmet`] says why it was not fulfilled.
    pub async fn done(self) -> Result<(), Unmet> {
        self.0.await.unwrap_or(Err(Unmet::Closed))
    }
}

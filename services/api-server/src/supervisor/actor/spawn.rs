//! Spawning and adopting processes.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Actor, NextGeneration};
use crate::supervisor::port::{BindError, Port};
use crate::supervisor::run::Run;
use crate::supervisor::state::{Event, Retry};
use crate::supervisor::{Cause, Fault};

/// Reason why no process was spawned.
struct NotSpawned {
    cause: Cause,
    retry: Retry,
}

// === impl Actor ===

impl Actor {
    pub(super) async fn spawn(&mut self, event: Event) -> Option<Cause> {
        self.run = None;
        let by_hand = matches!(event, Event::Start | Event::Restart | Event::Replace);
        self.restarts = if by_hand { 0 } else { self.restarts + 1 };
        match self.try_spawn().await {
            Ok((run, port)) => {
                self.run = Some(run);
                self.port = port.or_else(|| self.port.take());
                self.generation = self.spawned;
                None
            }
            Err(NotSpawned { cause, retry }) => {
                self.machine.on(Event::SpawnFailed { retry }, Instant::now());
                Some(cause)
            }
        }
    }

    /// Makes the adopted process the serving generation.
    pub(super) async fn serve_adopted(&mut self) -> Option<Cause> {
        let (adopted_child, spec) = (self.adopted_child.take()?, self.spec.clone()?);
        match adopted_child.into_run(self.name, &spec, &self.limits) {
            Ok((run, port)) => {
                self.run = Some(run);
                self.port = Some(self.shared_listener.adopted(port).await);
                self.spawned += 1;
                self.generation = self.spawned;
                self.restarts = 0;
                None
            }
            Err(error) => {
                // The process waits for another supervisor, and exits when none adopts it.
                self.machine.on(Event::Exited { retry: Retry::Never }, Instant::now());
                self.machine.on(Event::Gone, Instant::now());
                Some(Cause::new(Fault::NotSpawned, format!("cannot adopt {}: {error}", self.name)))
            }
        }
    }

    pub(super) async fn spawn_next(&mut self) -> Option<Cause> {
        match self.try_spawn().await {
            Ok((run, port)) => {
                let spec = self.spec.clone()?;
                self.next_generation = Some(NextGeneration { run, spec, port, generation: self.spawned });
                None
            }
            Err(NotSpawned { cause, .. }) => {
                self.machine.on(Event::NextNotSpawned, Instant::now());
                Some(cause.of_handover())
            }
        }
    }

    /// Spawns a process on the present port, or on a new one if the spec names another.
    async fn try_spawn(&mut self) -> Result<(Run, Option<Arc<Port>>), NotSpawned> {
        let Some(spec) = self.spec.clone() else {
            return Err(NotSpawned {
                cause: Cause::new(Fault::NotSpawned, "no command was given"),
                retry: Retry::Never,
            });
        };
        // Only the sockets of a process that has exited can conflict here. Close them, or clients would wait in their
        // queue.
        self.port.take_if(|port| port.is_in_the_way_of(&spec.listen));
        let bound = match &self.port {
            Some(port) if port.suits(&spec.listen) => None,
            _ => Some(self.shared_listener.port(&spec.listen).await.map_err(|refused| not_bound(&refused))?),
        };
        let Some(port) = bound.as_ref().or(self.port.as_ref()) else {
            return Err(NotSpawned { cause: Cause::new(Fault::NotSpawned, "no port"), retry: Retry::Never });
        };
        let run = Run::begin(self.name, &spec, port, &self.limits).map_err(|error| not_run(&error))?;
        self.spawned += 1;
        Ok((run, bound))
    }
}

fn not_bound(refused: &BindError) -> NotSpawned {
    let (fault, retry) = match refused {
        BindError::InUse { port, holder } => (Fault::PortInUse { port: *port, holder: holder.clone() }, Retry::Always),
        BindError::Impossible(_) => (Fault::NotSpawned, Retry::Never),
    };
    NotSpawned { cause: Cause::new(fault, refused.to_string()), retry }
}

/// OS error for a file that is not an executable: ENOEXEC, or ERROR_BAD_EXE_FORMAT on Windows.
const NO_PROGRAM: i32 = if cfg!(windows) { 193 } else { 8 };

fn not_run(error: &std::io::Error) -> NotSpawned {
    use std::io::ErrorKind;
    // A missing, forbidden or non-executable file stays so; a lack of memory or processes may pass.
    let hopeless = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(NO_PROGRAM);
    let retry = if hopeless { Retry::Never } else { Retry::Limited };
    NotSpawned { cause: Cause::new(Fault::NotSpawned, error.to_string()), retry }
}

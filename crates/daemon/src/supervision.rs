//! The supervised side of a process: its lifeline, and its adoption by another supervisor.

use crate::config::Common;
use crate::context::Context;
use crate::exit::Exit;
use crate::lifeline::{self, Lifeline, NoSuccessor};
use crate::shutdown::Shutdown;

/// Guard held as long as the process serves.
#[derive(Debug)]
pub(crate) struct Supervision {
    lifeline: Lifeline,
    #[cfg(unix)]
    adoption: Option<adoptable::Adoption>,
}

// === impl Supervision ===

impl Supervision {
    /// Starts to watch the lifeline: from here on the process does not outlive its supervisor unless another one adopts
    /// it.
    pub(crate) fn begin(common: &Common, shutdown: &Shutdown) -> Result<Self, Exit> {
        let limit = common.server.drain_timeout.get() + lifeline::EXIT_GRACE;
        let kill = || std::process::exit(Exit::Orphaned.code().into());
        #[cfg(unix)]
        if let Some((adoptable, adoption)) = adoptable::prepare(&common.data_dir)? {
            let lifeline = Lifeline::watch(std::io::stdin(), adoptable, shutdown.clone(), limit, kill)?;
            return Ok(Self { lifeline, adoption: Some(adoption) });
        }
        let lifeline = Lifeline::watch(std::io::stdin(), NoSuccessor, shutdown.clone(), limit, kill)?;
        Ok(Self {
            lifeline,
            #[cfg(unix)]
            adoption: None,
        })
    }

    /// Publishes the status for a successor of the supervisor, until the process begins to drain.
    pub(crate) fn publish(&self, context: &Context) -> Result<(), Exit> {
        #[cfg(unix)]
        if let Some(adoption) = &self.adoption {
            adoption.publish(context)?;
        }
        #[cfg(not(unix))]
        let _ = context;
        Ok(())
    }

    /// Returns `true` if the process is shutting down because its supervisor is gone.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.lifeline.is_orphaned()
    }
}

#[cfg(unix)]
mod adoptable {
    use std::path::Path;

    use crate::adoption::{Adoptable, Files, ListeningStatus, StatusReporter};
    use crate::context::Context;
    use crate::exit::Exit;

    /// Part of the state that the process keeps; the lifeline has the rest. Removes the files on drop.
    #[derive(Debug)]
    pub(super) struct Adoption {
        status_reporter: StatusReporter,
        files: Files,
    }

    pub(super) fn prepare(data_dir: &Path) -> Result<Option<(Adoptable, Adoption)>, Exit> {
        let adoptable = Adoptable::prepare(data_dir)?;
        Ok(adoptable.map(|adoptable| {
            let adoption = Adoption { status_reporter: adoptable.status_reporter(), files: adoptable.files() };
            (adoptable, adoption)
        }))
    }

    impl Adoption {
        pub(super) fn publish(&self, context: &Context) -> Result<(), Exit> {
            let lost = |error| Exit::Temporary(format!("cannot copy the listening sockets: {error}"));
            let (sockets, probe) = context.listener.duplicate().map_err(lost)?;
            self.status_reporter.publish(ListeningStatus {
                service: context.service,
                instance: &context.instance,
                version: context.version,
                host: &context.common.server.host,
                port: context.common.server.port,
                addr: context.listener.local_addr(),
                probe,
                sockets,
            });
            let (status_reporter, shutdown, socket) =
                (self.status_reporter.clone(), context.shutdown.clone(), self.files.socket.clone());
            tokio::spawn(async move {
                shutdown.draining().await;
                status_reporter.clear();
                // Without the socket a successor cannot adopt the process; the lock shows that it is still running.
                std::fs::remove_file(socket).ok();
            });
            Ok(())
        }
    }

    impl Drop for Adoption {
        fn drop(&mut self) {
            // Leftover files are harmless: a process that finds them sees that the lock is not held.
            self.files.remove().ok();
        }
    }
}

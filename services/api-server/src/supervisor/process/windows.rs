//! One job: a process and all its descendants, which nobody can leave.
//!
//! The job is ended when its handle is closed, by us or by the operating system when we are gone, however that comes about: no
//! child outlives us, and none is adopted. There are no signals: a child is asked to leave on its standard input.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{ChildStdin, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use process_wrap::tokio::{ChildWrapper, CommandWrap, JobObject, KillOnDrop};
use signalbox_daemon::variables::{SECRETS, secrets_line};
use tokio::process::Command;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::{SUPERVISED, Spawned};
use crate::supervisor::port::Port;
use crate::supervisor::{Exit, Spec};

/// A child binds its port itself, so two generations cannot take turns on it.
pub(in crate::supervisor) const PASSES_SOCKETS: bool = false;

/// A job that has not been ended.
#[derive(Debug)]
pub(in crate::supervisor) struct Process {
    name: &'static str,
    id: u32,
    lifeline: Option<ChildStdin>,
    exited: oneshot::Receiver<Exit>,
    /// Tells the keeper to end the job.
    kill: Arc<Notify>,
    empty: Arc<AtomicBool>,
    /// Has the handle of the job.
    keeper: JoinHandle<()>,
}

// === impl Process ===

impl Process {
    /// Spawns a process into a new job, writing its standard error to `log`.
    pub(in crate::supervisor) fn spawn(
        name: &'static str,
        spec: &Spec,
        port: &Port,
        log: std::fs::File,
    ) -> io::Result<Spawned> {
        let secrets = secrets_line(&spec.secrets)?;
        let mut command = Command::new(&spec.program);
        command
            .args(with_port(&spec.args, port.addr().port()))
            .env_clear()
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            .env(SUPERVISED, "1")
            .envs(secrets.as_ref().map(|_| (SECRETS, "stdin")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut command = CommandWrap::from(command);
        // Together they end the job with its handle.
        command.wrap(KillOnDrop).wrap(JobObject);
        let mut child = command.spawn()?;
        if let Err(error) = spec.resources.apply(child.id().unwrap_or_default()) {
            tracing::warn!(child = name, %error, "cannot limit what the child may use; it goes on without limits");
        }
        let missing = || io::Error::other("the child has no standard input and output");
        let lifeline = child.stdin().take().ok_or_else(missing)?.into_owned_handle()?;
        let stdout = child.stdout().take().ok_or_else(missing)?;
        let id = child.id().ok_or_else(|| io::Error::other("the child has no id"))?;
        let (tell, exited) = oneshot::channel();
        let (kill, empty) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let keeper = tokio::spawn(keep(name, child, Arc::clone(&kill), tell, Arc::clone(&empty)));
        let mut lifeline = ChildStdin::from(lifeline);
        // They fit into an empty pipe; that the child has ended already is seen elsewhere.
        if let Some(secrets) = secrets {
            lifeline.write_all(&secrets).ok();
        }
        let process = Self { name, id, lifeline: Some(lifeline), exited, kill, empty, keeper };
        Ok(Spawned { process, stdout, probe: None })
    }

    /// The number of the process that was spawned.
    pub(in crate::supervisor) fn id(&self) -> u32 {
        self.id
    }

    /// Nobody else can have spawned it.
    pub(in crate::supervisor) fn is_adopted(&self) -> bool {
        false
    }

    /// Waits for the end of the process that was spawned. To be called until it returned once.
    pub(in crate::supervisor) async fn exited(&mut self) -> Exit {
        (&mut self.exited).await.unwrap_or(Exit::Unknown)
    }

    /// Asks it to leave. The end of its standard input says the same to one that does not read lines.
    pub(in crate::supervisor) fn terminate(&mut self) {
        if let Some(mut lifeline) = self.lifeline.take()
            && let Err(error) = lifeline.write_all(b"shutdown\n")
        {
            tracing::debug!(child = self.name, %error, "the child does not listen any more");
        }
    }

    /// Ends the job.
    pub(in crate::supervisor) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Whether nothing is left of the job. What the process has left behind is being ended when it has ended itself.
    pub(in crate::supervisor) fn bury(&mut self) -> bool {
        self.empty.load(Ordering::Acquire)
    }
}

impl Drop for Process {
    /// Closes the handle of the job, which ends it.
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// The keeper's whole work: waits for the process, then ends the rest of its job.
async fn keep(
    name: &'static str,
    mut child: Box<dyn ChildWrapper>,
    kill: Arc<Notify>,
    tell: oneshot::Sender<Exit>,
    empty: Arc<AtomicBool>,
) {
    let end = |child: &mut Box<dyn ChildWrapper>| {
        if let Err(error) = child.start_kill() {
            tracing::warn!(child = name, %error, "cannot end the job");
        }
    };
    let exit = loop {
        tokio::select! {
            status = child.inner_mut().wait() => break exit_of(status),
            () = kill.notified() => end(&mut child),
        }
    };
    // Nobody may be left who wants to know.
    tell.send(exit).ok();
    end(&mut child);
    match child.wait().await {
        Ok(_) => empty.store(true, Ordering::Release),
        Err(error) => tracing::warn!(child = name, %error, "cannot see whether the job is empty"),
    }
}

fn exit_of(status: io::Result<ExitStatus>) -> Exit {
    status.ok().and_then(|status| status.code()).map_or(Exit::Unknown, Exit::Code)
}

/// The arguments, naming the port that was found free instead of the one that was wished for.
fn with_port(args: &[OsString], port: u16) -> Vec<OsString> {
    let mut named = false;
    let port = OsString::from(port.to_string());
    let told = |arg: &OsString| if std::mem::replace(&mut named, arg == "--port") { port.clone() } else { arg.clone() };
    args.iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_that_is_free_is_told() {
        let args: Vec<OsString> = ["--host", "::1", "--port", "0", "--port-x", "--log-level"].map(Into::into).into();
        assert_eq!(with_port(&args, 3001), ["--host", "::1", "--port", "3001", "--port-x", "--log-level"]);
    }
}

//! One job object: a process and all its descendants, none of which can leave it.
//!
//! The job ends when its handle is closed, by api-server or by the operating system after api-server has ended for any
//! reason: no child outlives its supervisor, and none is adopted. There are no signals: a child is asked to exit
//! through its standard input.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{ChildStdin, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use process_wrap::tokio::{ChildWrapper, CommandWrap, JobObject, KillOnDrop};
use signalbox_daemon::log_file::LOG_FILE;
use signalbox_daemon::variables::{SECRETS, secrets_line};
use tokio::process::Command;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::{SUPERVISED, Spawned};
use crate::supervisor::port::Port;
use crate::supervisor::{Exit, Spec};

/// Whether a child gets copies of bound sockets: a child binds its port itself, so two generations cannot share it.
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
    /// Task that owns the handle of the job.
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
            .env(LOG_FILE, &spec.log)
            .envs(secrets.as_ref().map(|_| (SECRETS, "stdin")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut command = CommandWrap::from(command);
        // Together these two end the job when its handle is closed.
        command.wrap(KillOnDrop).wrap(JobObject);
        let mut child = command.spawn()?;
        if let Err(error) = spec.resources.apply(child.id().unwrap_or_default()) {
            tracing::warn!(child = name, %error, "cannot apply the resource limits, the child runs without them");
        }
        let missing = || io::Error::other("the child has no standard input and output");
        let lifeline = child.stdin().take().ok_or_else(missing)?.into_owned_handle()?;
        let stdout = child.stdout().take().ok_or_else(missing)?;
        let id = child.id().ok_or_else(|| io::Error::other("the child has no id"))?;
        let (tell, exited) = oneshot::channel();
        let (kill, empty) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let keeper = tokio::spawn(watch_process(name, child, Arc::clone(&kill), tell, Arc::clone(&empty)));
        let mut lifeline = ChildStdin::from(lifeline);
        // The secrets fit into an empty pipe. If the child has ended already, the keeper reports it.
        if let Some(secrets) = secrets {
            lifeline.write_all(&secrets).ok();
        }
        let process = Self { name, id, lifeline: Some(lifeline), exited, kill, empty, keeper };
        Ok(Spawned { process, stdout, probe: None })
    }

    /// Returns the process id.
    pub(in crate::supervisor) fn id(&self) -> u32 {
        self.id
    }

    /// Returns `false`: processes are not adopted on Windows.
    pub(in crate::supervisor) fn is_adopted(&self) -> bool {
        false
    }

    /// Waits for the end of the spawned process. Must not be called again after it has returned.
    pub(in crate::supervisor) async fn exited(&mut self) -> Exit {
        (&mut self.exited).await.unwrap_or(Exit::Unknown)
    }

    /// Asks the process to exit: writes `shutdown` to its standard input and closes it, for processes that do not read
    /// lines.
    pub(in crate::supervisor) fn terminate(&mut self) {
        if let Some(mut lifeline) = self.lifeline.take()
            && let Err(error) = lifeline.write_all(b"shutdown\n")
        {
            tracing::debug!(child = self.name, %error, "the child no longer listens");
        }
    }

    /// Ends the job.
    pub(in crate::supervisor) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Returns whether the job is empty. Its remaining processes are ended after the spawned one has ended.
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

/// Body of the keeper task: waits for the process, then ends the rest of its job.
async fn watch_process(
    name: &'static str,
    mut child: Box<dyn ChildWrapper>,
    kill: Arc<Notify>,
    tell: oneshot::Sender<Exit>,
    empty: Arc<AtomicBool>,
) {
    let end = |child: &mut Box<dyn ChildWrapper>| {
        if let Err(error) = child.start_kill() {
            tracing::warn!(child = name, %error, "cannot terminate the job object");
        }
    };
    let exit = loop {
        tokio::select! {
            status = child.inner_mut().wait() => break exit_of(status),
            () = kill.notified() => end(&mut child),
        }
    };
    // The receiver may have been dropped.
    tell.send(exit).ok();
    end(&mut child);
    match child.wait().await {
        Ok(_) => empty.store(true, Ordering::Release),
        Err(error) => tracing::warn!(child = name, %error, "cannot query whether the job object is empty"),
    }
}

fn exit_of(status: io::Result<ExitStatus>) -> Exit {
    status.ok().and_then(|status| status.code()).map_or(Exit::Unknown, Exit::Code)
}

/// Returns the arguments with the value of `--port` replaced by the port that was found free.
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
    fn the_free_port_is_reported() {
        let args: Vec<OsString> = ["--host", "::1", "--port", "0", "--port-x", "--log-level"].map(Into::into).into();
        assert_eq!(with_port(&args, 3001), ["--host", "::1", "--port", "3001", "--port-x", "--log-level"]);
    }
}

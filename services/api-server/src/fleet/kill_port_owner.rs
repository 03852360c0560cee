//! Ends another process that holds one of our ports, on explicit request.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use signalbox_daemon::identity::{Handle, ProcessSignal};
use signalbox_daemon::listener::holder_of;

/// Time from SIGTERM to SIGKILL.
const TERMINATE_GRACE: Duration = Duration::from_secs(10);

/// Timeout after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// Reason why a process was not ended.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// The process must not be ended, whichever port it holds.
    #[error("process {pid} was not killed: {why}; end it by hand, or choose another port")]
    Protected {
        /// Process id.
        pid: u32,
        /// Reason, as the end of a sentence.
        why: &'static str,
    },
    /// The process does not hold the address, or no longer does.
    #[error("process {pid} does not listen on {addr}; check the status and try again")]
    NotListening {
        /// Process id.
        pid: u32,
        /// Address.
        addr: SocketAddr,
    },
    /// The process outlives SIGKILL.
    #[error("process {0} is still running after SIGKILL; choose another port")]
    Unkillable(u32),
    /// The operating system refuses.
    #[error("cannot kill process {pid}: {source}; end it by hand, or choose another port")]
    Refused {
        /// Process id.
        pid: u32,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Ends the process `pid` if it listens on `addr` and runs as our user: SIGTERM, and SIGKILL after ten seconds. No
/// other process can be hit, even if the id is reused meanwhile.
///
/// # Errors
/// [`KillError`], with the reason why the process was not ended.
pub async fn kill_port_owner(pid: u32, addr: SocketAddr) -> Result<(), KillError> {
    let protected = |why| KillError::Protected { pid, why };
    if pid <= 1 {
        return Err(protected("it is the init process"));
    }
    if pid == std::process::id() {
        return Err(protected("it is api-server itself"));
    }
    let refused = |source: io::Error| KillError::Refused { pid, source };
    let elsewhere = || KillError::NotListening { pid, addr };
    // Hold the process by a handle first, then check that it is the right one.
    let held = Handle::open(pid).map_err(refused)?.ok_or_else(elsewhere)?;
    if holder_of(addr).is_none_or(|holder| holder.pid != pid) {
        return Err(elsewhere());
    }
    if !is_ours(pid) {
        return Err(protected("it belongs to another user"));
    }
    tracing::warn!(pid, %addr, "killing the process that uses the port");
    let ended = tokio::task::spawn_blocking(move || {
        for (request, patience) in [(ProcessSignal::Terminate, TERMINATE_GRACE), (ProcessSignal::Kill, KILL_TIMEOUT)] {
            held.send(request)?;
            if held.wait(Some(patience)) {
                return Ok(true);
            }
        }
        Ok(false)
    });
    match ended.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(true) => Ok(()),
        Ok(false) => Err(KillError::Unkillable(pid)),
        Err(error) => Err(refused(error)),
    }
}

#[cfg(unix)]
fn is_ours(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == nix::unistd::geteuid().as_raw())
}

#[cfg(not(unix))]
const fn is_ours(_: u32) -> bool {
    false
}

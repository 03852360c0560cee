//! Ending a stranger who holds a port of ours, because somebody asked for exactly that.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use signalbox_daemon::identity::{Handle, Request};
use signalbox_daemon::listener::holder_of;

/// From the polite request to leave to SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// From SIGKILL to the end.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// Why a process is left alone.
#[derive(Debug, thiserror::Error)]
pub enum Kept {
    /// Whatever it holds, it is not for us to end.
    #[error("process {pid} is not ended: {why}")]
    Taboo {
        /// Its id.
        pid: u32,
        /// Half a sentence.
        why: &'static str,
    },
    /// It holds the address no longer, or never did.
    #[error("process {pid} does not listen on {addr}; ask for the status and try again")]
    Elsewhere {
        /// Its id.
        pid: u32,
        /// The address.
        addr: SocketAddr,
    },
    /// It outlives SIGKILL.
    #[error("process {0} survives SIGKILL; choose another port")]
    Unkillable(u32),
    /// The operating system refuses.
    #[error("process {pid} cannot be ended: {source}")]
    Refused {
        /// Its id.
        pid: u32,
        /// Its word.
        source: io::Error,
    },
}

/// Ends the process that listens on `addr`, if it is this one and runs as our user: SIGTERM, after ten seconds SIGKILL.
/// Nobody else can be hit, even when the process id is given to another process meanwhile.
///
/// # Errors
/// [`Kept`]; then nobody has been ended.
pub async fn evict(pid: u32, addr: SocketAddr) -> Result<(), Kept> {
    let taboo = |why| Kept::Taboo { pid, why };
    if pid <= 1 {
        return Err(taboo("it is the mother of all processes"));
    }
    if pid == std::process::id() {
        return Err(taboo("it is api-server itself"));
    }
    let refused = |source: io::Error| Kept::Refused { pid, source };
    let elsewhere = || Kept::Elsewhere { pid, addr };
    // From here on the process is held. Only then is asked whether it is the right one.
    let held = Handle::open(pid).map_err(refused)?.ok_or_else(elsewhere)?;
    if holder_of(addr).is_none_or(|holder| holder.pid != pid) {
        return Err(elsewhere());
    }
    if !is_ours(pid) {
        return Err(taboo("it belongs to another user"));
    }
    tracing::warn!(pid, %addr, "ending the process that holds the port");
    let ended = tokio::task::spawn_blocking(move || {
        for (request, patience) in [(Request::Leave, GRACE), (Request::Die, KILL_WAIT)] {
            held.ask(request)?;
            if held.wait(Some(patience)) {
                return Ok(true);
            }
        }
        Ok(false)
    });
    match ended.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Kept::Unkillable(pid)),
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

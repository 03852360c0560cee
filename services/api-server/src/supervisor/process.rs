//! A process and all its descendants: a process group on Unix, a job on Windows.

#[cfg(unix)]
#[path = "process/unix.rs"]
mod system;

#[cfg(windows)]
#[path = "process/windows.rs"]
mod system;

use std::net::SocketAddr;

use tokio::process::ChildStdout;

pub(super) use self::system::{PASSES_SOCKETS, Process};

/// Environment variable telling our binaries that standard input is a lifeline and standard output is for status lines.
const SUPERVISED: &str = "SIGNALBOX_SUPERVISED";

/// A process that has just been spawned.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) process: Process,
    /// Pipe with its status lines.
    pub(super) stdout: ChildStdout,
    /// Address of a socket of its own, for health checks that reach this process and no other; `None` if it has only
    /// the public one.
    pub(super) probe: Option<SocketAddr>,
}

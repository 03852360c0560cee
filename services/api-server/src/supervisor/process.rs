//! One process and all that it starts: a group on Unix, a job on Windows.

#[cfg(unix)]
#[path = "process/unix.rs"]
mod system;

#[cfg(windows)]
#[path = "process/windows.rs"]
mod system;

use std::net::SocketAddr;

use tokio::process::ChildStdout;

pub(super) use self::system::{PASSES_SOCKETS, Process};

/// Tells our binaries that their standard input is a lifeline and their standard output is for status lines.
const SUPERVISED: &str = "SIGNALBOX_SUPERVISED";

/// A process that was just started.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) process: Process,
    /// Its status lines.
    pub(super) stdout: ChildStdout,
    /// A socket of its own, so that a health check reaches this process and no other; `None`: where it serves everybody.
    pub(super) probe: Option<SocketAddr>,
}

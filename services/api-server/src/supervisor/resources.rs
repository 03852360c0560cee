//! What a child may use of the machine.

use std::io;

/// Limits of one child. `None`: what its supervisor has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Bytes of memory that it may use for long. Beyond that a new process takes its place.
    pub memory: Option<u64>,
    /// How many files and sockets it may open.
    pub open_files: Option<u64>,
    /// Its niceness, from 0 to 19.
    pub niceness: Option<u8>,
}

// === impl Resources ===

impl Resources {
    /// Gives a group that has just been spawned what it may use; what it starts later inherits it.
    #[cfg(unix)]
    pub(super) fn apply(&self, leader: u32) -> io::Result<()> {
        let leader = i32::try_from(leader).map_err(io::Error::other)?;
        let Some(leader) = rustix::process::Pid::from_raw(leader) else { return Ok(()) };
        if let Some(niceness) = self.niceness {
            // Of the group: of a process it would be that of its first thread.
            rustix::process::setpriority_pgrp(Some(leader), niceness.into())?;
        }
        self.open_files.map_or(Ok(()), |files| limit_open_files(leader, files))
    }

    /// Elsewhere nothing can be limited.
    #[cfg(not(unix))]
    pub(super) fn apply(&self, _: u32) -> io::Result<()> {
        let is_limited = self.niceness.is_some() || self.open_files.is_some();
        if is_limited {
            Err(io::Error::new(io::ErrorKind::Unsupported, "niceness and open files are limited on Unix only"))
        } else {
            Ok(())
        }
    }

    /// Whether the process uses more memory than it may.
    pub(super) fn is_exceeded_by(&self, pid: u32) -> bool {
        self.memory.is_some_and(|limit| resident(pid).is_some_and(|used| used > limit))
    }
}

#[cfg(target_os = "linux")]
fn limit_open_files(leader: rustix::process::Pid, files: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, prlimit};

    prlimit(Some(leader), Resource::Nofile, Rlimit { current: Some(files), maximum: Some(files) })?;
    Ok(())
}

#[cfg(all(unix, not(target_os = "linux")))]
fn limit_open_files(_: rustix::process::Pid, _: u64) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "open files can be limited on Linux only"))
}

/// The memory a process has in use, in bytes; `None` where the operating system does not say.
#[cfg(target_os = "linux")]
fn resident(pid: u32) -> Option<u64> {
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = pages.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(not(target_os = "linux"))]
fn resident(_: u32) -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_is_compared_with_what_is_in_use() {
        let us = std::process::id();
        let with = |memory| Resources { memory, ..Resources::default() };
        assert!(with(Some(1)).is_exceeded_by(us));
        assert!(!with(Some(u64::MAX)).is_exceeded_by(us) && !with(None).is_exceeded_by(us));
        assert!(!with(Some(1)).is_exceeded_by(u32::MAX), "nobody uses nothing");
    }
}

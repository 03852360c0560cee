//! Resource limits of a child.

use std::io;

/// Limits of one child. `None`: inherited from its supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Bytes of resident memory. A process that exceeds it for too long is replaced.
    pub memory: Option<u64>,
    /// Maximum number of open files and sockets.
    pub open_files: Option<u64>,
    /// Niceness, from 0 to 19.
    pub niceness: Option<u8>,
}

// === impl Resources ===

impl Resources {
    /// Applies the limits to a group that has just been spawned; later descendants inherit them.
    #[cfg(unix)]
    pub(super) fn apply(&self, leader: u32) -> io::Result<()> {
        let leader = i32::try_from(leader).map_err(io::Error::other)?;
        let Some(leader) = rustix::process::Pid::from_raw(leader) else { return Ok(()) };
        if let Some(niceness) = self.niceness {
            // Set on the group: on a process it would apply to its first thread only.
            rustix::process::setpriority_pgrp(Some(leader), niceness.into())?;
        }
        self.open_files.map_or(Ok(()), |files| limit_open_files(leader, files))
    }

    /// Fails if any limit other than memory is set: none can be applied on this platform.
    #[cfg(not(unix))]
    pub(super) fn apply(&self, _: u32) -> io::Result<()> {
        let is_limited = self.niceness.is_some() || self.open_files.is_some();
        if is_limited {
            Err(io::Error::new(io::ErrorKind::Unsupported, "niceness and open_files are supported on Unix only"))
        } else {
            Ok(())
        }
    }

    /// Returns whether the process uses more memory than it may.
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
    Err(io::Error::new(io::ErrorKind::Unsupported, "open_files is supported on Linux only"))
}

/// Returns the resident memory of a process in bytes; `None` where the operating system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn resident(pid: u32) -> Option<u64> {
    use procfs::{FromRead as _, process::StatM};

    let pages = StatM::from_file(format!("/proc/{pid}/statm")).ok()?.resident;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resident(_: u32) -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_use_is_compared_with_the_limit() {
        let us = std::process::id();
        let with = |memory| Resources { memory, ..Resources::default() };
        assert!(with(Some(1)).is_exceeded_by(us));
        assert!(!with(Some(u64::MAX)).is_exceeded_by(us) && !with(None).is_exceeded_by(us));
        assert!(!with(Some(1)).is_exceeded_by(u32::MAX), "the memory of an unknown process is unknown");
    }
}

//! Identification of processes across reuse of their ids by the operating system.
//!
//! An [`Identity`] is a value that can be stored and compared later. A [`Handle`] refers to a process: a signal sent
//! through it reaches that process or none. Linux provides file descriptors for this (pidfd). On other Unix systems a
//! handle is only the process id, which leaves a short window in which a signal could reach another process.

#[cfg(target_os = "linux")]
#[path = "identity/linux.rs"]
mod system;

#[cfg(all(unix, not(target_os = "linux")))]
#[path = "identity/unix.rs"]
mod system;

#[cfg(not(unix))]
#[path = "identity/other.rs"]
mod system;

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Identity of a process, distinct from every earlier or later process with the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot. `None` where the operating system does not provide it.
    pub start_ticks: Option<u64>,
    /// Id of the boot to which `start_ticks` is relative.
    pub boot_id: Option<String>,
}

/// Signal to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessSignal {
    /// Shut down gracefully.
    Terminate,
    /// Continue, if stopped.
    Continue,
    /// Terminate immediately.
    Kill,
}

/// Handle to a process, through which only that process can be signalled.
#[derive(Debug)]
pub struct Handle(system::ProcessHandle);

// === impl Identity ===

impl Identity {
    /// Returns the identity of the process with this id; `None` if there is none, or only a zombie.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        system::identity(pid)
    }

    /// Returns the identity of this process.
    #[must_use]
    pub fn own() -> Self {
        let pid = std::process::id();
        Self::of(pid).unwrap_or(Self { pid, start_ticks: None, boot_id: None })
    }

    /// Returns `true` if the process is still running.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Opens a handle to the process; `None` if it has ended, even if its id has been reused.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn open(&self) -> io::Result<Option<Handle>> {
        // Compare only after the handle is open: from then on the id cannot be reused unnoticed.
        Ok(Handle::open(self.pid)?.filter(|_| self.is_alive()))
    }
}

// === impl Handle ===

impl Handle {
    /// Opens a handle to the process that has this id at present; `None` if there is none. The caller has to check
    /// afterwards that it is the intended process.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        Ok(system::open(pid)?.map(Self))
    }

    /// Sends a signal to the process. Succeeds without effect if the process has already ended.
    ///
    /// # Errors
    /// Returns an error when the operating system does not permit it.
    pub fn send(&self, signal: ProcessSignal) -> io::Result<()> {
        self.0.send(signal)
    }

    /// Returns `true` if the process has ended; a zombie counts as ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.wait_for_end(Some(Duration::ZERO))
    }

    /// Waits until the process has ended, at most for `limit` (for ever if `None`), and returns whether it has. Blocks
    /// the thread.
    #[must_use]
    pub fn wait(&self, limit: Option<Duration>) -> bool {
        self.0.wait_for_end(limit)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_terminated_through_its_handle() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        let handle = identity.open().unwrap().unwrap();
        assert!(!handle.has_ended() && !handle.wait(Some(Duration::from_millis(1))));
        handle.send(ProcessSignal::Continue).unwrap();
        handle.send(ProcessSignal::Kill).unwrap();
        assert!(handle.wait(None));
        child.wait().unwrap();
        assert!(handle.has_ended());
        assert!(identity.open().unwrap().is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn fc_08_a_reused_pid_is_not_signalled() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let held = Handle::open(child.id()).unwrap().unwrap();
        held.send(ProcessSignal::Kill).unwrap();
        assert!(held.wait(None));
        child.wait().unwrap();
        // The id may be reused now; the handle must not refer to the new process.
        held.send(ProcessSignal::Kill).unwrap();
        assert!(held.wait(Some(Duration::ZERO)));
        assert!(Handle::open(child.id()).unwrap().is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn fc_08_another_process_with_the_pid_is_never_signalled() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let real = Identity::of(child.id()).unwrap();
        let other_boot = Identity { boot_id: Some("another".to_owned()), ..real };
        let earlier = Identity { start_ticks: real.start_ticks.map(|ticks| ticks - 1), ..real.clone() };
        for stale in [earlier, other_boot] {
            assert!(!stale.is_alive() && stale.open().unwrap().is_none(), "{stale:?}");
        }
        assert!(real.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_missing_process_is_none() {
        for pid in [0, u32::MAX] {
            assert!(Handle::open(pid).unwrap().is_none(), "{pid}");
        }
    }
}

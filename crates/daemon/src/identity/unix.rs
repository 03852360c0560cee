//! Process identity on other Unix systems, where the process id is all there is: a handle holds only the id, and a
//! process that has reused it cannot be told apart.

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Identity, ProcessSignal};

/// Polling interval while waiting for the end of a process.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct ProcessHandle(Pid);

pub(super) fn identity(pid: u32) -> Option<Identity> {
    let held = open(pid).ok()??;
    (!held.has_ended()).then_some(Identity { pid, start_ticks: None, boot_id: None })
}

pub(super) fn open(pid: u32) -> io::Result<Option<ProcessHandle>> {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0).map(Pid::from_raw);
    Ok(pid.map(ProcessHandle).filter(|held| !held.has_ended()))
}

// === impl ProcessHandle ===

impl ProcessHandle {
    pub(super) fn send(&self, signal: ProcessSignal) -> io::Result<()> {
        let signal = match signal {
            ProcessSignal::Terminate => Signal::SIGTERM,
            ProcessSignal::Continue => Signal::SIGCONT,
            ProcessSignal::Kill => Signal::SIGKILL,
        };
        match kill(self.0, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "documented to block; the platform does not report process ends")]
    pub(super) fn wait_for_end(&self, limit: Option<Duration>) -> bool {
        let mut left = limit;
        while !self.has_ended() {
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            left = left.map(|left| left.saturating_sub(POLL_INTERVAL));
            std::thread::sleep(POLL_INTERVAL);
        }
        true
    }

    fn has_ended(&self) -> bool {
        matches!(kill(self.0, None), Err(Errno::ESRCH))
    }
}

//! A process held by a descriptor: unlike a number, it never comes to mean another process.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

/// See above. Whether it is the process that was meant has to be asked after opening it.
#[derive(Debug)]
pub(crate) struct Pidfd(OwnedFd);

// === impl Pidfd ===

impl Pidfd {
    /// The process that has this number now.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self(pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Sends a signal; to a process that is gone it is not sent.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let signal = rustix::process::Signal::from_named_raw(signal as i32).ok_or(io::ErrorKind::InvalidInput)?;
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it has ended, having waited for that. Blocks; without a limit until it has.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> bool {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        loop {
            let mut watched = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut watched, limit.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                // What cannot be watched is not there any more.
                outcome => return outcome.is_err() || outcome == Ok(1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fc_08_a_number_that_is_given_away_is_not_signalled() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let held = Pidfd::open(child.id()).unwrap();
        assert!(!held.wait(Some(Duration::ZERO)));
        held.signal(Signal::SIGKILL).unwrap();
        assert!(held.wait(None));
        child.wait().unwrap();
        // Its number is free now; whoever gets it is not whom we hold.
        held.signal(Signal::SIGKILL).unwrap();
        assert!(held.wait(Some(Duration::ZERO)));
        Pidfd::open(child.id()).unwrap_err();
    }

    #[test]
    fn what_is_no_process_is_refused() {
        for pid in [0, u32::MAX] {
            Pidfd::open(pid).unwrap_err();
        }
    }
}

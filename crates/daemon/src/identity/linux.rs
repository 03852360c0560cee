//! Process identity on Linux: start time from `/proc`, handle by pidfd.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use procfs::{FromRead as _, process::Stat};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Identity, ProcessSignal};

#[derive(Debug)]
pub(super) struct ProcessHandle(OwnedFd);

pub(super) fn identity(pid: u32) -> Option<Identity> {
    let stat = Stat::from_file(format!("/proc/{pid}/stat")).ok()?;
    let is_alive = !matches!(stat.state, 'Z' | 'X');
    let boot_id = procfs::sys::kernel::random::boot_id().ok();
    is_alive.then_some(Identity { pid, start_ticks: Some(stat.starttime), boot_id })
}

pub(super) fn open(pid: u32) -> io::Result<Option<ProcessHandle>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) => Ok(Some(ProcessHandle(descriptor))),
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

// === impl ProcessHandle ===

impl ProcessHandle {
    pub(super) fn send(&self, signal: ProcessSignal) -> io::Result<()> {
        let signal = match signal {
            ProcessSignal::Terminate => Signal::TERM,
            ProcessSignal::Continue => Signal::CONT,
            ProcessSignal::Kill => Signal::KILL,
        };
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn wait_for_end(&self, limit: Option<Duration>) -> bool {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        loop {
            let mut watched = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut watched, limit.as_ref()) {
                Err(Errno::INTR) => {}
                // A process that cannot be polled has ended.
                outcome => return outcome.is_err() || outcome == Ok(1),
            }
        }
    }
}

//! Process identity on Linux: start time from `/proc`, handle by pidfd.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Identity, ProcessSignal};

#[derive(Debug)]
pub(super) struct ProcessHandle(OwnedFd);

pub(super) fn identity(pid: u32) -> Option<Identity> {
    let start_ticks = start_ticks(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    Some(Identity { pid, start_ticks: Some(start_ticks), boot_id: boot_id.map(|id| id.trim_end().to_owned()) })
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

/// Returns the start time of a live process from the text of its `/proc/<pid>/stat`. The process name, in parentheses,
/// may contain any characters.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let ticks = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_parsed_after_a_hostile_process_name() {
        let rest = "S 1 7 7 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 50";
        assert_eq!(start_ticks(&format!("7 (a) b) {rest}")), Some(987_654));
        assert_eq!(start_ticks(&format!("7 (sh) Z{}", &rest[1..])), None);
        assert_eq!(start_ticks(""), None);
    }
}

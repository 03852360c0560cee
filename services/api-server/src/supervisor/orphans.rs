//! Descendants of our children whose parent has ended: they become our children (Linux: we are a subreaper), so that
//! they can be found and reaped whatever they did to hide, also where process 1 reaps nobody.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(target_os = "linux")]
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// The leaders that have not been reaped: their end is somebody else's business.
static LEADERS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// While it lives, orphans are reaped.
#[derive(Debug)]
pub(crate) struct Reaper(tokio::task::JoinHandle<()>);

/// No process is taken for an orphan while this is held.
#[derive(Debug)]
pub(super) struct Leaders(MutexGuard<'static, BTreeSet<i32>>);

/// From now on orphans come to us, and those that end are reaped.
///
/// # Errors
/// When there can be no more signal handlers.
#[cfg(target_os = "linux")]
pub(crate) fn take_in() -> std::io::Result<Reaper> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::child())?;
    Ok(Reaper(tokio::spawn(async move {
        while ended.recv().await.is_some() {
            drop(living());
        }
    })))
}

/// Elsewhere process 1 takes them in.
#[cfg(not(target_os = "linux"))]
pub(crate) fn take_in() -> std::io::Result<Reaper> {
    Ok(Reaper(tokio::spawn(std::future::ready(()))))
}

/// The orphans that are alive. Those that are not are reaped.
#[cfg(target_os = "linux")]
pub(super) fn living() -> Vec<Pid> {
    let leaders = Leaders::hold();
    let (us, our_group) = (nix::unistd::getpid().as_raw(), nix::unistd::getpgrp().as_raw());
    let mut living = Vec::new();
    for pid in super::group::processes() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((state, parent, group)) = super::group::parse(&stat) else { continue };
        // What we have started otherwise stays in our own group.
        if parent != us || group == our_group || leaders.0.contains(&pid) {
            continue;
        }
        if state == 'Z' {
            waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)).ok();
        } else {
            living.push(Pid::from_raw(pid));
        }
    }
    living
}

#[cfg(not(target_os = "linux"))]
pub(super) fn living() -> Vec<Pid> {
    Vec::new()
}

// === impl Leaders ===

impl Leaders {
    pub(super) fn hold() -> Self {
        Self(LEADERS.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn add(&mut self, leader: Pid) {
        self.0.insert(leader.as_raw());
    }

    pub(super) fn remove(&mut self, leader: Pid) {
        self.0.remove(&leader.as_raw());
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

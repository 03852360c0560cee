//! Descendants of our children whose parent has ended. On Linux api-server is a subreaper, so they become its children
//! and can be found and reaped wherever they moved, even where process 1 does not reap.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(target_os = "linux")]
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// Group leaders that have not been reaped; each is reaped by its own `Process`.
static LEADERS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Reaps orphans until it is dropped.
#[derive(Debug)]
pub(crate) struct Reaper(tokio::task::JoinHandle<()>);

/// Guard: while it is held, no process is mistaken for an orphan.
#[derive(Debug)]
pub(super) struct Leaders(MutexGuard<'static, BTreeSet<i32>>);

/// Makes this process the parent of orphans, and reaps those that end.
///
/// # Errors
/// When no further signal handler can be registered.
#[cfg(target_os = "linux")]
pub(crate) fn become_subreaper() -> std::io::Result<Reaper> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::child())?;
    Ok(Reaper(tokio::spawn(async move {
        while ended.recv().await.is_some() {
            drop(living());
        }
    })))
}

/// Does nothing: process 1 takes orphans in on this platform.
#[cfg(not(target_os = "linux"))]
pub(crate) fn become_subreaper() -> std::io::Result<Reaper> {
    Ok(Reaper(tokio::spawn(std::future::ready(()))))
}

/// Returns the living orphans, and reaps the dead ones.
#[cfg(target_os = "linux")]
pub(super) fn living() -> Vec<Pid> {
    let leaders = Leaders::lock();
    let (us, our_group) = (nix::unistd::getpid().as_raw(), nix::unistd::getpgrp().as_raw());
    let mut living = Vec::new();
    for pid in super::group::processes() {
        let Some(stat) = super::group::stat(pid) else { continue };
        // Processes started by other parts of api-server stay in our own group.
        if stat.ppid != us || stat.pgrp == our_group || leaders.0.contains(&pid) {
            continue;
        }
        if stat.state == 'Z' {
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
    pub(super) fn lock() -> Self {
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

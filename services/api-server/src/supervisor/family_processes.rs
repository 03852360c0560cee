//! Processes of a family that was spawned by another supervisor: found by their marker and group, and signalled one by
//! one.
//!
//! A whole group can be signalled safely only while its number cannot be reused, which requires that no other process
//! reaps its leader. Here each process is therefore held by a handle first, then checked again, and only then
//! signalled.

use std::sync::Arc;

use nix::unistd::Pid;
use signalbox_daemon::adoption::FAMILY_ENV;
use signalbox_daemon::identity::{Handle, ProcessSignal};

use super::group;

/// Process family of an adopted child; see the module documentation.
#[derive(Debug)]
pub(super) struct FamilyProcesses {
    leader: Pid,
    process: Arc<Handle>,
    marker: String,
}

/// Returns the environment variable that descendants of the family carry.
pub(super) fn marker(family: &str) -> String {
    format!("{FAMILY_ENV}={family}")
}

/// Sends a request to the processes that still satisfy `such` once a handle to them is held, and calls `log` for each.
/// Returns whether there were any.
pub(super) fn ask(
    processes: impl IntoIterator<Item = Pid>,
    such: impl Fn(Pid) -> bool,
    request: ProcessSignal,
    log: impl Fn(Pid),
) -> bool {
    let mut found = false;
    for pid in processes {
        let Ok(Some(held)) = Handle::open(pid.as_raw().unsigned_abs()) else { continue };
        if such(pid) {
            log(pid);
            if let Err(error) = held.send(request) {
                tracing::warn!(%pid, %error, "cannot signal the process");
            }
            found = true;
        }
    }
    found
}

// === impl FamilyProcesses ===

impl FamilyProcesses {
    pub(super) fn new(leader: Pid, family: &str, process: Arc<Handle>) -> Self {
        Self { leader, process, marker: marker(family) }
    }

    /// Sends a request to every process of the family.
    pub(super) fn ask(&self, request: ProcessSignal) {
        ask(self.living(), |pid| self.has(pid), request, |_| {});
    }

    /// Returns whether no process of the family is left.
    pub(super) fn is_empty(&self) -> bool {
        self.process.has_ended() && !self.living().into_iter().any(|pid| self.has(pid))
    }

    fn living(&self) -> Vec<Pid> {
        let mut living = group::marked(&self.marker);
        living.extend(group::members(self.leader));
        living.sort_unstable_by_key(|pid| pid.as_raw());
        living.dedup();
        living
    }

    /// Returns whether `pid` belongs to the family.
    ///
    /// The kernel does not reuse the number of a group while it has a living member: a member of a group without a
    /// process of that number therefore belongs to the old group.
    fn has(&self, pid: Pid) -> bool {
        let group_is_ours = || !self.process.has_ended() || !group::lives(self.leader);
        group::marked_with(pid, &self.marker) || (group::is_member(pid, self.leader) && group_is_ours())
    }
}

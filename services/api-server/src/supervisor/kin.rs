//! The processes of a family whose parent we are not: found by their mark and their group, and asked one by one.
//!
//! A whole group can be signalled only while its number cannot become a stranger's, which takes a leader whom nobody else
//! reaps. Here everybody is held first, then looked at again, and only then asked.

use std::sync::Arc;

use nix::unistd::Pid;
use signalbox_daemon::adoption::FAMILY;
use signalbox_daemon::identity::{Handle, Request};

use super::group;

/// See above.
#[derive(Debug)]
pub(super) struct Kin {
    leader: Pid,
    process: Arc<Handle>,
    marker: String,
}

/// What descendants of the family have in their environment.
pub(super) fn marker(family: &str) -> String {
    format!("{FAMILY}={family}")
}

/// Asks those of the processes that still are `such` when they are held; `log` hears of each. Whether there were any.
pub(super) fn ask(
    processes: impl IntoIterator<Item = Pid>,
    such: impl Fn(Pid) -> bool,
    request: Request,
    log: impl Fn(Pid),
) -> bool {
    let mut found = false;
    for pid in processes {
        let Ok(Some(held)) = Handle::open(pid.as_raw().unsigned_abs()) else { continue };
        if such(pid) {
            log(pid);
            if let Err(error) = held.ask(request) {
                tracing::warn!(%pid, %error, "cannot signal the process");
            }
            found = true;
        }
    }
    found
}

// === impl Kin ===

impl Kin {
    pub(super) fn new(leader: Pid, family: &str, process: Arc<Handle>) -> Self {
        Self { leader, process, marker: marker(family) }
    }

    /// Asks everybody.
    pub(super) fn ask(&self, request: Request) {
        ask(self.living(), |pid| self.has(pid), request, |_| {});
    }

    /// Whether nobody is left.
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

    /// While one of its members lives, the number of a group is given to nobody: whoever is in it without a process of that
    /// number being there is of the old group.
    fn has(&self, pid: Pid) -> bool {
        let group_is_ours = || !self.process.has_ended() || !group::lives(self.leader);
        group::marked_with(pid, &self.marker) || (group::is_member(pid, self.leader) && group_is_ours())
    }
}

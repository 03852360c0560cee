//! Membership in a process group.
//!
//! `killpg(group, 0)` cannot answer that: it succeeds for zombies too, and `waitpid` reports nothing about processes
//! that are not our children. On Linux, `/proc` is read. Elsewhere an error of `killpg` has to do, which is exact once
//! the leader has been reaped.

use nix::unistd::Pid;
#[cfg(target_os = "linux")]
use procfs::{FromRead as _, process::Stat};

/// Returns whether the group has no living process left; zombies do not count.
#[cfg(target_os = "linux")]
pub(super) fn is_empty(group: Pid) -> bool {
    members(group).is_empty()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_empty(group: Pid) -> bool {
    nix::sys::signal::killpg(group, None).is_err()
}

/// Returns the living processes of the group.
#[cfg(target_os = "linux")]
pub(super) fn members(group: Pid) -> Vec<Pid> {
    processes().map(Pid::from_raw).filter(|pid| is_member(*pid, group)).collect()
}

/// Returns the leader if it is alive: without `/proc` it is the only known member.
#[cfg(not(target_os = "linux"))]
pub(super) fn members(group: Pid) -> Vec<Pid> {
    if lives(group) { vec![group] } else { Vec::new() }
}

/// Returns whether `pid` is a living member of the group.
#[cfg(target_os = "linux")]
pub(super) fn is_member(pid: Pid, group: Pid) -> bool {
    stat(pid.as_raw()).is_some_and(|stat| is_alive(&stat) && stat.pgrp == group.as_raw())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_member(pid: Pid, group: Pid) -> bool {
    nix::unistd::getpgid(Some(pid)) == Ok(group)
}

/// Returns whether a process with this number exists and is not a zombie.
#[cfg(target_os = "linux")]
pub(super) fn lives(pid: Pid) -> bool {
    stat(pid.as_raw()).is_some_and(|stat| is_alive(&stat))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn lives(pid: Pid) -> bool {
    nix::sys::signal::kill(pid, None).is_ok()
}

/// Returns the living processes that have `marker` (`NAME=value`) in their initial environment, including descendants
/// that left the group. Best effort, and only on Linux.
#[cfg(target_os = "linux")]
pub(super) fn marked(marker: &str) -> Vec<Pid> {
    processes().map(Pid::from_raw).filter(|pid| marked_with(*pid, marker)).collect()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn marked(_marker: &str) -> Vec<Pid> {
    Vec::new()
}

/// Returns whether a living process carries the marker. The environment of a zombie or of another user's process cannot
/// be read.
pub(super) fn marked_with(pid: Pid, marker: &str) -> bool {
    environment(pid).split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes())
}

/// Returns whether a living process carries any marker of this name.
pub(super) fn is_marked(pid: Pid, name: &str) -> bool {
    let marker = |variable: &[u8]| variable.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
    environment(pid).split(|byte| *byte == 0).any(marker)
}

fn environment(pid: Pid) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

#[cfg(target_os = "linux")]
pub(super) fn processes() -> impl Iterator<Item = i32> {
    std::fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Reads `/proc/<pid>/stat`. One file is read; `procfs::process::Process` would open the directory first.
#[cfg(target_os = "linux")]
pub(super) fn stat(pid: i32) -> Option<Stat> {
    Stat::from_file(format!("/proc/{pid}/stat")).ok()
}

/// Returns whether a process is neither a zombie nor dead.
#[cfg(target_os = "linux")]
fn is_alive(stat: &Stat) -> bool {
    !matches!(stat.state, 'Z' | 'X')
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn processes_are_found_whatever_their_name_is() {
        use std::os::unix::ffi::OsStrExt as _;

        let dir = tempfile::tempdir().unwrap();
        for name in [&b"a) S 1 7 (b"[..], b"\xff\xfe"] {
            let program = dir.path().join(std::ffi::OsStr::from_bytes(name));
            std::fs::copy("/bin/sleep", &program).unwrap();
            let mut child = tokio::process::Command::new(&program).arg("60").process_group(0).spawn().unwrap();
            let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
            assert!(lives(pid) && is_member(pid, pid) && members(pid) == [pid], "{}", name.escape_ascii());
            child.start_kill().unwrap();
            while lives(pid) {
                tokio::task::yield_now().await;
            }
            assert!(is_empty(pid), "a zombie does not count");
            child.wait().await.unwrap();
        }
    }

    #[test]
    fn the_own_process_group_is_not_empty() {
        assert!(!is_empty(nix::unistd::getpgrp()));
    }
}

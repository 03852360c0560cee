//! Membership in a process group.
//!
//! `killpg(group, 0)` cannot answer that: it succeeds for zombies too, and `waitpid` reports nothing about processes
//! that are not our children. On Linux, `/proc` is read. Elsewhere an error of `killpg` has to do, which is exact once
//! the leader has been reaped.

use nix::unistd::Pid;

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
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    lives_in(&stat) == Some(group.as_raw())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_member(pid: Pid, group: Pid) -> bool {
    nix::unistd::getpgid(Some(pid)) == Ok(group)
}

/// Returns whether a process with this number exists and is not a zombie.
#[cfg(target_os = "linux")]
pub(super) fn lives(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    lives_in(&stat).is_some()
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

/// Returns the group of a process unless it is a zombie or dead.
#[cfg(target_os = "linux")]
fn lives_in(stat: &str) -> Option<i32> {
    let (state, _, group) = parse(stat)?;
    (!matches!(state, 'Z' | 'X')).then_some(group)
}

/// Parses state, parent and group from the text of `/proc/<pid>/stat`: `pid (name) state ppid pgrp …`, where the name
/// may contain any characters, including parentheses and spaces.
#[cfg(target_os = "linux")]
pub(super) fn parse(stat: &str) -> Option<(char, i32, i32)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_group_is_parsed_after_any_process_name() {
        assert_eq!(lives_in("42 (a) S 1 7) (x) S 1 99 42 0"), Some(99));
        assert_eq!(lives_in("42 (sh) Z 1 99 42 0"), None);
        assert_eq!(lives_in(""), None);
    }

    #[test]
    fn the_own_process_group_is_not_empty() {
        assert!(!is_empty(nix::unistd::getpgrp()));
    }
}

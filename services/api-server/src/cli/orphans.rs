//! Services that outlived their api-server and provably belong to this data directory.

use std::path::Path;

use signalbox_daemon::identity::Identity;

/// An orphaned service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Orphan {
    pub(super) identity: Identity,
    pub(super) name: String,
}

/// Returns the supervised services of this data directory that run as this user. Only valid while no api-server is
/// running. Empty on platforms other than Linux, where they cannot be recognised.
pub(super) fn of(data_dir: &Path) -> Vec<Orphan> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| orphan(pid, data_dir)).collect()
}

/// Returns the orphan with this process id, if it is one. The identity is taken first, and verified again before the
/// process is signalled.
fn orphan(pid: u32, data_dir: &Path) -> Option<Orphan> {
    let identity = Identity::of(pid)?;
    // The environment of other users' processes cannot be read; for root, `same_user` decides below.
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned();
    (is_supervised(&environment) && serves(&command_line, data_dir) && same_user(pid))
        .then_some(Orphan { identity, name })
}

fn is_supervised(environment: &[u8]) -> bool {
    environment.split(|byte| *byte == 0).any(|variable| variable == b"SIGNALBOX_SUPERVISED=1")
}

/// Returns whether a command line contains `--data-dir` with this directory.
fn serves(command_line: &[u8], data_dir: &Path) -> bool {
    let arguments: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    let ours = data_dir.as_os_str().as_encoded_bytes();
    arguments.windows(2).any(|pair| pair == [b"--data-dir", ours])
}

/// Returns whether a process runs as the same user as this one.
#[cfg(unix)]
pub(super) fn same_user(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == nix::unistd::geteuid().as_raw())
}

#[cfg(not(unix))]
pub(super) fn same_user(_pid: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orphan_has_the_marker_and_the_data_directory() {
        assert!(is_supervised(b"A=1\0SIGNALBOX_SUPERVISED=1\0"));
        assert!(!is_supervised(b"NOT_SIGNALBOX_SUPERVISED=1\0SIGNALBOX_SUPERVISED=0\0"));
        let line = b"/bin/qwen-proxy\0--port\x003000\0--data-dir\0/data\0";
        assert!(serves(line, Path::new("/data")));
        assert!(!serves(line, Path::new("/data2")) && !serves(line, Path::new("/dat")));
        assert!(!serves(b"/data\0", Path::new("/data")) && !serves(b"", Path::new("")));
    }

    #[test]
    fn this_process_is_no_orphan() {
        assert_eq!(orphan(std::process::id(), Path::new("/data")), None);
    }
}

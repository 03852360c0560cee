//! Who is alive on this machine (Linux).

use std::{fs, path::Path};

use crate::home::Home;

/// The processes that were started in `home` and are alive, whoever is their parent now: their command line or their
/// environment names it. Zombies are not alive.
#[must_use]
pub fn of(home: &Home) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let me = std::process::id();
    pids.filter(|pid| *pid != me && names(*pid, home.path()) && is_alive(*pid)).collect()
}

/// Whether there is such a process and it is no zombie.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    // The name of a process, in brackets, may contain anything; the state follows the last bracket.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

fn names(pid: u32, home: &Path) -> bool {
    let home = home.as_os_str().as_encoded_bytes();
    ["cmdline", "environ"].iter().any(|file| {
        let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.windows(home.len()).any(|window| window == home)
    })
}

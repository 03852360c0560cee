//! Live processes of this machine (Linux).

use std::{fs, path::Path};

use crate::home::Home;

/// Returns the live processes that were started in `home`, whatever their parent is now: those whose command line or
/// environment names it. Zombies do not count as alive.
#[must_use]
pub fn of(home: &Home) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let me = std::process::id();
    pids.filter(|pid| *pid != me && names(*pid, home.path()) && is_alive(*pid)).collect()
}

/// Returns whether the process exists and is not a zombie.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    // The process name, in brackets, may contain anything; the state follows the last bracket.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Returns the number of zombies among the children of this process.
#[must_use]
pub fn zombies_of(parent: u32) -> usize {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let stats = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let zombie = |stat: &String| {
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        fields.next() == Some("Z") && fields.next().and_then(|ppid| ppid.parse().ok()) == Some(parent)
    };
    stats.filter(zombie).count()
}

fn names(pid: u32, home: &Path) -> bool {
    let home = home.as_os_str().as_encoded_bytes();
    ["cmdline", "environ"].iter().any(|file| {
        let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.windows(home.len()).any(|window| window == home)
    })
}

//! Which process is meant by a number: the operating system gives the numbers of the dead to strangers.

use std::io;

use serde::{Deserialize, Serialize};

/// A process, told apart from every other one that had or will have its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine was. `None` where the operating system does not say.
    pub start_ticks: Option<u64>,
    /// The run of the machine that these ticks belong to.
    pub boot_id: Option<String>,
}

/// What a process is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Leave, having finished what you do.
    Leave,
    /// Die.
    Die,
}

/// A process that can be signalled without ever meeting a stranger.
#[derive(Debug)]
pub struct Handle {
    identity: Identity,
    #[cfg(target_os = "linux")]
    descriptor: rustix::fd::OwnedFd,
}

// === impl Identity ===

impl Identity {
    /// Who has this number now; `None` when nobody has, or only a zombie.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        if cfg!(target_os = "linux") {
            let start_ticks = start_ticks(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
            let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
            Some(Self { pid, start_ticks: Some(start_ticks), boot_id: boot_id.map(|id| id.trim_end().to_owned()) })
        } else {
            exists(pid).then_some(Self { pid, start_ticks: None, boot_id: None })
        }
    }

    /// This process.
    #[must_use]
    pub fn own() -> Self {
        let pid = std::process::id();
        Self::of(pid).unwrap_or(Self { pid, start_ticks: None, boot_id: None })
    }

    /// Whether it is still there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// A handle to it; `None` when it is gone, whoever has its number now.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(&self) -> io::Result<Option<Handle>> {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Pid, PidfdFlags, pidfd_open};

            let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
            let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
                Ok(descriptor) => descriptor,
                Err(rustix::io::Errno::SRCH) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            // Only now: from here on the descriptor means the process that was compared.
            Ok(self.is_alive().then(|| Handle { identity: self.clone(), descriptor }))
        }
        #[cfg(not(target_os = "linux"))]
        Ok(self.is_alive().then(|| Handle { identity: self.clone() }))
    }
}

// === impl Handle ===

impl Handle {
    /// Asks the process. That it is gone already is no error.
    ///
    /// # Errors
    /// When the operating system does not allow it.
    pub fn ask(&self, request: Request) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Signal, pidfd_send_signal};

            let signal = match request {
                Request::Leave => Signal::TERM,
                Request::Die => Signal::KILL,
            };
            match pidfd_send_signal(&self.descriptor, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        #[cfg(not(target_os = "linux"))]
        {
            use nix::sys::signal::{Signal, kill};

            let signal = match request {
                Request::Leave => Signal::SIGTERM,
                Request::Die => Signal::SIGKILL,
            };
            match kill(nix::unistd::Pid::from_raw(i32::try_from(self.identity.pid).map_err(io::Error::other)?), signal)
            {
                Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
    }

    /// Whether it has ended; a zombie has.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !self.identity.is_alive()
    }
}

#[cfg(target_os = "linux")]
const fn exists(_: u32) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).map(nix::unistd::Pid::from_raw);
    pid.is_ok_and(|pid| !matches!(nix::sys::signal::kill(pid, None), Err(nix::errno::Errno::ESRCH)))
}

/// When a living process was started, from its `/proc/<pid>/stat`. Its name, in parentheses, may hold anything.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let ticks = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(ticks)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_start_is_read_behind_a_hostile_name() {
        let rest = "S 1 7 7 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 50";
        assert_eq!(start_ticks(&format!("7 (a) b) {rest}")), Some(987_654));
        assert_eq!(start_ticks(&format!("7 (sh) Z{}", &rest[1..])), None);
        assert_eq!(start_ticks(""), None);
    }

    #[test]
    fn a_process_ends_through_its_handle() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        let handle = identity.open().unwrap().unwrap();
        assert!(!handle.has_ended());
        handle.ask(Request::Die).unwrap();
        child.wait().unwrap();
        assert!(handle.has_ended());
        handle.ask(Request::Leave).unwrap();
        assert!(identity.open().unwrap().is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_stranger_with_the_number_is_never_reached() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let real = Identity::of(child.id()).unwrap();
        let other_boot = Identity { boot_id: Some("another".to_owned()), ..real };
        let earlier = Identity { start_ticks: real.start_ticks.map(|ticks| ticks - 1), ..real.clone() };
        for stale in [earlier, other_boot] {
            assert!(!stale.is_alive() && stale.open().unwrap().is_none(), "{stale:?}");
        }
        assert!(real.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

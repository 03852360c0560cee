//! Which process is meant by a number: the operating system gives the numbers of the dead to strangers.
//!
//! An [`Identity`] is what can be written down and compared later. A [`Handle`] holds a process: whom it is asked to signal
//! is whom it was opened for, or nobody. Linux has descriptors for that; other systems compare again before each signal,
//! which leaves a moment in which they could be wrong.

#[cfg(target_os = "linux")]
#[path = "identity/linux.rs"]
mod system;

#[cfg(all(unix, not(target_os = "linux")))]
#[path = "identity/unix.rs"]
mod system;

#[cfg(not(unix))]
#[path = "identity/other.rs"]
mod system;

use std::io;
use std::time::Duration;

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
    /// Go on, if you were stopped.
    Wake,
    /// Die.
    Die,
}

/// A process that can be signalled without ever meeting a stranger.
#[derive(Debug)]
pub struct Handle(system::Held);

// === impl Identity ===

impl Identity {
    /// Who has this number now; `None` when nobody has, or only a zombie.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        system::identity(pid)
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
        // Compared only when it is held: from here on the handle means the process that was compared.
        Ok(Handle::open(self.pid)?.filter(|_| self.is_alive()))
    }
}

// === impl Handle ===

impl Handle {
    /// Whoever has this number now; `None` when nobody has. Whether it is the process that was meant has to be asked
    /// after this.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        Ok(system::hold(pid)?.map(Self))
    }

    /// Asks the process. That it is gone already is no error.
    ///
    /// # Errors
    /// When the operating system does not allow it.
    pub fn ask(&self, request: Request) -> io::Result<()> {
        self.0.ask(request)
    }

    /// Whether it has ended; a zombie has.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.ends_within(Some(Duration::ZERO))
    }

    /// Whether it has ended, having waited for that: at most `limit`, or until it has. Blocks the thread.
    #[must_use]
    pub fn wait(&self, limit: Option<Duration>) -> bool {
        self.0.ends_within(limit)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_ends_through_its_handle() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        let handle = identity.open().unwrap().unwrap();
        assert!(!handle.has_ended() && !handle.wait(Some(Duration::from_millis(1))));
        handle.ask(Request::Wake).unwrap();
        handle.ask(Request::Die).unwrap();
        assert!(handle.wait(None));
        child.wait().unwrap();
        assert!(handle.has_ended());
        assert!(identity.open().unwrap().is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn fc_08_a_number_that_is_given_away_is_not_signalled() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let held = Handle::open(child.id()).unwrap().unwrap();
        held.ask(Request::Die).unwrap();
        assert!(held.wait(None));
        child.wait().unwrap();
        // Its number is free now; whoever gets it is not whom we hold.
        held.ask(Request::Die).unwrap();
        assert!(held.wait(Some(Duration::ZERO)));
        assert!(Handle::open(child.id()).unwrap().is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn fc_08_a_stranger_with_the_number_is_never_reached() {
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

    #[test]
    fn what_is_no_process_is_nobody() {
        for pid in [0, u32::MAX] {
            assert!(Handle::open(pid).unwrap().is_none(), "{pid}");
        }
    }
}

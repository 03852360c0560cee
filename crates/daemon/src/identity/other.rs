//! Where there are no signals, and a process can be held by unsafe code only: nobody is recognised, so that nobody is hit. Windows
//! ends the services with the job of api-server; api-server itself is asked to leave over HTTP.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use super::{Identity, Request};

/// Cannot be made.
#[derive(Debug)]
pub(super) struct Held(Infallible);

/// A record is as good as the lock that its owner holds.
pub(super) const fn identity(pid: u32) -> Option<Identity> {
    Some(Identity { pid, start_ticks: None, boot_id: None })
}

pub(super) fn hold(_: u32) -> io::Result<Option<Held>> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "other processes cannot be ended on this system: use its task manager",
    ))
}

// === impl Held ===

impl Held {
    pub(super) fn ask(&self, _: Request) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn ends_within(&self, _: Option<Duration>) -> bool {
        match self.0 {}
    }
}

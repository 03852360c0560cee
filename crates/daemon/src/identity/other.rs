//! Where there are no signals: nobody is recognised, so that nobody is hit. Windows ends the services with the job of
//! api-server instead; its server manager says that it cannot end processes there.

use std::io;
use std::time::Duration;

use super::{Identity, Request};

/// Cannot be made.
#[derive(Debug)]
pub(super) enum Held {}

pub(super) const fn identity(pid: u32) -> Option<Identity> {
    Some(Identity { pid, start_ticks: None, boot_id: None })
}

pub(super) const fn hold(_: u32) -> io::Result<Option<Held>> {
    Ok(None)
}

// === impl Held ===

impl Held {
    pub(super) fn ask(&self, _: Request) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn ends_within(&self, _: Option<Duration>) -> bool {
        match *self {}
    }
}

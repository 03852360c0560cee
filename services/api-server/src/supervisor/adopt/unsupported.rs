//! Placeholder for platforms where children end with their supervisor, so that none can be adopted.

use std::convert::Infallible;
use std::io;

use super::port::Port;
use super::run::Run;
use super::{Limits, Spec};

/// An adopted process; cannot exist on this platform.
#[derive(Debug)]
pub struct AdoptedChild(Infallible);

// === impl AdoptedChild ===

impl AdoptedChild {
    pub(super) fn into_run(self, _: &'static str, _: &Spec, _: &Limits) -> io::Result<(Run, Port)> {
        match self.0 {}
    }
}

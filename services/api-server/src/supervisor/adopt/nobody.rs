//! Where children end with their supervisor, nobody is left to be adopted.

use std::convert::Infallible;
use std::io;

use super::port::Port;
use super::run::Run;
use super::{Limits, Spec};

/// Cannot be.
#[derive(Debug)]
pub struct Foundling(Infallible);

// === impl Foundling ===

impl Foundling {
    pub(super) fn into_run(self, _: &'static str, _: &Spec, _: &Limits) -> io::Result<(Run, Port)> {
        match self.0 {}
    }
}

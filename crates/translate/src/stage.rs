//! Stages between a decoder and the emitter of a surface. Each takes one event and appends those that follow from it.

mod guard;
mod restore;
mod stops;

pub(crate) use guard::Guard;
pub(crate) use restore::Restore;
pub(crate) use stops::Stops;

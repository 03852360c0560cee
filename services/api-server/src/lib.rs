//! The control room.

pub mod supervisor;

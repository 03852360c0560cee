//! The fakes keep their promises: everything else in the tests rests on them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod control;
mod faults;
mod order;
mod qwen;
mod shapes;

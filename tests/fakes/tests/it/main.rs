//! Tests of the fakes themselves, on which all other tests rely.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod control;
mod faults;
mod order;
mod qwen;
mod shapes;

//! Tests of the fakes themselves, on which all other tests rely.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod control;
mod faults;
mod grammars;
mod messages;
mod order;
mod qwen;
mod responses;
mod shapes;

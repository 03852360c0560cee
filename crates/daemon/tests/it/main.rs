//! Tests of the crate from outside: they start, call, signal and stop a minimal program built on it
//! (`examples/hello.rs`).

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in its helper functions")]

mod configuration;
mod lifeline;
mod process;
mod program;
mod serving;

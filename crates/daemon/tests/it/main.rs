//! The crate from outside: a small program on it (`examples/hello.rs`), started, asked, signalled and buried.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers, too")]

mod configuration;
mod lifeline;
mod process;
mod program;
mod serving;

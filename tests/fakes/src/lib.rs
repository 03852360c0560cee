//! Scriptable stand-ins for the services that tests cannot reach.
//!
//! [`FakeProvider`] is an OpenAI-compatible provider that does what it is told: answer well, answer badly, break off,
//! stall, or wait for the test at every step. [`FakeQwen`] is the same for chat.qwen.ai. The binaries `fake-provider` and
//! `fake-qwen` are the same things for a shell and for load tests.
//!
//! # Layout
//! - [`provider`]: the handle a test holds. [`script`]: what to do, as data; [`script::names`]: scripts that are model names.
//! - [`qwen`]: chat.qwen.ai, its chats and its troubles.
//! - `server`: accepting, what all fakes have in common. `wire`: bytes in and out of one connection. `http`: reading a request from it.
//! - `coding`: compressed bodies.
//! - `chat`: what a chat answer consists of. `play`: performing one turn of a script on a wire.
//! - [`calls`]: everything that was asked, and how it ended. [`gate`]: releasing a stream step by step.
//! - [`closed`]: an address that refuses connections.
//!
//! # Theory
//! A fake that has to break the protocol cannot stand on a library that keeps it: answers are written to the socket
//! byte by byte as the script says, without an HTTP server library. That also makes the path without faults cheap, so
//! the same fake can be the upstream of a benchmark.
//!
//! # Invariants
//! - Order is told without clocks: everything that happens gets the next number of one counter, and a gated answer sends
//!   its next event only when the test releases it.
//! - Memory is bounded: a request has a size limit, only the newest calls are kept, and an endless answer is made while it is sent.

pub mod calls;
mod chat;
pub mod closed;
mod coding;
pub mod gate;
mod http;
mod play;
pub mod provider;
pub mod qwen;
pub mod script;
mod server;
mod wire;

pub use calls::{Call, End};
pub use closed::ClosedPort;
pub use gate::Gate;
pub use provider::FakeProvider;
pub use qwen::FakeQwen;
pub use script::{Script, Turn};

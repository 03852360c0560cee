//! Scriptable stand-ins for the external services that tests cannot use.
//!
//! [`FakeProvider`] is a provider that speaks Chat Completions, Anthropic's Messages and OpenAI's Responses, and
//! follows a script: it can answer correctly or incorrectly, break off, stall, or wait for the test at every step.
//! [`FakeQwen`] does the same for chat.qwen.ai. The binaries `fake-provider` and `fake-qwen` provide both for shells
//! and load tests.
//!
//! # Layout
//! - [`provider`]: the handle used by tests. [`script`]: behaviour as data; [`script::names`]: scripts selected by
//!   model names.
//! - [`qwen`]: chat.qwen.ai with its chats and its faults.
//! - `server`: accepting connections, and code common to all fakes. `wire`: the bytes of one connection. `http`:
//!   parsing requests.
//! - `coding`: compressed bodies.
//! - `plan`: the answer to one request, before it takes the form of a grammar.
//! - `chat`, `messages`, `responses`: the checks of requests and the JSON of answers. `surface`: what they have in
//!   common. `sse`: streams of typed events.
//! - `play`: writing one turn of a script to a connection.
//! - [`calls`]: the log of requests and of how they ended. [`gate`]: releasing a stream step by step.
//! - [`closed`]: an address that refuses connections.
//!
//! # Theory
//! A fake that has to violate the protocol cannot use an HTTP server library that enforces it: answers are written to
//! the socket byte by byte as scripted. This also keeps the path without faults cheap, so that the same fake can be the
//! upstream of a benchmark.
//!
//! # Invariants
//! - Order is recorded without clocks: every event takes the next number of one counter, and a gated answer sends its
//!   next event only after the test has released it.
//! - Memory is bounded: requests have a size limit, only the newest calls are kept, and endless answers are generated
//!   while they are sent.

pub mod calls;
mod chat;
pub mod closed;
mod coding;
pub mod gate;
mod http;
mod messages;
mod plan;
mod play;
pub mod provider;
pub mod qwen;
mod responses;
pub mod script;
mod server;
mod sse;
mod surface;
mod wire;

pub use calls::{Call, End};
pub use closed::ClosedPort;
pub use gate::Gate;
pub use provider::FakeProvider;
pub use qwen::FakeQwen;
pub use script::{Script, Turn};

//! Starts the three real binaries, and a PostgreSQL, for tests.
//!
//! # Layout
//! - [`Stack`]: api-server with its two children, as a user starts it. [`Router`], [`QwenProxy`]: one service alone.
//! - [`CommandLine`]: the server manager, as a user types it. - [`Launch`]: what can be set when a service is started. [`Home`]: its directory, which may outlive it.
//! - [`Process`]: one running binary; signals, exit, output. [`processes`]: who else is alive.
//! - [`mod@binary`]: where the binaries are. - [`http`]: a client that shows everything, broken answers too. [`postgres`]: a PostgreSQL of its own.
//! - [`eventually`], [`steadily`], [`within`]: waiting without guessing how long.
//!
//! # Invariants
//! - Everything is on a free port and in a temporary directory: tests run side by side.
//! - Nothing outlives its test: a handle that is dropped ends its processes, and their children, whatever happened.
//! - A failing test prints the output of its services.
//!
//! Failing to do what a test asked for fails the test: the harness panics, with the reason.
#![expect(clippy::expect_used, clippy::panic, reason = "a harness fails its test by panicking")]

mod binary;
mod command_line;
mod home;
pub mod http;
mod launch;
pub mod postgres;
mod process;
pub mod processes;
mod qwen_proxy;
mod router;
mod stack;
mod waiting;

pub use binary::binary;
pub use command_line::{CommandLine, Typed};
pub use home::Home;
pub use http::{Answer, Client, Events};
pub use launch::Launch;
pub use process::Process;
pub use qwen_proxy::QwenProxy;
pub use router::Router;
pub use stack::{Stack, StackBuilder};
pub use waiting::{eventually, steadily, within};

//! Starts the three real binaries, and a PostgreSQL server, for tests.
//!
//! # Layout
//! - [`Stack`]: api-server with its two child processes, as users start it. [`Router`], [`QwenProxy`]: a single
//!   service.
//! - [`CommandLine`]: the server manager's commands.
//! - [`Launch`]: settings for starting a service. [`Home`]: its directory, which may outlive it.
//! - [`Process`]: one running binary with its signals, exit status and output. [`processes`]: other live processes.
//! - [`mod@binary`]: paths of the binaries. - [`http`]: a client that exposes everything, including broken answers.
//!   [`postgres`]: a PostgreSQL server.
//! - [`ports`]: ports that are known in advance. - [`eventually`], [`steadily`], [`within`]: waiting with a deadline.
//!
//! # Invariants
//! - Every service uses a free port and a temporary directory, so tests can run in parallel.
//! - Nothing outlives its test: dropping a handle ends its processes and their children in all cases.
//! - A failing test prints the output of its services.
//!
//! If an operation that a test requested fails, the harness panics with the reason, which fails the test.
#![expect(clippy::expect_used, clippy::panic, reason = "a harness fails its test by panicking")]

mod binary;
mod command_line;
mod home;
pub mod http;
mod launch;
pub mod ports;
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

//! What each of the three binaries does around its work: one code path, standalone and supervised.
//!
//! # Layout
//! - [`run`](fn@run): the frame of a `main`: configuration, telemetry, runtime, listener, signals, lifeline, the service, the exit code.
//!   [`run_command`]: the smaller frame of a command that does one thing and ends.
//! - [`args`], [`config`]: flags, environment, file and compiled-in defaults, laid over each other.
//! - [`listener`]: the socket, passed by the supervisor or bound here.
//! - [`serve`](fn@serve): the accept loop: limits, timeouts, one panic costs one request, drain with a deadline.
//! - [`shutdown`], `supervision`, `lifeline`: who may ask the process to leave, and how it leaves.
//! - [`doors`]: the names and the pages that may come in.
//! - [`admin`]: asked to leave over HTTP. [`adoption`]: another supervisor takes over from one that was killed. [`identity`]: which process a number means.
//! - `descriptors`: as many as the system allows. [`auth`]: client keys; `guesses`: wrong ones are counted. [`hops`]: requests that go in a circle. [`forwarded`]: requests that provider-router passes on to api-server; [`instance`]: where that one is. `sealing_key`: for secrets in the database; `control_token`: for the control API; both in a `secret_file`. [`terminal`]: asking a person. [`telemetry`]: logs. [`exit`]: exit codes. `status`: the first line on stdout. `stdout`: the output of a command.
//!
//! # Theory
//! A process ends in two moments. When it begins to *drain*, it accepts nothing new and finishes what runs. At the *cut*, streams
//! that still run end themselves with an error event, so that no client takes half an answer for a whole one. A second later the
//! connections that are left are dropped. Signals, the supervisor and the service itself all pull the same [`Shutdown`].
//!
//! # Invariants
//! - Signal handlers are installed before the first status line: whoever has read it may send a signal.
//! - stdout carries the status line and nothing else, logs go to stderr, and a reader that went away never ends the process.
//! - A supervised process outlives its supervisor by the time to be adopted and to drain, and no longer, even when its runtime is
//!   dead-locked.
//! - Nothing listens beyond loopback without a client key unless that was asked for in so many words.

pub mod admin;
#[cfg(unix)]
pub mod adoption;
#[cfg(not(unix))]
#[path = "adoption/nobody.rs"]
pub mod adoption;
mod allocator;
pub mod args;
pub mod auth;
mod body;
pub mod config;
mod context;
mod control_token;
mod descriptors;
pub mod doors;
pub mod exit;
mod exposition;
pub mod forwarded;
mod guesses;
pub mod hops;
pub mod identity;
pub mod instance;
mod internal_request;
mod lifeline;
pub mod listener;
mod run;
mod sealing_key;
mod secret_file;
mod serve;
pub mod shutdown;
mod status;
mod stdout;
mod supervision;
pub mod telemetry;
pub mod terminal;
mod user;
pub mod variables;

pub use allocator::{ALLOCATOR, Allocator};
pub use args::{CommonArgs, parse_args, parse_args_from};
pub use auth::{ClientKeys, Denied};
pub use body::{BodyError, collect};
pub use config::Common;
pub use context::Context;
pub use control_token::{CONTROL_TOKEN_FILE, MIN_TOKEN, control_token};
pub use doors::Doors;
pub use exit::Exit;
pub use exposition::exposition;
pub use internal_request::{INTERNAL_REQUEST, RequestSigner, trusted_request};
pub use listener::Listener;
pub use run::{run, run_command};
pub use sealing_key::{SEALING_KEY_FILE, sealing_key};
pub use serve::{CLIENTS_WAIT, PeerAddr, RequestBody, serve};
pub use shutdown::Shutdown;
pub use stdout::Stdout;
pub use telemetry::LogHandle;
pub use user::user_name;
pub use variables::variable;

/// What a binary tells the daemon about itself.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The name of the program, also of its configuration file: `provider-router`.
    pub name: &'static str,
    /// The port when nobody names one.
    pub default_port: u16,
    /// Commented TOML of the service's own sections: their documentation and their defaults.
    pub defaults: &'static str,
    /// The version, for the status line.
    pub version: &'static str,
    /// Environment variables with this prefix win over those without: with `API_`, `API_PORT` wins over `PORT`.
    pub env_prefix: Option<&'static str>,
}

//! The process framework shared by the three binaries: configuration, telemetry, listener, drain and exit codes,
//! standalone and supervised.
//!
//! # Layout
//! - [`run`](fn@run): the body of a `main`: configuration, telemetry, runtime, listener, signals, lifeline, the
//!   service, the exit code. [`run_command`]: the same for a one-shot command, which does not listen.
//! - [`args`], [`config`]: flags, environment, file and compiled-in defaults, merged in that order of precedence.
//! - [`listener`]: the listening sockets, passed by the supervisor or bound here.
//! - [`serve`](fn@serve): the accept loop: limits, timeouts, isolation of a panic to its request, drain with a
//!   deadline.
//! - [`shutdown`], `supervision`, `lifeline`: the sources of a shutdown request, and the shutdown itself.
//! - [`clock`]: wall-clock time. `environment`: the environment variables, with those sent by the supervisor.
//!   `holder`: the process that holds an address.
//! - [`entry`]: the checks that a request passes before a handler sees it. [`host_origin_guard`]: the check of its
//!   `Host` and `Origin` headers.
//! - [`addresses`]: addresses that a supervisor publishes for its children. [`admin`]: shutdown over HTTP.
//!   [`adoption`]: takeover of the children of a killed supervisor. [`identity`]: detection of reused process ids.
//! - [`auth`]: client keys; `new_key`: their creation; `address_throttle`: the rate limit for wrong ones. [`caller`]: the
//!   key of a request. `sealing_key`: the key for secrets in the database; `control_token`: the token of the control
//!   API; both are stored as a `secret_file`.
//! - [`body`]: request bodies, with bounds on size and time. [`context`]: the parts of a request that all steps need;
//!   [`request`]: its spans and access line. `peer`: the address of the client.
//! - [`hops`]: detection of request loops. `internal_request`: the mark of requests from the router. [`forwarded`]:
//!   requests that provider-router passes on to api-server; [`instance`]: the address of the running api-server.
//! - [`telemetry`]: logs; `traces`: the export of spans; `trace_parent`: the trace that a client began. [`log_file`]:
//!   the file they are redirected to. `exposition`: metrics as text.
//! - [`terminal`]: prompts for the user. `descriptors`: raises the limit of open files. [`exit`]: exit codes. `status`:
//!   the first line on stdout. `stdout`: the output of a command.
//!
//! # Theory
//! A shutdown has two stages. When the *drain* begins, the process accepts no new connections and finishes the requests
//! in flight. At the *cut*, streams that are still running end themselves with an error event, so that no client takes
//! a partial response for a complete one. One second later the remaining connections are dropped. Signals, the
//! supervisor and the service itself all trigger the same [`Shutdown`].
//!
//! # Invariants
//! - Signal handlers are installed before the first status line, because a reader of that line may send a signal at
//!   once.
//! - stdout carries the status line and nothing else, logs go to stderr, and a closed pipe on either never ends the
//!   process.
//! - A supervised process outlives its supervisor by the time for an adoption and the drain, and no longer, even when
//!   its runtime is deadlocked.
//! - Without a client key, nothing listens beyond loopback unless `--insecure-no-auth` (or its setting) allows it
//!   explicitly.

mod address_throttle;
pub mod addresses;
pub mod admin;
#[cfg(unix)]
pub mod adoption;
#[cfg(not(unix))]
#[path = "adoption/unsupported.rs"]
pub mod adoption;
mod allocator;
pub mod args;
pub mod auth;
mod body;
mod caller;
pub mod clock;
pub mod config;
mod context;
mod control_token;
mod descriptors;
pub mod entry;
mod environment;
pub mod exit;
mod exposition;
pub mod forwarded;
mod holder;
pub mod hops;
pub mod host_origin_guard;
pub mod identity;
pub mod instance;
mod internal_request;
mod lifeline;
pub mod listener;
pub mod log_file;
mod new_key;
mod peer;
mod proxies;
mod request;
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
mod tls;
mod token_requirement;
mod trace_parent;
mod traces;
#[cfg(unix)]
mod unix_socket;
mod user;
pub mod variables;
mod wall_clock;

pub use address_throttle::AddressThrottle;
pub use allocator::{ALLOCATOR, Allocator};
pub use args::{CommonArgs, parse_args, parse_args_from};
pub use auth::{ClientKeys, Denied, IssuedKeys};
pub use body::{BodyError, collect};
pub use caller::{Caller, CallerKind, model_is_allowed};
pub use config::Common;
pub use context::Context;
pub use control_token::{CONTROL_TOKEN_FILE, MIN_TOKEN, control_token};
pub use entry::{Entry, EntryLayer, EntryPolicy, Refusal};
pub use exit::Exit;
pub use exposition::exposition;
pub use host_origin_guard::{HostOriginGuard, is_own_origin};
pub use internal_request::{
    INTERNAL_REQUEST, KeptTexts, RequestSigner, ServiceSigner, TrustedRequest, trusted_request,
};
pub use listener::Listener;
pub use new_key::{NewKey, key_digest};
pub use peer::PeerAddr;
pub use proxies::TrustedProxies;
pub use request::{ACCESS_TARGET, AttemptEnd, Details, REQUEST_ID, RequestContext, fail_lifecycle, lifecycle_span};
pub use run::{run, run_command};
pub use sealing_key::{SEALING_KEY_FILE, sealing_key, service_sealing_key};
pub use serve::{CLIENTS_WAITING, RequestBody, serve};
pub use shutdown::Shutdown;
pub use stdout::Stdout;
pub use telemetry::LogHandle;
pub use tls::Tls;
pub use token_requirement::TokenRequirement;
pub use user::user_name;
pub use variables::variable;
pub use wall_clock::WallClock;

/// Description of a binary, passed to [`run`](fn@run) and [`run_command`].
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Name of the program and stem of its configuration file: `provider-router`.
    pub name: &'static str,
    /// Port to listen on when none is configured.
    pub default_port: u16,
    /// Commented TOML of the service's own sections: their documentation and their defaults.
    pub defaults: &'static str,
    /// Version of the program, for the status line.
    pub version: &'static str,
    /// Prefix of environment variables that take precedence over those without it: with `API_`, `API_PORT` overrides
    /// `PORT`.
    pub env_prefix: Option<&'static str>,
    /// Whether the service accepts keys that are not in its configuration. It then checks itself that an address which
    /// other machines can reach is guarded by a key.
    pub issues_keys: bool,
}

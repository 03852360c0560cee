//! qwen-proxy: the web API of chat.qwen.ai as an OpenAI API.
//!
//! # Map
//! - [`api`]: the routes. [`answer_stream`]: one request in progress; [`relay`]: its response as a stream.
//! - [`conversation`]: the chat at the site that a request continues. [`credentials`]: the login to use; [`login`]: the
//!   commands that obtain one.
//! - [`qwen`]: the client of the site: calls, wire format, failures. [`model_cache`]: the models it offers.
//! - [`convert`], [`tools`]: conversion between the two APIs; pure functions.
//! - [`record`], [`error_log`]: the logs, restricted by [`log_policy`] and, over HTTP, by [`log_access`]. [`metrics`], [`config`], [`app`]: as in the
//!   other services.
//!
//! # Invariants
//! - The service starts without a login and reports that on every inference route, so that nothing else has to wait for
//!   one.
//! - The database is never required for an answer: without it the last known login is used and histories are replayed.
//! - A challenge of the site's firewall is reported to the user. The service never tries to pass it.
//! - No part of a login appears in a response, an error or a log.

pub mod answer_stream;
pub mod api;
pub mod app;
pub mod config;
pub mod conversation;
pub mod convert;
pub mod credentials;
pub mod error_log;
pub mod log_access;
pub mod log_policy;
pub mod login;
pub mod metrics;
pub mod model_cache;
pub mod qwen;
pub mod record;
pub mod relay;
mod run;
mod server;
pub mod tools;

use signalbox_daemon::clock;

pub use config::{Config, DEFAULTS};
pub use run::run;

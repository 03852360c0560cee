//! qwen-proxy: the web API of chat.qwen.ai as an OpenAI API.
//!
//! # Map
//! - [`api`]: the routes. [`exchange`]: one request that is being answered; [`relay`]: its answer as a stream.
//! - [`conversation`]: which chat at the site a request continues. [`credentials`]: with which login; [`login`]:
//!   how it is obtained.
//! - [`qwen`]: the site: its calls, its wire format, its failures.
//! - [`convert`], [`tools`]: between the two languages; pure.
//! - [`record`], [`error_log`]: what is written down, as far as [`keeping`] lets it be. [`metrics`], [`config`], [`app`]: as in the other services.
//!
//! # Invariants
//! - It starts without a login and says so on every inference route, so that nothing else has to wait for one.
//! - The database is never in the way: without it the last login known is used and histories are told anew.
//! - A challenge of the site's firewall is told to the user. Nothing here tries to pass it.
//! - No part of a login leaves in an answer, an error or a log.

pub mod api;
pub mod app;
mod clock;
pub mod config;
pub mod conversation;
pub mod convert;
pub mod credentials;
pub mod error_log;
pub mod exchange;
pub mod keeping;
pub mod login;
pub mod metrics;
pub mod qwen;
pub mod record;
pub mod relay;
mod run;
mod server;
pub mod tools;

pub use config::{Config, DEFAULTS};
pub use run::run;

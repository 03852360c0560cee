//! provider-router: one OpenAI-compatible endpoint in front of many providers.
//!
//! # The life of a request
//! [`server`] checks the client's key and sends the hot route to [`api::chat_completions`], which reads the body and opens
//! its [`envelope`]. [`route`] finds the candidates in the [`catalog`]'s newest snapshot; the [`journal`] writes down that
//! the request has begun; [`dispatch`] asks one [`provider`] after the other until one answers well. A stream then passes
//! through [`relay`]. The books of the request, from arrival to end, are its [`exchange`].
//!
//! [`cli`] is the other half of the program: who answers is said there, and how it went is read.
//!
//! # Invariants
//! - No request waits for the database.
//! - Every request that reaches a provider has begun in the journal before, and ends in it exactly once, before its last
//!   byte is released.
//! - After the first byte has gone to the client no other provider is asked, and a stream that breaks off says so.

pub mod api;
pub mod app;
pub mod body;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod envelope;
pub mod exchange;
pub mod journal;
pub mod management;
pub mod metrics;
pub mod model_list;
mod model_lists;
mod private_keys;
mod probe;
pub mod provider;
pub mod relay;
pub mod route;
mod run;
pub mod server;

pub use run::run;
pub use signalbox_daemon::hops;

//! provider-router: the Chat Completions, Messages and Responses APIs in front of many providers.
//!
//! # Life of a request
//! [`server`] passes a request through the [`entry`] and requests for an answer to [`api::inference`], which reads the
//! body and parses its [`envelope`]. [`route`] determines the candidates from the newest snapshot of the [`catalog`].
//! The [`journal`] records that the request has begun. [`dispatch`] calls one [`provider`] after another until one
//! succeeds. A stream then passes through [`relay`], and one that can be resumed through [`streams`]. The [`exchange`]
//! tracks the request from arrival to end.
//!
//! [`cli`] contains the commands that configure providers and models, and that show the request log. [`doctor`] examines
//! an installation.
//!
//! # Invariants
//! - No request waits for the database, except one that names an earlier answer of Responses which the request log has,
//!   and a hit of the cache that such requests may name.
//! - Every request that reaches a provider has a begin record in the journal before, and gets exactly one end record,
//!   before its last byte is released.
//! - After the first byte has been sent to the client, no other provider is tried, and a stream that breaks off ends
//!   with an error.

pub mod account_state;
pub mod admission;
pub mod alerts;
pub mod api;
pub mod app;
pub mod body;
pub mod body_memory;
pub mod cache;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod direct;
pub mod dispatch;
pub mod doctor;
pub mod entry;
pub mod envelope;
pub mod exchange;
mod fault;
pub mod guard;
pub mod health;
pub mod journal;
pub mod ledger;
pub mod live;
pub mod management;
pub mod metrics;
pub mod model_list;
mod model_lists;
pub mod owners;
pub mod prices;
mod private_keys;
mod probe;
pub mod provider;
pub mod qwen_proxy;
pub mod random;
pub mod reasoning;
pub mod relay;
pub mod response_ids;
pub mod retry_budget;
pub mod route;
mod run;
pub mod server;
mod session;
pub mod stored_responses;
mod stream_length;
pub mod streams;
mod sweep;
mod token_estimate;

use signalbox_daemon::clock;

pub use run::run;
pub use signalbox_daemon::hops;

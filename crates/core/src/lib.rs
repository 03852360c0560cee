//! Shared data types and pure functions over them.
//!
//! # Layout
//! - [`Api`]: the APIs of clients and providers.
//! - [`openai`]: the wire types of the OpenAI API, and folding a stream of chunks into one answer.
//! - [`schema`]: one row type per database table.
//! - [`typed`]: the answers of Messages and Responses. [`token_classes`]: token counts by what a token costs.
//! - [`sse`]: incremental, zero-copy framing of event streams.
//! - [`conversation`]: recognises the conversation of a request. [`body_search`]: searches for a text in a
//!   conversation. [`prompt_cache`]: compares the prompts of two turns. [`affix`]: finds the common parts of two
//!   bodies.
//! - [`provider_type`]: the provider types. [`provider_config`], [`text`]: validation of stored provider data.
//! - [`route_document`], [`key_document`], [`rate_limits`], [`guard_document`]: validation of routes, of client keys,
//!   and of their limits and guardrails; `fields` reads their fields. [`overrides`]: validation of what a client asks
//!   of the routing of a request. [`network`]: addresses with a common prefix.
//! - [`excerpt`]: the beginning of a long body. [`json`]: reads single values and skips the rest. [`id`], [`secret`]:
//!   identifiers, and values that cannot be printed.
//! - [`masking`]: masks credentials in the texts of providers.
//!
//! # Invariants
//! Nothing in this crate performs I/O, reads a clock or spawns a task: it deliberately does not depend on tokio, hyper
//! or sqlx.

pub mod affix;
mod api;
pub mod body_search;
pub mod conversation;
pub mod excerpt;
mod fields;
pub mod guard_document;
pub mod id;
pub mod json;
pub mod key_document;
pub mod masking;
mod mistake;
pub mod network;
pub mod openai;
pub mod overrides;
pub mod prompt_cache;
pub mod provider_config;
pub mod provider_type;
pub mod rate_limits;
pub mod route_document;
pub mod schema;
pub mod secret;
pub mod sse;
pub mod text;
pub mod token_classes;
pub mod typed;

pub use api::Api;

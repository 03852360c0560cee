//! The shapes everybody agrees on, and pure functions over them.
//!
//! # Layout
//! - [`openai`]: the wire types of the OpenAI API, and folding a stream of chunks into one answer.
//! - [`schema`]: one row type per database table.
//! - [`sse`]: incremental event-stream framing, zero copy.
//! - [`conversation`]: which conversation a request continues. [`said`]: looking for a text in one. [`alike`]: what two share.
//! - [`provider_type`]: the kinds of provider there are. [`provider_config`], [`text`]: rules for what may be stored of one.
//! - [`excerpt`]: the beginning of a long body. [`json`]: reading a few values and passing over the rest. [`id`], [`secret`]: identifiers, and values that cannot be printed.
//!
//! # Invariants
//! Nothing in this crate performs I/O, reads a clock or spawns a task: tokio, hyper and sqlx are absent on purpose.

pub mod alike;
pub mod conversation;
pub mod excerpt;
pub mod id;
pub mod json;
pub mod masking;
pub mod openai;
pub mod provider_config;
pub mod provider_type;
pub mod said;
pub mod schema;
pub mod secret;
pub mod sse;
pub mod text;

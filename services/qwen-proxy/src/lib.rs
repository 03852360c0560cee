//! qwen-proxy: the web API of chat.qwen.ai as an OpenAI API.
//!
//! It starts without credentials and says so on every inference route, so that nothing else has to wait for a login.
//! Conversations with chat.qwen.ai are not part of this version.

pub mod api;
mod run;

pub use run::run;
use serde::Deserialize;

/// The defaults, which are also the documentation.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// The service's own configuration: nothing yet, so every key is refused.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

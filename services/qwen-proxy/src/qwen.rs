//! The client of chat.qwen.ai: requests, responses and failures.
//!
//! - [`client`]: the calls; [`login`]: the authentication headers.
//! - [`wire`]: the request bodies. [`events`], [`event_reader`], [`event`]: the events of an answer. [`failure`]: the
//!   failures.

pub mod client;
pub mod event;
pub mod event_reader;
pub mod events;
pub mod failure;
pub mod login;
pub mod wire;

pub use client::{Access, Qwen};
pub use events::Events;
pub use failure::Failure;
pub use login::{Login, Source};

//! chat.qwen.ai: what is asked there, and what it says.
//!
//! - [`client`]: the calls; [`login`]: the headers that say who asks.
//! - [`wire`]: what is sent. [`events`], [`event_reader`], [`event`]: what an answer is made of. [`failure`]: what comes instead of one.

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

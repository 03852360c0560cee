//! Conversion between OpenAI's API and chat.qwen.ai: requests to prompts, events to chunks.
//!
//! - [`parsed_request`]: a validated request.
//! - [`invalid`]: the errors of a request.
//! - [`prompt`]: the part of it that the upstream needs: everything, only what is new, or the replayed history.
//! - [`answer`]: the upstream's events as OpenAI chunks, or as one completion.
//! - [`text_completion`]: the older `/v1/completions`, expressed in terms of the above.
//!
//! These modules perform no I/O and read no clock.

pub mod answer;
pub mod invalid;
pub mod message;
pub mod parsed_request;
pub mod prompt;
pub mod text_completion;

pub use self::{
    answer::{AnswerBuilder, Completion},
    invalid::Invalid,
    message::Message,
    parsed_request::ParsedRequest,
    prompt::Prompt,
};

//! OpenAI on one side, chat.qwen.ai on the other: what is asked becomes prompts, what is answered becomes chunks.
//!
//! - [`ask`]: a request, checked.
//! - [`prompt`]: what of it the upstream has to be told: everything, only what is new, or the lost past again.
//! - [`answer`]: the upstream's events as OpenAI chunks, or as one completion.
//! - [`text_completion`]: the older `/v1/completions`, in terms of the above.
//!
//! Nothing here performs I/O or reads a clock.

pub mod answer;
pub mod ask;
pub mod message;
pub mod prompt;
pub mod text_completion;

pub use self::{
    answer::{Answer, Completion},
    ask::{Ask, Invalid},
    message::Message,
    prompt::Prompt,
};

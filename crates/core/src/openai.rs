//! Wire types of the OpenAI API.
//!
//! Bodies pass through the router as bytes. These types exist for the places that *create* an answer (the echo
//! provider, errors, the model list) or *inspect* one (usage, finish reason, the text for the log). Unknown fields are
//! ignored when reading, and absent optional fields are omitted when writing, as OpenAI itself does.

mod answer;
mod chat;
mod chunk;
mod end;
mod error;
mod event;
mod long_event;
mod models;
mod number;
mod provider_error;
mod usage;

pub use answer::{FoldedAnswer, fold_completion, fold_stream};
pub use chat::{AssistantMessage, ChatRequest, Choice, Completion, Content, Message, Part};
pub use chunk::{Chunk, ChunkChoice, Delta, FunctionDelta, ToolCallDelta};
pub use end::{EndScanner, Ending, Failed, Quotation, Scan};
pub use error::{ErrorBody, ErrorObject};
pub use event::{
    Arguments, ChoiceView, ChunkView, DeltaView, FunctionView, Other, StreamEvent, ToolCallView, is_failure,
    joined_events, read_event,
};
pub use models::{Model, ModelList};
pub use provider_error::{ProviderError, provider_error};
pub use usage::Usage;

/// The last event of every complete OpenAI stream.
pub const DONE_EVENT: &str = "data: [DONE]\n\n";

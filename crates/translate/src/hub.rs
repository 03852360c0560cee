//! The types between the three APIs: every reader produces them, every writer takes them.

mod answer;
mod carry;
mod event;
mod failure;
mod finish;
mod fold;
mod json;
mod message;
mod request;
mod tool;
mod usage;

pub use answer::Answer;
pub use carry::{Carried, CarriedCall, Found, conversation_hash, restore_reasoning};
pub use event::{Delta, Event, Opening, Start};
pub use failure::{ErrorClass, Failure};
pub use finish::{Finish, FinishReason};
pub use fold::Fold;
pub use json::Json;
pub use message::{
    Block, Cache, Image, Media, Message, Reasoning, Role, Source, Text, Thinking, ToolCall, ToolResult, Ttl,
};
pub use request::{Effort, Format, ReasoningRequest, Request, ThinkingMode};
pub use tool::{CallKind, CustomTool, FunctionTool, Tool, ToolChoice};
pub use usage::Usage;

//! The answers of Messages and Responses, whose events name their type.
//!
//! [`TypedReader`] reads a stream event by event while it is relayed, [`fold_stream`] and [`fold_answer`] make one
//! answer of it for the log.

mod fields;
mod fold;
mod kind;
mod quoted;
mod reader;
mod usual;

pub use fold::{ResponseItems, SeenItem, fold_answer, fold_stream, kind_of_piece, with_announced};
pub use kind::{api_of_event, whole_answer};
pub use quoted::mask_errors;
pub use reader::{Started, TypedEvent, TypedReader};

use serde_json::Value;

use crate::openai::{Usage, provider_error};

/// Returns the token counts of an object of Messages or Responses.
fn usage_of(usage: &Value) -> Option<Usage> {
    usage.is_object().then(|| Usage::read(usage.to_string().as_bytes())).flatten()
}

/// Returns the token counts of an answer of Messages or Responses. Responses counts its web searches beside them.
fn usage_in(answer: &Value) -> Option<Usage> {
    let usage = usage_of(&answer["usage"])?;
    let searches = answer["tool_usage"]["web_search"]["num_requests"].as_i64();
    let searches = searches.map_or(usage.web_searches, |searches| searches.clamp(0, Usage::MAX_COUNT));
    Some(Usage { web_searches: searches, ..usage })
}

/// Returns the error in an event or a body that reports one. If it has no known form, its JSON is the message.
fn error_of(json: &Value) -> crate::openai::ProviderError {
    let text = json.to_string();
    provider_error(text.as_bytes())
        .unwrap_or_else(|| crate::openai::ProviderError { message: text, ..crate::openai::ProviderError::default() })
}

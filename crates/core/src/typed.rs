//! The answers of Messages and Responses, whose events name their type.
//!
//! [`TypedReader`] reads a stream event by event while it is relayed, [`fold_stream`] and [`fold_answer`] make one
//! answer of it for the log.

mod fold;
mod reader;

pub use fold::{ResponseItems, SeenItem, fold_answer, fold_stream, kind_of_piece, with_announced};
pub use reader::{Started, TypedEvent, TypedReader, whole_answer};

use serde_json::Value;

use crate::openai::{Usage, provider_error};

/// Returns the token counts of an object of Messages or Responses.
///
/// `input_tokens` of Messages leaves out the tokens that were read from or written to a cache; they are added here, so
/// that the prompt has all of its tokens.
fn usage_of(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage.get(name).and_then(Value::as_i64);
    let (input, output) = (count("input_tokens"), count("output_tokens"));
    input.or(output)?;
    let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"].into_iter().filter_map(count);
    let prompt_tokens = cached.fold(input.unwrap_or_default(), i64::saturating_add);
    let completion_tokens = output.unwrap_or_default();
    let total_tokens = count("total_tokens").unwrap_or_else(|| prompt_tokens.saturating_add(completion_tokens));
    Some(Usage { prompt_tokens, completion_tokens, total_tokens })
}

/// Returns the error in an event or a body that reports one, in a form of its own if it cannot be read.
fn error_of(json: &Value) -> crate::openai::ProviderError {
    let text = json.to_string();
    provider_error(text.as_bytes())
        .unwrap_or_else(|| crate::openai::ProviderError { message: text, ..crate::openai::ProviderError::default() })
}

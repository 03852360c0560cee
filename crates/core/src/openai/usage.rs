//! Token counts.

use serde::{Deserialize, Serialize};

use super::number::whole_number;
use crate::json::Reader;

/// Token counts as reported by the provider; never estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, including cached ones.
    #[serde(default)]
    pub prompt_tokens: i64,
    /// Tokens of the answer, including reasoning.
    #[serde(default)]
    pub completion_tokens: i64,
    /// The total as reported, or the sum of the other two counts.
    #[serde(default)]
    pub total_tokens: i64,
}

impl Usage {
    /// Reads an object of token counts, written as integers, floats or strings. A missing count is zero; returns `None`
    /// if all are missing.
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        let (mut prompt, mut completion, mut total) = (None, None, None);
        Reader::lenient(json).fields(|name, value| {
            let count = match &*name {
                "prompt_tokens" | "input_tokens" => &mut prompt,
                "completion_tokens" | "output_tokens" => &mut completion,
                "total_tokens" => &mut total,
                _ => return value.skip(),
            };
            *count = whole_number(value.raw()?).or(*count);
            Some(())
        })?;
        prompt.or(completion).or(total)?;
        let (prompt_tokens, completion_tokens) = (prompt.unwrap_or_default(), completion.unwrap_or_default());
        let total_tokens = total.unwrap_or_else(|| prompt_tokens.saturating_add(completion_tokens));
        Some(Self { prompt_tokens, completion_tokens, total_tokens })
    }
}

//! Token counts.

use serde::{Deserialize, Serialize};

use super::event::whole_number;
use crate::json::Reader;

/// Token counts as the provider reported them; never estimated here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    #[serde(default)]
    pub prompt_tokens: i64,
    /// Tokens of the answer, reasoning included.
    #[serde(default)]
    pub completion_tokens: i64,
    /// The sum, as reported; of the two others where it is not.
    #[serde(default)]
    pub total_tokens: i64,
}

impl Usage {
    /// Reads an object of counts: whole numbers, floats or texts. A count that is missing is zero; `None` if all are.
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        let (mut prompt, mut completion, mut total) = (None, None, None);
        Reader::new(json).fields(|name, value| {
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

//! Token counts by what a token costs.

use serde::{Deserialize, Serialize};

/// Parts of the tokens of a prompt and its answer. No token is in two of them; the rest of the prompt is uncached text,
/// the rest of the answer is text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenClasses {
    /// Prompt tokens that were read from a cache.
    pub cache_read: i64,
    /// Prompt tokens that were written to a cache with the short lifetime, or with one that is not reported.
    pub cache_write_short: i64,
    /// Prompt tokens that were written to a cache with the long lifetime.
    pub cache_write_long: i64,
    /// Audio tokens of the prompt.
    pub input_audio: i64,
    /// Image tokens of the prompt, where the provider reports them.
    pub input_image: i64,
    /// Reasoning tokens of the answer.
    pub reasoning: i64,
    /// Audio tokens of the answer.
    pub output_audio: i64,
    /// Image tokens of the answer.
    pub output_image: i64,
    /// Whether the provider's counts contradicted each other, so that some were changed.
    pub is_adjusted: bool,
}

// === impl TokenClasses ===

impl TokenClasses {
    /// Returns whether all tokens are in the rest.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the number of prompt tokens that were read from or written to a cache.
    #[must_use]
    pub const fn cached(&self) -> i64 {
        self.cache_read.saturating_add(self.cache_write_short).saturating_add(self.cache_write_long)
    }

    /// Returns the rest of a prompt with this number of tokens.
    #[must_use]
    pub const fn uncached_input(&self, prompt: i64) -> i64 {
        prompt - self.cached() - self.input_audio - self.input_image
    }

    /// Returns the rest of an answer with this number of tokens.
    #[must_use]
    pub const fn other_output(&self, completion: i64) -> i64 {
        completion - self.reasoning - self.output_audio - self.output_image
    }

    /// Cuts the parts that exceed the tokens of the prompt or the answer, and marks the counts if one was cut.
    pub fn fit(&mut self, prompt: i64, completion: i64) {
        let mut rest = prompt.max(0);
        for part in [
            &mut self.cache_read,
            &mut self.cache_write_short,
            &mut self.cache_write_long,
            &mut self.input_audio,
            &mut self.input_image,
        ] {
            self.is_adjusted |= cut(part, &mut rest);
        }
        rest = completion.max(0);
        for part in [&mut self.reasoning, &mut self.output_audio, &mut self.output_image] {
            self.is_adjusted |= cut(part, &mut rest);
        }
    }
}

/// Takes `part` out of `rest`; returns whether the part was larger.
fn cut(part: &mut i64, rest: &mut i64) -> bool {
    let all = *part;
    *part = all.min(*rest);
    *rest -= *part;
    *part != all
}

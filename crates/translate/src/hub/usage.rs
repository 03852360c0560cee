//! Token counts in classes that do not overlap.

use signalbox_core::openai as counts;

use crate::field::{Fields, Raw};
use crate::out::Object;

/// Token counts of one answer. Every token is in exactly one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to a cache.
    pub input: u64,
    /// Prompt tokens that were read from a cache.
    pub cache_read: u64,
    /// Prompt tokens that were written to a cache with the short lifetime, or with one that is not reported.
    pub cache_write_short: u64,
    /// Prompt tokens that were written to a cache with the long lifetime.
    pub cache_write_long: u64,
    /// Audio tokens of the prompt.
    pub input_audio: u64,
    /// Image tokens of the prompt, where the provider reports them.
    pub input_image: u64,
    /// Output tokens that are none of the following.
    pub output: u64,
    /// Reasoning tokens.
    pub reasoning: u64,
    /// Audio tokens of the answer.
    pub output_audio: u64,
    /// Image tokens of the answer.
    pub output_image: u64,
    /// Number of web searches.
    pub web_searches: u64,
    /// Whether the provider's counts contradicted each other, so that a class was set to zero.
    pub is_odd: bool,
}

// === impl Usage ===

impl Usage {
    /// Returns the number of prompt tokens.
    #[must_use]
    pub const fn prompt(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write())
            .saturating_add(self.input_audio)
            .saturating_add(self.input_image)
    }

    /// Returns the number of output tokens.
    #[must_use]
    pub const fn completion(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.output_audio).saturating_add(self.output_image)
    }

    /// Returns the number of tokens that were written to a cache.
    #[must_use]
    pub const fn cache_write(&self) -> u64 {
        self.cache_write_short.saturating_add(self.cache_write_long)
    }

    /// Subtracts classes from their total, which some providers report inconsistently.
    fn rest(&mut self, total: u64, classes: &[u64]) -> u64 {
        let sum = classes.iter().fold(0_u64, |sum, class| sum.saturating_add(*class));
        self.is_odd |= sum > total;
        total.saturating_sub(sum)
    }

    /// Reads an object of token counts of any API, as the request log reads it. Returns `None` if it has none.
    pub(crate) fn read(json: Raw<'_>) -> Option<Self> {
        counts::Usage::read(json.as_str().as_bytes()).map(|usage| Self::of(&usage))
    }

    fn of(usage: &counts::Usage) -> Self {
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        let classes = &usage.classes;
        Self {
            input: count(classes.uncached_input(usage.prompt_tokens)),
            cache_read: count(classes.cache_read),
            cache_write_short: count(classes.cache_write_short),
            cache_write_long: count(classes.cache_write_long),
            input_audio: count(classes.input_audio),
            input_image: count(classes.input_image),
            output: count(classes.other_output(usage.completion_tokens)),
            reasoning: count(classes.reasoning),
            output_audio: count(classes.output_audio),
            output_image: count(classes.output_image),
            web_searches: count(usage.web_searches),
            is_odd: classes.is_adjusted,
        }
    }

    /// Reads the usage of Messages, where the input side and the output side may come in different events: a count that
    /// is absent keeps its value.
    pub(crate) fn update_of_messages(&mut self, usage: &Fields<'_>) {
        let keep = |class: &mut u64, count: Option<u64>| *class = count.unwrap_or(*class);
        keep(&mut self.input, usage.count("input_tokens"));
        keep(&mut self.cache_read, usage.count("cache_read_input_tokens"));
        let written = usage.count("cache_creation_input_tokens");
        let by_ttl = usage.object("cache_creation");
        let long = by_ttl.as_ref().and_then(|by_ttl| by_ttl.count("ephemeral_1h_input_tokens"));
        let short = by_ttl.as_ref().and_then(|by_ttl| by_ttl.count("ephemeral_5m_input_tokens"));
        match (short, long, written) {
            (None, None, None) => {}
            (short, long, written) => {
                self.cache_write_long = long.unwrap_or_default();
                let total = written.unwrap_or_else(|| short.unwrap_or_default().saturating_add(self.cache_write_long));
                self.cache_write_short = self.rest(total, &[self.cache_write_long]);
            }
        }
        if let Some(searches) = usage.object("server_tool_use").and_then(|tools| tools.count("web_search_requests")) {
            self.web_searches = searches;
        }
        let thinking = usage.object("output_tokens_details").and_then(|details| details.count("thinking_tokens"));
        if usage.get("output_tokens").is_some() || thinking.is_some() {
            let output = usage.count("output_tokens").unwrap_or_else(|| self.completion());
            self.reasoning = thinking.unwrap_or(self.reasoning);
            self.output = self.rest(output, &[self.reasoning]);
        }
    }

    /// Writes the usage of Chat Completions.
    pub(crate) fn write_chat(&self, usage: &mut Object<'_>) {
        usage.num("prompt_tokens", self.prompt());
        usage.num("completion_tokens", self.completion());
        usage.num("total_tokens", self.prompt().saturating_add(self.completion()));
        usage.object("prompt_tokens_details", |details| {
            details.num("cached_tokens", self.cache_read);
            details.num("cache_write_tokens", self.cache_write());
            write_positive(details, "audio_tokens", self.input_audio);
            write_positive(details, "image_tokens", self.input_image);
        });
        usage.object("completion_tokens_details", |details| {
            details.num("reasoning_tokens", self.reasoning);
            write_positive(details, "audio_tokens", self.output_audio);
            write_positive(details, "image_tokens", self.output_image);
        });
    }

    /// Writes the usage of Responses.
    pub(crate) fn write_responses(&self, usage: &mut Object<'_>) {
        usage.num("input_tokens", self.prompt());
        usage.object("input_tokens_details", |details| {
            details.num("cached_tokens", self.cache_read);
            details.num("cache_write_tokens", self.cache_write());
            if self.cache_write_long > 0 {
                details.object("cache_write_tokens_details", |by_ttl| {
                    by_ttl.num("ttl_30m_tokens", self.cache_write_short);
                    by_ttl.num("ttl_12h_tokens", self.cache_write_long);
                });
            }
        });
        usage.num("output_tokens", self.completion());
        usage.object("output_tokens_details", |details| details.num("reasoning_tokens", self.reasoning));
        usage.num("total_tokens", self.prompt().saturating_add(self.completion()));
    }

    /// Writes the usage of Messages. Audio and image tokens of the prompt count as uncached input.
    pub(crate) fn write_messages(&self, usage: &mut Object<'_>) {
        let uncached = self.input.saturating_add(self.input_audio).saturating_add(self.input_image);
        usage.num("input_tokens", uncached);
        usage.num("cache_creation_input_tokens", self.cache_write());
        usage.num("cache_read_input_tokens", self.cache_read);
        if self.cache_write() > 0 {
            usage.object("cache_creation", |by_ttl| {
                by_ttl.num("ephemeral_5m_input_tokens", self.cache_write_short);
                by_ttl.num("ephemeral_1h_input_tokens", self.cache_write_long);
            });
        }
        usage.num("output_tokens", self.completion());
        if self.reasoning > 0 {
            usage.object("output_tokens_details", |details| details.num("thinking_tokens", self.reasoning));
        }
        if self.web_searches > 0 {
            usage.object("server_tool_use", |tools| tools.num("web_search_requests", self.web_searches));
        }
    }
}

fn write_positive(details: &mut Object<'_>, name: &str, count: u64) {
    if count > 0 {
        details.num(name, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_every_provider_are_those_of_the_log() {
        for json in [
            // OpenAI, then Gemini (thoughts only in the total), xAI, DeepSeek, Moonshot.
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":60},
                "completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":4}}"#,
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":190}"#,
            r#"{"prompt_tokens":9,"completion_tokens":5,"total_tokens":34,"completion_tokens_details":{"reasoning_tokens":20}}"#,
            r#"{"prompt_tokens":9,"completion_tokens":5,"prompt_cache_hit_tokens":7,"prompt_cache_miss_tokens":2}"#,
            r#"{"prompt_tokens":9,"completion_tokens":5,"cached_tokens":7}"#,
            // LiteLLM reports the names of Messages beside those of chat.
            r#"{"prompt_tokens":90,"completion_tokens":5,"cache_read_input_tokens":70,"cache_creation_input_tokens":10}"#,
            // Counts of other types, and counts that contradict each other.
            r#"{"prompt_tokens":"9","completion_tokens":5.0}"#,
            r#"{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":11}}"#,
            r#"{"input_tokens":9,"output_tokens":5,"total_tokens":14,"input_tokens_details":{"cached_tokens":4,
                "cache_write_tokens":3,"cache_write_tokens_details":{"ttl_12h_tokens":1}}}"#,
        ] {
            let logged = counts::Usage::read(json.as_bytes()).unwrap();
            let read = Usage::read(Raw::document(json)).unwrap();
            assert_eq!(i64::try_from(read.prompt()).unwrap(), logged.prompt_tokens, "{json}");
            assert_eq!(i64::try_from(read.completion()).unwrap(), logged.completion_tokens, "{json}");
            assert_eq!(i64::try_from(read.cache_read).unwrap(), logged.classes.cache_read, "{json}");
            assert_eq!(i64::try_from(read.reasoning).unwrap(), logged.classes.reasoning, "{json}");
            assert_eq!(read.is_odd, logged.classes.is_adjusted, "{json}");
        }
        assert_eq!(Usage::read(Raw::document("{}")), None);
    }
}

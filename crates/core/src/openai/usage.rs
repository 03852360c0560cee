//! Token counts.

use serde::{Deserialize, Serialize};

use super::number::{picos, whole_number};
use crate::json::Reader;
use crate::token_classes::TokenClasses;

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
    /// The parts of both counts that cost something else than the rest.
    #[serde(default, skip_serializing_if = "TokenClasses::is_empty")]
    pub classes: TokenClasses,
    /// The cost that the provider reports, in pico-dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_picos: Option<u64>,
    /// Web searches of the provider, which are charged beside the tokens.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub web_searches: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde defines the signature")]
const fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// The counts of an object, as far as they are known.
#[derive(Default)]
struct Counts {
    prompt: Option<i64>,
    completion: Option<i64>,
    total: Option<i64>,
    /// The prompt of Messages: without the tokens that were read from or written to a cache.
    uncached: Option<i64>,
    cache_read: Option<i64>,
    /// Tokens read from a cache, reported beside the details.
    cache_read_beside: Option<i64>,
    cache_written: Option<i64>,
    classes: TokenClasses,
    cost_picos: Option<u64>,
    web_searches: i64,
}

/// Object within which a count is reported.
#[derive(Clone, Copy)]
enum Details {
    Prompt,
    Completion,
    CacheWrite,
    ServerTools,
}

// === impl Usage ===

impl Usage {
    /// Maximum of a count. A larger one is a mistake of the provider, and sums of such counts would overflow.
    pub const MAX_COUNT: i64 = 1 << 40;

    /// Creates the counts of an answer whose tokens are all of the same class.
    #[must_use]
    pub fn new(prompt_tokens: i64, completion_tokens: i64) -> Self {
        let total_tokens = prompt_tokens.saturating_add(completion_tokens);
        Self { prompt_tokens, completion_tokens, total_tokens, ..Self::default() }
    }

    /// Reads an object of token counts of any API, with counts written as integers, floats or strings. A missing count
    /// is what the total leaves for it, or zero; returns `None` if all are missing or zero, because no answer has an
    /// empty prompt.
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        let mut counts = Counts::default();
        Reader::lenient(json).fields(|name, value| {
            let details = match &*name {
                "prompt_tokens_details" | "input_tokens_details" => Details::Prompt,
                "completion_tokens_details" | "output_tokens_details" => Details::Completion,
                "cache_creation" => Details::CacheWrite,
                // Messages.
                "server_tool_use" => Details::ServerTools,
                // OpenRouter and others; an amount in dollars.
                "cost" => {
                    counts.cost_picos = picos(value.raw()?);
                    return Some(());
                }
                _ => {
                    counts.set(&name, value.raw()?);
                    return Some(());
                }
            };
            counts.read_details(details, value)
        })?;
        counts.usage().and_then(Self::known)
    }

    /// Returns the counts unless all are zero: servers that count nothing report zeros.
    #[must_use]
    pub fn known(self) -> Option<Self> {
        (self.prompt_tokens > 0 || self.completion_tokens > 0 || self.total_tokens > 0 || self.cost_picos.is_some())
            .then_some(self)
    }
}

// === impl Counts ===

impl Counts {
    fn set(&mut self, name: &str, raw: &[u8]) {
        let count = match name {
            "prompt_tokens" => &mut self.prompt,
            "input_tokens" => &mut self.uncached,
            "completion_tokens" | "output_tokens" => &mut self.completion,
            "total_tokens" => &mut self.total,
            // Messages, then Moonshot and DeepSeek.
            "cache_read_input_tokens" => &mut self.cache_read,
            "cached_tokens" | "prompt_cache_hit_tokens" => &mut self.cache_read_beside,
            "cache_creation_input_tokens" => &mut self.cache_written,
            _ => return,
        };
        if let Some(read) = whole_number(raw) {
            *count = Some(read.clamp(0, Usage::MAX_COUNT));
            self.classes.is_adjusted |= *count != Some(read);
        }
    }

    fn read_details(&mut self, details: Details, value: &mut Reader<'_>) -> Option<()> {
        if value.peek()? != b'{' {
            return value.skip();
        }
        value.fields(|name, value| {
            if name == "cache_write_tokens_details" {
                return self.read_details(Details::CacheWrite, value);
            }
            let raw = value.raw()?;
            let Some(read) = whole_number(raw) else { return Some(()) };
            let count = read.clamp(0, Usage::MAX_COUNT);
            let classes = &mut self.classes;
            classes.is_adjusted |= count != read;
            match (details, &*name) {
                (Details::Prompt, "cached_tokens") => self.cache_read_beside = Some(count),
                (Details::Prompt, "cache_write_tokens") => self.cache_written = Some(count),
                (Details::Prompt, "audio_tokens") => classes.input_audio = count,
                (Details::Prompt, "image_tokens") => classes.input_image = count,
                (Details::Completion, "reasoning_tokens" | "thinking_tokens") => classes.reasoning = count,
                (Details::Completion, "audio_tokens") => classes.output_audio = count,
                (Details::Completion, "image_tokens") => classes.output_image = count,
                (Details::CacheWrite, "ephemeral_5m_input_tokens" | "ttl_30m_tokens") => {
                    classes.cache_write_short = count;
                }
                (Details::CacheWrite, "ephemeral_1h_input_tokens" | "ttl_12h_tokens") => {
                    classes.cache_write_long = count;
                }
                (Details::ServerTools, "web_search_requests") => self.web_searches = count,
                _ => {}
            }
            Some(())
        })
    }

    fn usage(self) -> Option<Usage> {
        let Self {
            prompt,
            completion,
            total,
            uncached,
            cache_read,
            cache_read_beside,
            cache_written,
            mut classes,
            cost_picos,
            web_searches,
        } = self;
        prompt.or(uncached).or(completion).or(total)?;
        classes.cache_read = cache_read.or(cache_read_beside).unwrap_or_default();
        let by_lifetime = classes.cache_write_short.saturating_add(classes.cache_write_long);
        // A lifetime that is not reported counts as the short one.
        classes.cache_write_short += cache_written.unwrap_or_default().saturating_sub(by_lifetime).max(0);
        // Only Messages reports the cached tokens by these names and leaves them out of its count of the prompt.
        let is_rest =
            prompt.is_none() && (cache_read.is_some() || cache_written.is_some() && cache_read_beside.is_none());
        let cached = if is_rest { classes.cached() } else { 0 };
        let mut usage = Usage {
            prompt_tokens: prompt.or(uncached).unwrap_or_default().saturating_add(cached),
            completion_tokens: completion.unwrap_or_default(),
            total_tokens: 0,
            classes,
            cost_picos,
            web_searches,
        };
        let sum = usage.prompt_tokens.saturating_add(usage.completion_tokens);
        if let Some(rest) = total.map(|total| total.saturating_sub(sum)).filter(|rest| *rest > 0) {
            if prompt.or(uncached).is_none() {
                // Embeddings and rankings of Voyage AI and Jina have a total only, which is that of the prompt.
                usage.prompt_tokens = usage.prompt_tokens.saturating_add(rest);
                usage.classes.is_adjusted = true;
            } else if completion.is_none() {
                usage.completion_tokens = rest;
                usage.classes.is_adjusted = true;
            } else if rest == usage.classes.cached() {
                // The cached tokens are neither in the prompt's count nor in the answer's.
                usage.prompt_tokens = usage.prompt_tokens.saturating_add(rest);
            } else {
                // xAI and Gemini leave the reasoning out of the answer's count, and Gemini does not report it otherwise.
                usage.completion_tokens = usage.completion_tokens.saturating_add(rest);
                usage.classes.is_adjusted |= usage.classes.reasoning != rest;
                usage.classes.reasoning = usage.classes.reasoning.max(rest);
            }
        }
        usage.total_tokens = total.unwrap_or(sum);
        usage.classes.fit(usage.prompt_tokens, usage.completion_tokens);
        Some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(json: &str) -> (i64, i64, TokenClasses) {
        let usage = Usage::read(json.as_bytes()).unwrap();
        (usage.prompt_tokens, usage.completion_tokens, usage.classes)
    }

    #[test]
    fn counts_out_of_range_are_cut_and_marked() {
        for (count, read) in [
            ("99999999999999999999999", Usage::MAX_COUNT),
            ("9223372036854775807", Usage::MAX_COUNT),
            ("1e30", Usage::MAX_COUNT),
            ("-5", 0),
            ("-1e30", 0),
        ] {
            let (prompt, _, marked) = classes(&format!(r#"{{"prompt_tokens":{count},"completion_tokens":2}}"#));
            assert_eq!((prompt, marked.is_adjusted), (read, true), "{count}");
            let (_, _, marked) = classes(&format!(
                r#"{{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{{"cached_tokens":{count}}}}}"#
            ));
            assert!(marked.is_adjusted, "{count}");
        }
        let (prompt, _, marked) = classes(r#"{"prompt_tokens":7,"completion_tokens":2}"#);
        assert_eq!((prompt, marked.is_adjusted), (7, false));
    }

    #[test]
    fn the_classes_of_each_api_are_read() {
        let none = TokenClasses::default();
        for (json, expected) in [
            (
                r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":60,
                    "cache_write_tokens":10,"audio_tokens":5,"image_tokens":3},"completion_tokens_details":
                    {"reasoning_tokens":20,"audio_tokens":4,"accepted_prediction_tokens":1}}"#,
                (
                    100,
                    50,
                    TokenClasses {
                        cache_read: 60,
                        cache_write_short: 10,
                        input_audio: 5,
                        input_image: 3,
                        reasoning: 20,
                        output_audio: 4,
                        ..none
                    },
                ),
            ),
            (
                r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":10,
                    "cache_write_tokens_details":{"ttl_30m_tokens":4,"ttl_12h_tokens":6}},"output_tokens":50,
                    "output_tokens_details":{"reasoning_tokens":20},"total_tokens":150}"#,
                (
                    100,
                    50,
                    TokenClasses { cache_read: 60, cache_write_short: 4, cache_write_long: 6, reasoning: 20, ..none },
                ),
            ),
            (
                r#"{"input_tokens":30,"cache_read_input_tokens":60,"cache_creation_input_tokens":10,"cache_creation":
                    {"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":6},"output_tokens":50,
                    "output_tokens_details":{"thinking_tokens":20}}"#,
                (
                    100,
                    50,
                    TokenClasses { cache_read: 60, cache_write_short: 4, cache_write_long: 6, reasoning: 20, ..none },
                ),
            ),
            (
                r#"{"input_tokens":30,"cache_read_input_tokens":0,"cache_creation_input_tokens":10,"output_tokens":1}"#,
                (40, 1, TokenClasses { cache_write_short: 10, ..none }),
            ),
            // DeepSeek, and Moonshot.
            (
                r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":5}"#,
                (9, 1, TokenClasses { cache_read: 4, ..none }),
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":1,"cached_tokens":4}"#,
                (9, 1, TokenClasses { cache_read: 4, ..none }),
            ),
            // A gateway in front of Messages that reports both forms.
            (
                r#"{"prompt_tokens":9,"completion_tokens":1,"cache_read_input_tokens":4}"#,
                (9, 1, TokenClasses { cache_read: 4, ..none }),
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":14,"cached_tokens":4}"#,
                (13, 1, TokenClasses { cache_read: 4, ..none }),
            ),
            // xAI, and Gemini.
            (
                r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":30,"completion_tokens_details":{"reasoning_tokens":20}}"#,
                (9, 21, TokenClasses { reasoning: 20, ..none }),
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":30,"completion_tokens_details":null}"#,
                (9, 21, TokenClasses { reasoning: 20, is_adjusted: true, ..none }),
            ),
        ] {
            assert_eq!(classes(json), expected, "{json}");
        }
    }

    #[test]
    fn a_total_completes_the_counts_that_are_missing() {
        for (json, expected) in [
            (r#"{"total_tokens":1000}"#, (1000, 0)),
            (r#"{"prompt_tokens":10,"total_tokens":1000}"#, (10, 990)),
            (r#"{"completion_tokens":10,"total_tokens":1000}"#, (990, 10)),
            (r#"{"input_tokens":10,"output_tokens":null,"total_tokens":"15"}"#, (10, 5)),
        ] {
            let (prompt, completion, classes) = classes(json);
            assert_eq!(((prompt, completion), classes.is_adjusted), (expected, true), "{json}");
        }
        assert_eq!(classes(r#"{"prompt_tokens":10,"total_tokens":10}"#), (10, 0, TokenClasses::default()));
    }

    #[test]
    fn web_searches_are_read() {
        let searches = |json: &str| Usage::read(json.as_bytes()).unwrap().web_searches;
        let with = |tools: &str| format!(r#"{{"input_tokens":1,"output_tokens":1,"server_tool_use":{tools}}}"#);
        assert_eq!(searches(&with(r#"{"web_search_requests":3,"web_fetch_requests":7}"#)), 3);
        for tools in ["null", "{}", "5", r#"{"web_search_requests":-1}"#] {
            assert_eq!(searches(&with(tools)), 0, "{tools}");
        }
    }

    #[test]
    fn zeros_are_no_counts() {
        for json in [
            "{}",
            r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
            r#"{"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0}"#,
            r#"{"prompt_tokens":null,"completion_tokens":"x"}"#,
        ] {
            assert_eq!(Usage::read(json.as_bytes()), None, "{json}");
        }
        assert!(Usage::read(br#"{"prompt_tokens":0,"completion_tokens":0,"cost":0.5}"#).is_some());
    }

    #[test]
    fn a_reported_cost_is_read() {
        let cost = |json: &str| Usage::read(json.as_bytes()).unwrap().cost_picos;
        assert_eq!(cost(r#"{"prompt_tokens":1,"cost":0.0123,"is_byok":false}"#), Some(12_300_000_000));
        assert_eq!(cost(r#"{"input_tokens":1,"cost":0}"#), Some(0));
        for none in [r#"{"prompt_tokens":1}"#, r#"{"prompt_tokens":1,"cost":null}"#, r#"{"prompt_tokens":1,"cost":-1}"#]
        {
            assert_eq!(cost(none), None, "{none}");
        }
    }

    #[test]
    fn absurd_counts_are_bounded() {
        for json in [
            r#"{"prompt_tokens":9e18,"completion_tokens":9223372036854775807,"total_tokens":"9223372036854775807"}"#,
            r#"{"input_tokens":9e18,"cache_read_input_tokens":9e18,"output_tokens":9e18}"#,
        ] {
            let (prompt, completion, classes) = classes(json);
            let all = [classes.uncached_input(prompt), classes.other_output(completion), prompt, completion];
            assert!(all.iter().all(|count| (0..=4 * Usage::MAX_COUNT).contains(count)), "{json}: {all:?}");
        }
    }

    #[test]
    fn classes_that_exceed_their_count_are_cut_and_marked() {
        let (prompt, completion, classes) = classes(
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":20,"audio_tokens":-3},
                "completion_tokens_details":{"reasoning_tokens":9,"audio_tokens":1}}"#,
        );
        assert_eq!((prompt, completion), (10, 5));
        assert_eq!((classes.cache_read, classes.input_audio, classes.reasoning, classes.output_audio), (10, 0, 5, 0));
        assert!(classes.is_adjusted);
        assert_eq!((classes.uncached_input(prompt), classes.other_output(completion)), (0, 0));
    }
}

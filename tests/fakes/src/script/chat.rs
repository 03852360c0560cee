//! An answer of the model, as data.

use serde::{Deserialize, Serialize};

use super::Dialect;

/// An answer of the model. The grammar of the endpoint determines its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Chat {
    /// Text of the answer.
    pub text: Text,
    /// Reasoning text before the answer.
    pub reasoning: Option<String>,
    /// Function calls after the text.
    pub tools: Vec<Tool>,
    /// When the functions are called.
    pub calling: Calling,
    /// Finish reason in the words of Chat Completions; by default `tool_calls` if there is a call, otherwise `stop`.
    /// The other grammars translate `stop`, `length`, `tool_calls` and `content_filter`; Messages sends other values as
    /// they are, and Responses completes.
    pub finish_reason: Option<String>,
    /// Number of choices (Chat Completions only); by default `n` of the request.
    pub choices: Option<u32>,
    /// Whether the token counts are reported.
    pub usage: Usage,
    /// The token counts.
    pub tokens: Tokens,
    /// Whether a stream ends with its terminal event: `[DONE]`, `message_stop` or `response.completed`.
    pub done: bool,
    /// Whether the lines of a stream end in CR LF instead of LF.
    pub crlf: bool,
    /// Whether a comment line precedes each event of a stream.
    pub comments: bool,
    /// How the chunks of a chat stream deviate from OpenAI's. Of the other grammars only
    /// [`Dialect::UnknownFields`] is known.
    pub dialect: Dialect,
}

/// The text of an answer. In a stream, each word is an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Text {
    /// The last user message.
    Echo,
    /// A fixed text. If it is a JSON object and the request forces a tool call, it becomes the arguments of that call.
    Fixed(String),
    /// The texts of all tool results of the conversation, joined by `; `.
    Results,
    /// Media type and bytes of each image of the conversation, such as `image/png 70`, or its address, joined by `; `.
    Images,
    /// This number of words, each `t=<nanoseconds of CLOCK_MONOTONIC> `, rendered when it is sent.
    Ticks(u32),
    /// An unlimited number of words if the answer is a stream; otherwise one word.
    Endless,
}

/// A function call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Name of the function.
    pub name: String,
    /// JSON text of the arguments; a stream sends it in pieces of eight characters.
    pub arguments: String,
}

/// When the functions of an answer are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calling {
    /// All in each answer, after the text.
    #[default]
    Always,
    /// All in one answer without text, unless the conversation has a tool result: then only the text.
    Once,
    /// One in each answer without text, as long as the conversation has fewer tool results than there are functions;
    /// then only the text.
    OneByOne,
}

/// The token counts of an answer, in disjoint classes. The text counts its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// Input tokens that are neither read from nor written to the cache.
    pub input: u32,
    /// Input tokens read from the cache.
    pub cache_read: u32,
    /// Input tokens written to the cache for the short time.
    pub cache_write: u32,
    /// Input tokens written to the cache for the long time.
    pub cache_write_long: u32,
    /// Output tokens of the reasoning.
    pub reasoning: u32,
}

/// Whether a chat stream reports the token counts. Whole answers and the other grammars report them, except for
/// `never`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// Only if the request has `stream_options.include_usage`.
    #[default]
    Asked,
    /// Whether requested or not.
    Always,
    /// Never, even if requested.
    Never,
}

// === impl Tokens ===

impl Default for Tokens {
    fn default() -> Self {
        Self { input: 10, cache_read: 0, cache_write: 0, cache_write_long: 0, reasoning: 0 }
    }
}

impl Tokens {
    /// Returns all input tokens.
    pub(crate) const fn prompt(&self) -> u32 {
        self.input + self.cache_read + self.written()
    }

    /// Returns the input tokens written to the cache.
    pub(crate) const fn written(&self) -> u32 {
        self.cache_write + self.cache_write_long
    }
}

// === impl Chat ===

impl Default for Chat {
    fn default() -> Self {
        Self {
            text: Text::Echo,
            reasoning: None,
            tools: Vec::new(),
            calling: Calling::default(),
            finish_reason: None,
            choices: None,
            usage: Usage::default(),
            tokens: Tokens::default(),
            done: true,
            crlf: false,
            comments: false,
            dialect: Dialect::default(),
        }
    }
}

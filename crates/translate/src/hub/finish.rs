//! Why an answer ended.

use super::Json;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it.
    #[default]
    Stop,
    /// A stop sequence appeared.
    StopSequence,
    /// The maximum number of output tokens was reached.
    Length,
    /// The context window is full.
    ContextLength,
    /// The model waits for the results of tools.
    Tool,
    /// The model refused.
    Refusal,
    /// A filter cut the answer.
    Filter,
    /// The provider paused a long turn.
    Pause,
    /// The model wrote a tool call that cannot be read.
    MalformedTool,
}

/// The end of a complete answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finish {
    /// The reason.
    pub reason: FinishReason,
    /// The provider's own word, kept for words that are not known.
    pub raw: Option<String>,
    /// The stop sequence that appeared.
    pub stop_sequence: Option<String>,
    /// The details of a refusal, as Messages writes them.
    pub details: Option<Json>,
}

// === impl Finish ===

impl Finish {
    /// Creates an end without details.
    #[must_use]
    pub fn new(reason: FinishReason) -> Self {
        Self { reason, ..Self::default() }
    }

    /// Returns whether the provider's word is not known, so that the reason is only the most likely one.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        let is_known = |raw: &str| FinishReason::of_chat(raw).or_else(|| FinishReason::of_messages(raw)).is_some();
        self.raw.as_deref().is_some_and(|raw| !is_known(raw))
    }
}

// === impl FinishReason ===

impl FinishReason {
    /// Reads a finish reason of Chat Completions; `None` if the word is not known.
    #[must_use]
    pub fn of_chat(word: &str) -> Option<Self> {
        Some(match word {
            "stop" | "eos" | "end_turn" => Self::Stop,
            "length" | "max_tokens" => Self::Length,
            "model_length" => Self::ContextLength,
            "tool_calls" | "function_call" => Self::Tool,
            "content_filter" | "sensitive" => Self::Filter,
            _ => return None,
        })
    }

    /// Reads a stop reason of Messages; `None` if the word is not known.
    #[must_use]
    pub fn of_messages(word: &str) -> Option<Self> {
        Some(match word {
            "end_turn" => Self::Stop,
            "stop_sequence" => Self::StopSequence,
            "max_tokens" => Self::Length,
            "model_context_window_exceeded" => Self::ContextLength,
            "tool_use" => Self::Tool,
            "refusal" => Self::Refusal,
            "pause_turn" | "compaction" => Self::Pause,
            _ => return None,
        })
    }

    /// Returns the finish reason of Chat Completions.
    #[must_use]
    pub const fn to_chat(self) -> &'static str {
        match self {
            Self::Stop | Self::StopSequence | Self::Pause | Self::MalformedTool => "stop",
            Self::Length | Self::ContextLength => "length",
            Self::Tool => "tool_calls",
            Self::Refusal | Self::Filter => "content_filter",
        }
    }

    /// Returns the stop reason of Messages.
    #[must_use]
    pub const fn to_messages(self) -> &'static str {
        match self {
            Self::Stop | Self::MalformedTool => "end_turn",
            Self::StopSequence => "stop_sequence",
            Self::Length => "max_tokens",
            Self::ContextLength => "model_context_window_exceeded",
            Self::Tool => "tool_use",
            Self::Refusal | Self::Filter => "refusal",
            Self::Pause => "pause_turn",
        }
    }

    /// Returns the reason of `incomplete_details` of Responses; `None` if the answer is `completed`.
    #[must_use]
    pub const fn to_incomplete(self) -> Option<&'static str> {
        match self {
            Self::Length | Self::ContextLength => Some("max_output_tokens"),
            Self::Filter => Some("content_filter"),
            _ => None,
        }
    }
}

//! A request.

use super::{Cache, Json, Message, Tool, ToolChoice};
use crate::Api;

/// A request of any API.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The API the client speaks.
    pub api: Api,
    /// The model, as the client names it.
    pub model: String,
    /// The conversation. Leading instructions are its first messages.
    pub messages: Vec<Message>,
    /// The tools, in order.
    pub tools: Vec<Tool>,
    /// Which tools to call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether the model may call several tools at once.
    pub parallel_tool_calls: Option<bool>,
    /// Maximum number of output tokens.
    pub max_tokens: Option<u64>,
    /// Sampling temperature: a number, as written.
    pub temperature: Option<Json>,
    /// Nucleus sampling: a number, as written.
    pub top_p: Option<Json>,
    /// Number of most likely tokens to choose from.
    pub top_k: Option<Json>,
    /// Texts at which the answer ends.
    pub stop: Vec<String>,
    /// The format of the answer.
    pub format: Option<Format>,
    /// `low`, `medium` or `high`.
    pub verbosity: Option<String>,
    /// The wishes about reasoning.
    pub reasoning: ReasoningRequest,
    /// The top-level cache breakpoint of Messages.
    pub cache: Option<Cache>,
    /// A stable identifier of the end user.
    pub user: Option<String>,
    /// The field `user` comes from.
    pub user_field: &'static str,
    /// The service tier, in the words of the client's API.
    pub service_tier: Option<String>,
    /// Number of most likely tokens to report for each token.
    pub top_logprobs: Option<u64>,
    /// Whether the probabilities of tokens are asked for.
    pub logprobs: bool,
    /// Whether the provider shall store the answer.
    pub store: Option<bool>,
    /// Whether the answer shall be streamed.
    pub stream: bool,
    /// Whether a streamed chat answer shall end with its token counts. Always true for the other APIs.
    pub include_usage: bool,
    /// All other top-level fields as the client wrote them, in order.
    pub extras: Vec<(String, Json)>,
    /// The places of fields within messages that have no place here: at most 64.
    pub unread: Vec<String>,
}

/// The format of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Plain text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The name; empty if the client's API has none.
        name: String,
        /// The schema.
        schema: Json,
        /// Whether the answer must fit exactly.
        strict: Option<bool>,
        /// The purpose of the format, for the model.
        description: Option<String>,
    },
}

/// The wishes of a request about reasoning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasoningRequest {
    /// How much.
    pub effort: Option<Effort>,
    /// The mode of thinking of Messages.
    pub thinking: Option<ThinkingMode>,
    /// `summarized` or `omitted`, of Messages.
    pub display: Option<String>,
    /// `auto`, `concise` or `detailed`, of Responses.
    pub summary: Option<String>,
}

/// The amount of reasoning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effort {
    /// No reasoning.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// The default of most models.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// As much as possible.
    Max,
    /// A word that is not known yet, passed on as it is.
    Other(String),
}

/// The mode of thinking of Messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThinkingMode {
    /// The model decides.
    Adaptive,
    /// Up to a number of tokens.
    Budget(u64),
    /// Off.
    Disabled,
    /// Another mode.
    Other(String),
}

// === impl Request ===

impl Request {
    /// Creates a request without any content.
    #[must_use]
    pub fn new(api: Api, model: impl Into<String>) -> Self {
        Self {
            api,
            model: model.into(),
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            max_tokens: None,
            temperature: None,
            top_p: None,
            top_k: None,
            stop: Vec::new(),
            format: None,
            verbosity: None,
            reasoning: ReasoningRequest::default(),
            cache: None,
            user: None,
            user_field: "user",
            service_tier: None,
            top_logprobs: None,
            logprobs: false,
            store: None,
            stream: false,
            include_usage: false,
            extras: Vec::new(),
            unread: Vec::new(),
        }
    }
}

// === impl Effort ===

impl Effort {
    /// Reads a word.
    #[must_use]
    pub fn read(word: &str) -> Self {
        match word {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            other => Self::Other(other.into()),
        }
    }

    /// Returns the word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
            Self::Other(word) => word,
        }
    }

    /// Returns the effort that stands for a budget of thinking tokens.
    #[must_use]
    pub const fn of_budget(tokens: u64) -> Self {
        match tokens {
            0..4_000 => Self::Low,
            4_000..16_000 => Self::Medium,
            16_000..32_000 => Self::High,
            _ => Self::XHigh,
        }
    }
}

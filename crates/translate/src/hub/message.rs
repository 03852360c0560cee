//! Messages and their blocks.

use super::{CallKind, Json};
use crate::Api;

/// The author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// Instructions, under OpenAI's newer name.
    Developer,
    /// The user; also the results of tools.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation. Neighbouring tool results, and neighbouring parts of one answer, are one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The author.
    pub role: Role,
    /// The content, in order.
    pub blocks: Vec<Block>,
    /// The name of the author, if the client gives one.
    pub name: Option<String>,
    /// The place in the client's request, for the list of losses: `messages.1`, `input.3`, `system`.
    pub at: String,
}

/// A piece of content.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text.
    Text(Text),
    /// An image.
    Image(Image),
    /// A document or another file.
    Document(Media),
    /// Audio as base64; `format` is `wav` or `mp3`.
    Audio {
        /// The base64.
        data: String,
        /// The container format.
        format: String,
    },
    /// A call of a tool by the model.
    ToolCall(ToolCall),
    /// The result of a tool call.
    ToolResult(ToolResult),
    /// Thinking as text.
    Thinking(Thinking),
    /// Thinking that only its vendor can read.
    RedactedThinking {
        /// The vendor's opaque data.
        data: String,
    },
    /// A reasoning item of Responses.
    Reasoning(Reasoning),
    /// The text of a refusal.
    Refusal(String),
    /// A block or item that only one API knows: server tools and their results, compaction.
    Opaque {
        /// The API that defines it.
        api: Api,
        /// Its type.
        kind: String,
        /// The whole block.
        json: Json,
    },
}

/// A text block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Citations or annotations, as their API writes them.
    pub citations: Option<Json>,
    /// A cache breakpoint after this block.
    pub cache: Option<Cache>,
    /// `commentary` or `final_answer`, for answers of Responses.
    pub phase: Option<String>,
}

/// An image block.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Where the bytes are.
    pub source: Source,
    /// `auto`, `low`, `high` or `original`.
    pub detail: Option<String>,
    /// A cache breakpoint after this block.
    pub cache: Option<Cache>,
}

/// A document block.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Where the bytes are.
    pub source: Source,
    /// The title or file name.
    pub title: Option<String>,
    /// Text about the document that is not part of it.
    pub context: Option<String>,
    /// Whether the model shall cite the document, as Messages writes it.
    pub citations: Option<Json>,
    /// A cache breakpoint after this block.
    pub cache: Option<Cache>,
}

/// Where the bytes of an image or a document are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the request.
    Base64 {
        /// The media type, such as `image/png`.
        media_type: String,
        /// The base64: checked, never decoded.
        data: String,
    },
    /// At an address the provider fetches.
    Url(String),
    /// At the provider, under an id.
    File(String),
    /// In the request, as plain text.
    Text(String),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The id that the result refers to.
    pub id: String,
    /// The name of the tool.
    pub name: String,
    /// The namespace of the tool, for Responses.
    pub namespace: Option<String>,
    /// Whether `input` is JSON or free text.
    pub kind: CallKind,
    /// The arguments: JSON text for functions, any text for custom tools. Never re-serialised.
    pub input: String,
    /// A cache breakpoint after this block.
    pub cache: Option<Cache>,
    /// The `extra_content` that Gemini adds to its calls in Chat Completions, and wants back with them.
    pub extra: Option<Json>,
}

/// The result of a tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: String,
    /// The kind of the tool that was called.
    pub kind: CallKind,
    /// The result: text, images and documents.
    pub content: Vec<Block>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// A cache breakpoint after this block.
    pub cache: Option<Cache>,
}

/// A thinking block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    /// The text, which may be empty.
    pub text: String,
    /// The vendor's signature; `None` for plain text of other providers. An empty signature counts as none.
    pub signature: Option<String>,
}

/// A reasoning item of Responses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// The id of the item.
    pub id: Option<String>,
    /// The parts of the summary.
    pub summary: Vec<String>,
    /// The text itself, if the provider shows it.
    pub text: String,
    /// The vendor's opaque data.
    pub encrypted: Option<String>,
}

/// A cache breakpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// How long the prefix is kept; `None` for the default.
    pub ttl: Option<Ttl>,
}

/// How long a cached prefix is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// 5 minutes at Anthropic, 30 minutes at OpenAI.
    Short,
    /// 1 hour at Anthropic, 12 hours at OpenAI.
    Long,
}

// === impl Message ===

impl Message {
    pub(crate) fn new(role: Role, blocks: Vec<Block>, at: String) -> Self {
        Self { role, blocks, name: None, at }
    }

    /// Returns whether the message holds instructions.
    #[must_use]
    pub const fn is_system(&self) -> bool {
        matches!(self.role, Role::System | Role::Developer)
    }
}

// === impl Block ===

impl Block {
    /// Creates a text block without any attributes.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into(), ..Text::default() })
    }

    pub(crate) const fn cache(&self) -> Option<Cache> {
        match self {
            Self::Text(block) => block.cache,
            Self::Image(block) => block.cache,
            Self::Document(block) => block.cache,
            Self::ToolCall(block) => block.cache,
            Self::ToolResult(block) => block.cache,
            _ => None,
        }
    }

    /// Returns whether the block is thinking of any kind.
    #[must_use]
    pub const fn is_thinking(&self) -> bool {
        matches!(self, Self::Thinking(_) | Self::RedactedThinking { .. } | Self::Reasoning(_))
    }
}

// === impl Thinking ===

impl Thinking {
    /// Returns the signature unless it is empty.
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref().filter(|signature| !signature.is_empty())
    }
}

//! The events of an answer.

use super::{CallKind, Failure, Finish, Json, Usage};
use crate::{Api, Loss};

/// One event of an answer.
///
/// The order is `Start (Open Delta* Close)* Usage* Finish`, where blocks may overlap; `Ping` and `Lost` may stand
/// anywhere. An answer that fails ends with `Failed` in place of `Finish`. Nothing follows either of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins.
    Start(Start),
    /// A block begins.
    Open {
        /// The number of the block: 0, 1, 2, … in order of appearance.
        block: u32,
        /// The kind of the block.
        opening: Opening,
    },
    /// A block goes on.
    Delta {
        /// The number of the block.
        block: u32,
        /// The addition.
        delta: Delta,
    },
    /// A block ends.
    Close {
        /// The number of the block.
        block: u32,
    },
    /// The newest token counts: they replace earlier ones.
    Usage(Usage),
    /// The provider is alive.
    Ping,
    /// A part of the answer that has no place here, such as a citation. May stand anywhere before the end.
    Lost(Loss),
    /// The answer is complete.
    Finish(Finish),
    /// The answer failed, and may be incomplete.
    Failed(Failure),
}

/// The beginning of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The provider's id.
    pub id: Option<String>,
    /// The model that answers.
    pub model: Option<String>,
}

/// The beginning of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// Text.
    Text {
        /// `commentary` or `final_answer`.
        phase: Option<String>,
    },
    /// The text of a refusal.
    Refusal,
    /// Thinking of Messages, or plain reasoning text.
    Thinking,
    /// Thinking that only its vendor can read; has no deltas.
    Redacted {
        /// The vendor's opaque data.
        data: String,
    },
    /// A reasoning item of Responses.
    Reasoning {
        /// The id of the item.
        id: Option<String>,
    },
    /// A tool call.
    Call {
        /// The id that the result has to name.
        id: String,
        /// The name of the tool.
        name: String,
        /// The namespace of the tool.
        namespace: Option<String>,
        /// Whether the input is JSON or text.
        kind: CallKind,
    },
    /// A block that only one API knows; has no deltas.
    Opaque {
        /// The API that defines it.
        api: Api,
        /// Its type.
        kind: String,
        /// The whole block.
        json: Json,
    },
}

/// An addition to a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// More text of a text or refusal block.
    Text(String),
    /// More text of a thinking or reasoning block.
    Thinking(String),
    /// More text of a part of the summary of a reasoning block.
    Summary {
        /// The number of the part.
        part: u32,
        /// The text.
        text: String,
    },
    /// The signature of a thinking block; a later one replaces an earlier one.
    Signature(String),
    /// The opaque data of a reasoning block; later data replace earlier data.
    Encrypted(String),
    /// More of the input of a tool call.
    Input(String),
    /// The `extra_content` of a tool call; a later one replaces an earlier one.
    Extra(Json),
}

// === impl Delta ===

impl Delta {
    /// Returns the length of the text in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text)
            | Self::Thinking(text)
            | Self::Summary { text, .. }
            | Self::Signature(text)
            | Self::Encrypted(text)
            | Self::Input(text) => text.len(),
            Self::Extra(json) => json.as_str().len(),
        }
    }

    /// Appends an addition of the same kind, and returns one of another kind.
    pub(crate) fn join(&mut self, more: Self) -> Option<Self> {
        match (self, more) {
            (Self::Text(text), Self::Text(more))
            | (Self::Thinking(text), Self::Thinking(more))
            | (Self::Input(text), Self::Input(more)) => text.push_str(&more),
            (Self::Summary { part, text }, Self::Summary { part: same, text: more }) if *part == same => {
                text.push_str(&more);
            }
            (_, more) => return Some(more),
        }
        None
    }
}

//! Types of the chunks of a streamed answer.

use serde::{Deserialize, Serialize};

use super::{ErrorObject, Usage};

/// One `data:` event of a stream, `chat.completion.chunk`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Chunk {
    /// The same in all chunks of a stream.
    #[serde(default)]
    pub id: String,
    /// `chat.completion.chunk`.
    #[serde(default)]
    pub object: String,
    /// Unix time in seconds.
    #[serde(default)]
    pub created: i64,
    /// The model that answers.
    #[serde(default)]
    pub model: String,
    /// Empty in the chunk that carries the usage.
    #[serde(default)]
    pub choices: Vec<ChunkChoice>,
    /// Token counts: in the last chunk, if the client asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// An error that occurred after the response head was sent. Read leniently: providers send strings and objects.
    #[serde(default, skip_serializing, deserialize_with = "lenient_error")]
    pub error: Option<ErrorObject>,
}

/// The next piece of one of the `n` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// 0 to n-1.
    #[serde(default)]
    pub index: u32,
    /// The new part of the answer.
    #[serde(default)]
    pub delta: Delta,
    /// Set in the last chunk of this answer.
    #[serde(default)]
    pub finish_reason: Option<String>,
}

/// The content that a chunk adds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Delta {
    /// In the first chunk only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// More text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// More thinking.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "reasoning")]
    pub reasoning_content: Option<String>,
    /// More of the tool calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
}

/// A piece of a tool call: the first piece has the id and the name, later pieces extend `arguments`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ToolCallDelta {
    /// The index of the parallel call.
    #[serde(default)]
    pub index: u32,
    /// In the first piece only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name and arguments.
    #[serde(default)]
    pub function: FunctionDelta,
}

/// A piece of a function call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FunctionDelta {
    /// In the first piece only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More of the JSON text of the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

pub(super) fn lenient_error<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ErrorObject>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.filter(|value| !value.is_null()).map(|value| {
        let text = |key: &str| value.get(key).and_then(|v| v.as_str()).map(str::to_owned);
        ErrorObject {
            message: text("message").unwrap_or_else(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            kind: text("type").unwrap_or_else(|| "upstream_error".into()).into(),
            param: text("param").map(Into::into),
            code: text("code").map(Into::into),
        }
    }))
}

//! Types of chat completion requests and whole answers.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Usage;

/// The fields of a chat request that are read where a request must be understood. The request itself is forwarded as
/// bytes.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ChatRequest {
    /// The conversation so far, oldest first.
    #[serde(default)]
    pub messages: Vec<Message>,
}

impl ChatRequest {
    /// Returns the text of the newest message with `role`, if any.
    #[must_use]
    pub fn last_text(&self, role: &str) -> Option<String> {
        self.messages.iter().rev().find(|m| m.role == role).map(Message::text)
    }

    /// Returns the text of the oldest message with `role`, if any.
    #[must_use]
    pub fn first_text(&self, role: &str) -> Option<String> {
        self.messages.iter().find(|m| m.role == role).map(Message::text)
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    #[serde(default)]
    pub role: String,
    /// Absent or null in an assistant message that only calls tools.
    #[serde(default)]
    pub content: Option<Content>,
}

impl Message {
    /// Returns the text of the message: text parts joined by newlines, other parts omitted.
    #[must_use]
    pub fn text(&self) -> String {
        self.content.as_ref().map(Content::text).unwrap_or_default()
    }
}

/// Plain text, or a list of parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// A string, the common case.
    Text(String),
    /// Text and images mixed.
    Parts(Vec<Part>),
}

impl Content {
    /// Returns the text: text parts joined by newlines, other parts omitted.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => {
                let texts: Vec<&str> = parts.iter().filter_map(|part| part.text.as_deref()).collect();
                texts.join("\n")
            }
        }
    }
}

/// One part of a message. Only text is read; of an image only the `type` is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `text`, `image_url`, `input_audio`, `file`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The text, if this is a text part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A whole answer, `chat.completion`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Completion {
    /// The provider's id for the answer.
    #[serde(default)]
    pub id: String,
    /// `chat.completion`.
    #[serde(default)]
    pub object: String,
    /// Unix time in seconds.
    #[serde(default)]
    pub created: i64,
    /// The model that answered.
    #[serde(default)]
    pub model: String,
    /// The `n` answers.
    #[serde(default)]
    pub choices: Vec<Choice>,
    /// Token counts, if the provider sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One of the `n` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// 0 to n-1.
    #[serde(default)]
    pub index: u32,
    /// The answer.
    pub message: AssistantMessage,
    /// `stop`, `length`, `tool_calls`, `content_filter`.
    #[serde(default)]
    pub finish_reason: Option<String>,
}

/// The assistant's message in an answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AssistantMessage {
    /// Always `assistant`.
    #[serde(default)]
    pub role: String,
    /// The text; null when the model only called tools.
    #[serde(default)]
    pub content: Option<String>,
    /// Thinking that the provider sends separately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Tool calls, unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Box<RawValue>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_parts_excludes_images() {
        let request: ChatRequest = serde_json::from_str(
            r#"{"messages":[{"role":"user","content":"first"},{"role":"assistant","content":null},
                {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:x"}},{"type":"text","text":"b"}]}]}"#,
        )
        .unwrap();
        assert_eq!(request.last_text("user").as_deref(), Some("a\nb"));
        assert_eq!(request.first_text("user").as_deref(), Some("first"));
        assert_eq!(request.first_text("assistant").as_deref(), Some(""));
        assert_eq!(request.first_text("tool"), None);
    }
}

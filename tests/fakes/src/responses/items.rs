//! The items of an answer.

use serde_json::{Value, json};

use crate::script::Tool;

/// Start of the encrypted form of a reasoning; the fake accepts no other in a conversation.
pub(super) const ENCRYPTED: &str = "FakeEncrypted";

/// Kinds of tool calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    /// A call of a custom tool, whose input is a text.
    Custom,
}

// === impl Kind ===

impl Kind {
    /// Returns the type of its item.
    const fn item(self) -> &'static str {
        match self {
            Self::Function => "function_call",
            Self::Custom => "custom_tool_call",
        }
    }

    /// Returns the field that holds its input.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Function => "arguments",
            Self::Custom => "input",
        }
    }
}

pub(super) fn message(id: &str, text: &str) -> Value {
    json!({"id": id, "type": "message", "status": "completed", "role": "assistant", "content": [part(text)]})
}

pub(super) fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// Returns a call; `ids` are those of the item and of the call.
pub(super) fn call(kind: Kind, ids: &(String, String), tool: &Tool) -> Value {
    let (id, call_id) = ids;
    let id = if kind == Kind::Custom { id.replacen("fc", "ctc", 1) } else { id.clone() };
    let mut item = json!({"id": id, "type": kind.item(), "call_id": call_id, "name": tool.name});
    item[kind.field()] = json!(tool.arguments);
    item["status"] = json!("completed");
    item
}

pub(super) fn reasoning(id: &str, text: &str, summarised: bool) -> Value {
    let encrypted = format!("{ENCRYPTED}{:08x}", crc32fast::hash(text.as_bytes()));
    let mut item = json!({"id": id, "type": "reasoning", "summary": [], "encrypted_content": encrypted});
    if summarised {
        item["summary"] = json!([{"type": "summary_text", "text": text}]);
    } else {
        item["content"] = json!([{"type": "reasoning_text", "text": text}]);
    }
    item
}

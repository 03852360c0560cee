//! The blocks of a conversation that the real service refuses.

use serde_json::Value;

use super::signature;
use crate::surface::Refusal;

const BLOCKS: [&str; 21] = [
    "bash_code_execution_tool_result",
    "code_execution_tool_result",
    "compaction",
    "container_upload",
    "document",
    "image",
    "mcp_tool_result",
    "mcp_tool_use",
    "redacted_thinking",
    "search_result",
    "server_tool_use",
    "text",
    "text_editor_code_execution_tool_result",
    "thinking",
    "tool_reference",
    "tool_result",
    "tool_search_tool_result",
    "tool_use",
    "web_fetch_tool_result",
    "web_search_tool_result",
    "advisor_tool_result",
];
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

type Checked = Result<(), Refusal>;

/// Checks all messages, and that each call has its result in the next message.
pub(super) fn messages(messages: &[Value]) -> Checked {
    let mut calls: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let path = format!("messages.{index}");
        let role = message["role"].as_str().unwrap_or_default();
        if !matches!(role, "user" | "assistant" | "system") {
            return Err(Refusal::bad(format!("{path}.role: Input should be 'user', 'assistant' or 'system'")));
        }
        if role == "system" && index == 0 {
            return Err(Refusal::bad(format!("{path}.role: the first message cannot have the role system")));
        }
        let blocks = match &message["content"] {
            Value::String(text) if text.is_empty() && !(role == "assistant" && index + 1 == messages.len()) => {
                return Err(Refusal::bad(format!("{path}: all messages must have non-empty content")));
            }
            Value::String(_) => &[],
            Value::Array(blocks) => blocks.as_slice(),
            Value::Null => return Err(Refusal::bad(format!("{path}.content: Field required"))),
            _ => return Err(Refusal::bad(format!("{path}.content: Input should be a valid string or list"))),
        };
        for (index, content) in blocks.iter().enumerate() {
            block(content, role, &format!("{path}.content.{index}"))?;
        }
        // A message from the system may stand between a call and its result.
        if role != "system" {
            results(blocks, &calls, &path)?;
            calls = names(blocks, "tool_use", "id").collect();
        }
    }
    Ok(())
}

/// Returns a field of all blocks of a type.
fn names<'a>(blocks: &'a [Value], kind: &str, field: &str) -> impl Iterator<Item = &'a str> {
    blocks.iter().filter(move |block| block["type"] == kind).filter_map(move |block| block[field].as_str())
}

/// Checks that the results at the start of a message are those of the calls of the message before.
fn results(blocks: &[Value], calls: &[&str], path: &str) -> Checked {
    let leading = blocks.iter().take_while(|block| block["type"] == "tool_result").count();
    let given: Vec<&str> = names(&blocks[..leading], "tool_result", "tool_use_id").collect();
    let missing: Vec<&str> = calls.iter().copied().filter(|call| !given.contains(call)).collect();
    if !missing.is_empty() {
        return Err(Refusal::bad(format!(
            "{path}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block \
             must have a corresponding `tool_result` block in the next message.",
            missing.join(", ")
        )));
    }
    match names(blocks, "tool_result", "tool_use_id").find(|id| !calls.contains(id)) {
        None => Ok(()),
        Some(id) => Err(Refusal::bad(format!(
            "{path}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must \
             have a corresponding `tool_use` block in the previous message."
        ))),
    }
}

fn block(block: &Value, role: &str, path: &str) -> Checked {
    let kind = block["type"].as_str().unwrap_or_default();
    if !BLOCKS.contains(&kind) {
        return Err(Refusal::bad(format!(
            "{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags: '{}'",
            BLOCKS.join("', '")
        )));
    }
    let belongs = match kind {
        "tool_use" | "thinking" | "redacted_thinking" | "server_tool_use" => role == "assistant",
        "tool_result" | "image" => role == "user",
        "text" => true,
        _ => role != "system",
    };
    if !belongs {
        return Err(Refusal::bad(format!("{path}: `{kind}` blocks are not permitted in messages of the role {role}")));
    }
    match kind {
        "text" => text(block, path),
        "image" => image(block, path),
        "thinking" => thinking(block, path),
        "tool_use" => call(block, path),
        "tool_result" => result(block, path),
        _ => Ok(()),
    }
}

pub(super) fn text(block: &Value, path: &str) -> Checked {
    match block["text"].as_str() {
        None => Err(Refusal::bad(format!("{path}.text.text: Field required"))),
        Some("") => Err(Refusal::bad(format!("{path}: text content blocks must be non-empty"))),
        Some(text) if text.trim().is_empty() => {
            Err(Refusal::bad(format!("{path}: text content blocks must contain non-whitespace text")))
        }
        Some(_) => Ok(()),
    }
}

fn image(block: &Value, path: &str) -> Checked {
    let source = &block["source"];
    match source["type"].as_str() {
        Some("url") if source["url"].is_string() => Ok(()),
        Some("file") if source["file_id"].is_string() => Ok(()),
        Some("base64") => {
            if !source["media_type"].as_str().is_some_and(|media_type| IMAGES.contains(&media_type)) {
                return Err(Refusal::bad(format!(
                    "{path}.image.source.base64.media_type: Input should be '{}'",
                    IMAGES.join("', '")
                )));
            }
            if !source["data"].as_str().is_some_and(is_base64) {
                return Err(Refusal::bad(format!("{path}.image.source.base64.data: Invalid base64 data")));
            }
            Ok(())
        }
        _ => Err(Refusal::bad(format!("{path}.image.source: Field required"))),
    }
}

/// Refuses thinking that the fake has not signed, or that was changed since.
fn thinking(block: &Value, path: &str) -> Checked {
    let (Some(text), Some(signed)) = (block["thinking"].as_str(), block["signature"].as_str()) else {
        return Err(Refusal::bad(format!("{path}.thinking.signature: Field required")));
    };
    if signed == signature(text) {
        return Ok(());
    }
    Err(Refusal::bad(format!("{path}: Invalid `signature` in `thinking` block")))
}

fn call(block: &Value, path: &str) -> Checked {
    if !block["id"].as_str().is_some_and(is_name) {
        return Err(Refusal::bad(format!("{path}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")));
    }
    if !block["name"].as_str().is_some_and(is_name) {
        return Err(Refusal::bad(format!(
            "{path}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,200}}$'"
        )));
    }
    match &block["input"] {
        Value::Object(_) => Ok(()),
        Value::Null => Err(Refusal::bad(format!("{path}.tool_use.input: Field required"))),
        _ => Err(Refusal::bad(format!("{path}.tool_use.input: Input should be a valid dictionary"))),
    }
}

fn result(block: &Value, path: &str) -> Checked {
    if !block["tool_use_id"].as_str().is_some_and(is_name) {
        return Err(Refusal::bad(format!("{path}.tool_result.tool_use_id: Field required")));
    }
    let parts = match &block["content"] {
        Value::Null | Value::String(_) => return Ok(()),
        Value::Array(parts) => parts,
        _ => return Err(Refusal::bad(format!("{path}.tool_result.content: Input should be a valid string or list"))),
    };
    for (index, part) in parts.iter().enumerate() {
        let path = format!("{path}.tool_result.content.{index}");
        match part["type"].as_str() {
            Some("text") => text(part, &path)?,
            Some("image") => image(part, &path)?,
            Some("search_result" | "document" | "tool_reference" | "browser_state") => {}
            other => {
                return Err(Refusal::bad(format!(
                    "{path}: Input tag '{}' found using 'type' does not match any of the expected tags",
                    other.unwrap_or_default()
                )));
            }
        }
    }
    Ok(())
}

/// Returns whether an id or a name has only the permitted characters.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Returns whether the text is base64 with its padding.
fn is_base64(text: &str) -> bool {
    let data = text.trim_end_matches('=');
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !text.is_empty() && text.len().is_multiple_of(4) && text.len() - data.len() <= 2 && data.bytes().all(known)
}

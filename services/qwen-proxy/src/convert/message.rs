//! A validated message of a conversation.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::invalid::Invalid;
use crate::tools::Call;

/// A message whose content is joined into one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Role of the author.
    pub role: Role,
    /// Text of the message; parts are joined by a line break. Empty if the message only calls tools.
    pub text: String,
    /// Tool calls of an assistant message, each with its id.
    pub calls: Vec<(String, Call)>,
    /// For a tool result: the id of its call, and the name of the tool if the message specifies it.
    pub answers: Option<(String, Option<String>)>,
}

/// Role of a message's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The application: `system`, or `developer` in newer clients.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool, with its result.
    Tool,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    tool_calls: Option<Value>,
    #[serde(default)]
    tool_call_id: Option<Value>,
    #[serde(default)]
    name: Option<Value>,
}

impl Message {
    /// Parses the message at `index`.
    pub(super) fn parse(index: usize, raw: &RawValue) -> Result<Self, Invalid> {
        let at = |field: &str| format!("messages[{index}].{field}");
        let whole = || Invalid::request(format!("messages[{index}]"), format!("messages[{index}] must be an object"));
        let fields: Fields<'_> = match raw.get().starts_with('{') {
            true => serde_json::from_str(raw.get()).map_err(|_| whole())?,
            false => return Err(whole()),
        };
        let missing =
            |field: &str| Invalid::request(at(field), format!("messages[{index}] is missing required field: {field}"));
        let role: Value = fields.role.and_then(|role| serde_json::from_str(role.get()).ok()).unwrap_or_default();
        let role = match role.as_str() {
            None if role.is_null() => return Err(missing("role")),
            Some("system" | "developer") => Role::System,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("tool") => Role::Tool,
            _ => {
                let message = format!("messages[{index}].role must be 'system', 'user', 'assistant', or 'tool'");
                return Err(Invalid::request(at("role"), message));
            }
        };
        let text = fields.content.map(|content| text(index, content)).transpose()?;
        let missing = |field: &str| match role {
            Role::Tool => {
                let message = format!("messages[{index}] with role 'tool' is missing required field: {field}");
                Invalid::request(at(field), message)
            }
            _ => missing(field),
        };
        let calls = match (role, fields.tool_calls) {
            (Role::Assistant, Some(calls)) => Some(parse_calls(index, &calls)?),
            _ => None,
        };
        let answers = match (role, fields.tool_call_id) {
            (Role::Tool, Some(Value::String(id))) if !id.is_empty() => {
                Some((id, fields.name.as_ref().and_then(Value::as_str).map(str::to_owned)))
            }
            (Role::Tool, _) => return Err(missing("tool_call_id")),
            _ => None,
        };
        let text = match text {
            None if calls.is_none() => return Err(missing("content")),
            text => text.unwrap_or_default(),
        };
        Ok(Self { role, text, calls: calls.unwrap_or_default(), answers })
    }
}

fn text(index: usize, content: &RawValue) -> Result<String, Invalid> {
    let content: Value = serde_json::from_str(content.get()).unwrap_or_default();
    let at = format!("messages[{index}].content");
    let parts = match content {
        Value::String(text) => return Ok(text),
        Value::Array(parts) => parts,
        _ => {
            let message = format!("{at} must be a string or an array of parts");
            return Err(Invalid::request(at, message));
        }
    };
    let mut texts = Vec::with_capacity(parts.len());
    for (part_index, part) in parts.iter().enumerate() {
        let at = format!("{at}[{part_index}]");
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        let text = match kind {
            "text" => part.get("text"),
            // OpenAI's assistants send this in place of an answer.
            "refusal" => part.get("refusal"),
            "" => {
                let message = format!("{at} is missing required field: type");
                return Err(Invalid::request(at, message));
            }
            _ => {
                let message = format!(
                    "{at} of type `{kind}` is not supported, because only text is sent to chat.qwen.ai; remove the \
                     part, or describe it as text"
                );
                return Err(Invalid { message, param: Some(at), code: "unsupported_content" });
            }
        };
        let Some(text) = text.and_then(Value::as_str) else {
            let message = format!("{at} is missing required field: {kind}");
            return Err(Invalid::request(at, message));
        };
        texts.push(text);
    }
    Ok(texts.join("\n"))
}

fn parse_calls(index: usize, calls: &Value) -> Result<Vec<(String, Call)>, Invalid> {
    let read = |call: &Value| {
        let function = call.get("function")?;
        let id = call.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = function.get("name")?.as_str()?.to_owned();
        let arguments = match function.get("arguments") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(Value::String(text)) if text.trim().is_empty() => "{}".to_owned(),
            Some(Value::String(text)) => text.clone(),
            // Some clients send the arguments as JSON instead of a string.
            Some(value) => value.to_string(),
        };
        Some((id, Call { name, arguments }))
    };
    let at = format!("messages[{index}].tool_calls");
    let invalid = |at: String| {
        let message = format!(
            "{at} must be a function call like {{\"id\":…,\"type\":\"function\",\"function\":{{\"name\":…,\"arguments\":\"{{}}\"}}}}"
        );
        Invalid::request(at, message)
    };
    let calls = calls.as_array().ok_or_else(|| Invalid::request(at.as_str(), format!("{at} must be an array")))?;
    calls.iter().enumerate().map(|(n, call)| read(call).ok_or_else(|| invalid(format!("{at}[{n}]")))).collect()
}

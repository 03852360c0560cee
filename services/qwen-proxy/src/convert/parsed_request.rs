//! A validated chat request.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use signalbox_core::conversation;

use super::invalid::Invalid;
use super::message::{Message, Role};
use crate::tools::Tools;

/// Model of requests that do not specify one.
const DEFAULT_MODEL: &str = "qwen3-max";

/// A validated OpenAI chat request, reduced to the features of chat.qwen.ai.
#[derive(Clone, Debug)]
pub struct ParsedRequest {
    /// Model to use.
    pub model: String,
    /// Whether the response is streamed as events.
    pub stream: bool,
    /// Value of `stream_options.include_usage`.
    pub include_usage: bool,
    /// Conversation so far, oldest message first, with at least one user message.
    pub messages: Vec<Message>,
    /// Tools that may be called; also empty if `tool_choice` is `none`.
    pub tools: Tools,
    /// Tools that must be called.
    pub must_call: MustCall,
}

/// Tool calls that the client requires (`tool_choice`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MustCall {
    /// None: the model decides.
    #[default]
    Nothing,
    /// Any tool.
    Any,
    /// The named tool.
    Tool(String),
}

/// The supported fields as raw JSON, so that an error can name the invalid field.
#[derive(Deserialize)]
pub(super) struct Fields<'a> {
    #[serde(borrow, default)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) stream: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) stream_options: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) prompt: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Invalid> {
        // serde would also accept an array of the fields.
        if body.trim_ascii_start().first().is_some_and(|&first| first != b'{') {
            let message = "the request body must be a JSON object";
            return Err(Invalid { message: message.into(), param: None, code: "invalid_json" });
        }
        serde_json::from_slice(body).map_err(|error| Invalid::json(&error))
    }

    /// Returns the model, or `default` if none is specified.
    pub(super) fn model(&self, default: &str) -> Result<String, Invalid> {
        let model: Option<String> = read(self.model, "model", "must be a string")?;
        Ok(model.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| default.to_owned()))
    }

    pub(super) fn stream(&self) -> Result<bool, Invalid> {
        Ok(read(self.stream, "stream", "must be a boolean")?.unwrap_or_default())
    }

    pub(super) fn include_usage(&self) -> Result<bool, Invalid> {
        #[derive(Deserialize)]
        struct Options {
            #[serde(default)]
            include_usage: Option<bool>,
        }
        let options: Option<Options> =
            read(self.stream_options, "stream_options", "must be an object like {\"include_usage\":true}")?;
        Ok(options.and_then(|options| options.include_usage).unwrap_or_default())
    }
}

impl ParsedRequest {
    /// Parses the body of `POST /v1/chat/completions`.
    ///
    /// # Errors
    /// Returns [`Invalid`] for an invalid request, or one that chat.qwen.ai does not support.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        Self::read(body).map_err(|invalid| invalid.explained_by(body))
    }

    fn read(body: &[u8]) -> Result<Self, Invalid> {
        let fields = Fields::parse(body)?;
        let (tools, must_call) = tools(&fields)?;
        Ok(Self {
            model: fields.model(DEFAULT_MODEL)?,
            stream: fields.stream()?,
            include_usage: fields.include_usage()?,
            messages: messages(fields.messages)?,
            tools,
            must_call,
        })
    }

    /// Returns `true` if the conversation contains no answer yet.
    #[must_use]
    pub fn is_first_turn(&self) -> bool {
        self.messages.iter().all(|message| message.role != Role::Assistant)
    }

    /// Returns the text of the first user message.
    #[must_use]
    pub fn first_user_text(&self) -> &str {
        self.messages.iter().find(|message| message.role == Role::User).map_or("", |message| &message.text)
    }

    /// Returns the hash of the first exchange; `None` on a first turn.
    #[must_use]
    pub fn opening_hash(&self) -> Option<String> {
        let answer = self.messages.iter().find(|message| message.role == Role::Assistant)?;
        Some(conversation::opening_hash(self.first_user_text(), &answer.text))
    }

    /// Returns the messages after the last answer, which the upstream has not seen.
    pub(super) fn new_messages(&self) -> &[Message] {
        &self.messages[self.history().len()..]
    }

    /// Returns the messages up to and including the last answer; empty on a first turn.
    pub(super) fn history(&self) -> &[Message] {
        let answer = self.messages.iter().rposition(|message| message.role == Role::Assistant);
        &self.messages[..answer.map_or(0, |at| at + 1)]
    }
}

fn messages(field: Option<&RawValue>) -> Result<Vec<Message>, Invalid> {
    let invalid = |message: &str| Invalid::request("messages", message);
    let raw: Option<Vec<&RawValue>> = field.and_then(|field| serde_json::from_str(field.get()).ok());
    let raw = raw.ok_or_else(|| invalid("messages must be an array"))?;
    if raw.is_empty() {
        return Err(invalid("messages array cannot be empty"));
    }
    let messages =
        raw.iter().enumerate().map(|(index, raw)| Message::parse(index, raw)).collect::<Result<Vec<_>, _>>()?;
    let user = messages.iter().find(|message| message.role == Role::User);
    let user = user.ok_or_else(|| invalid("messages must contain at least one user message"))?;
    if user.text.trim().is_empty() {
        return Err(invalid("First user message must have non-empty text content"));
    }
    Ok(messages)
}

fn tools(fields: &Fields<'_>) -> Result<(Tools, MustCall), Invalid> {
    let declared: Vec<Value> = read(fields.tools, "tools", "must be an array")?.unwrap_or_default();
    let tools = Tools::parse(&declared).map_err(|error| Invalid::request(error.param(), error.to_string()))?;
    let choice: Value = read(fields.tool_choice, "tool_choice", "must be a string or an object")?.unwrap_or_default();
    let name = choice.pointer("/function/name").and_then(Value::as_str);
    match (choice.as_str(), name) {
        (Some("none"), _) => Ok((Tools::default(), MustCall::Nothing)),
        _ if tools.is_empty() => Ok((tools, MustCall::Nothing)),
        (Some("required"), _) => Ok((tools, MustCall::Any)),
        (_, Some(name)) if tools.get(name).is_none() => {
            let message =
                format!("tool_choice names `{name}`, which is not in `tools`; declare it, or choose another tool");
            Err(Invalid::request("tool_choice", message))
        }
        (_, Some(name)) => Ok((tools, MustCall::Tool(name.to_owned()))),
        (Some("auto"), _) => Ok((tools, MustCall::Nothing)),
        _ if choice.is_null() => Ok((tools, MustCall::Nothing)),
        _ => Err(Invalid::request(
            "tool_choice",
            "tool_choice must be \"none\", \"auto\", \"required\" or {\"type\":\"function\",\"function\":{\"name\":…}}",
        )),
    }
}

/// Parses a field; null counts as absent. The error message contains the `rule`.
pub(super) fn read<'a, T: Deserialize<'a>>(
    field: Option<&'a RawValue>,
    name: &str,
    rule: &str,
) -> Result<Option<T>, Invalid> {
    let read = |field: &'a RawValue| serde_json::from_str(field.get());
    field.map(read).transpose().map_err(|_| Invalid::request(name, format!("{name} {rule}")))
}

#[cfg(test)]
mod tests;

//! Reads the messages of Chat Completions.

use crate::error::{Problem, RequestError};
use crate::field::{Fields, Path, Raw};
use crate::hub::{
    Block, Cache, CallKind, Image, Media, Message, Role, Source, Text, Thinking, ToolCall, ToolResult, Ttl,
};
use crate::read::{check_base64, part, push, source_of_url, unknown_kind};

pub(super) fn read_messages(messages: &[Raw<'_>]) -> Result<Vec<Message>, RequestError> {
    let list = Path::Name(&Path::Root, "messages");
    let mut read: Vec<Message> = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        read_message(*message, &Path::Index(&list, index), &mut read)?;
    }
    Ok(read)
}

fn read_message(value: Raw<'_>, at: &Path<'_>, messages: &mut Vec<Message>) -> Result<(), RequestError> {
    let mut fields =
        value.fields().ok_or_else(|| RequestError::new(Problem::WrongType, at, "It must be an object."))?;
    let role = fields.need_str("role", at)?;
    match role.as_str() {
        "system" | "developer" | "user" => {
            let role = match role.as_str() {
                "system" => Role::System,
                "developer" => Role::Developer,
                _ => Role::User,
            };
            let blocks = read_content(&mut fields, at)?;
            push(messages, role, blocks, at, false);
        }
        "assistant" => {
            let blocks = read_assistant(&mut fields, at)?;
            push(messages, Role::Assistant, blocks, at, false);
        }
        "tool" | "function" => {
            let id = if role == "tool" { "tool_call_id" } else { "name" };
            let call_id = fields.need_str(id, at)?;
            let content = read_content(&mut fields, at)?;
            let kind = CallKind::Function;
            let result = ToolResult { call_id, kind, content, is_error: false, cache: None };
            let joins = messages.last().is_some_and(|last| {
                last.blocks.iter().all(|block| matches!(block, Block::ToolResult(_))) && !last.blocks.is_empty()
            });
            push(messages, Role::User, vec![Block::ToolResult(result)], at, joins);
        }
        other => return Err(unknown_kind(&Path::Name(at, "role"), other)),
    }
    if let (Some(name), Some(last)) = (fields.string("name"), messages.last_mut()) {
        last.name = Some(name);
    }
    Ok(())
}

fn read_assistant(fields: &mut Fields<'_>, at: &Path<'_>) -> Result<Vec<Block>, RequestError> {
    let mut blocks = Vec::new();
    let reasoning = fields.take_str("reasoning_content", at)?;
    if let Some(text) = fields.take_str("reasoning", at)?.or(reasoning) {
        blocks.push(Block::Thinking(Thinking { text, signature: None }));
    }
    blocks.extend(read_content(fields, at)?);
    if let Some(refusal) = fields.take_str("refusal", at)? {
        blocks.push(Block::Refusal(refusal));
    }
    if let Some(calls) = fields.take_array("tool_calls", at)? {
        let list = Path::Name(at, "tool_calls");
        for (index, call) in calls.into_iter().enumerate() {
            blocks.push(read_call(call, &Path::Index(&list, index))?);
        }
    }
    if let Some(mut call) = fields.take_object("function_call", at)? {
        let name = call.need_str("name", &Path::Name(at, "function_call"))?;
        // The older form has no ids; its results name the function.
        let input = call.take_str("arguments", at)?.unwrap_or_default();
        blocks.push(Block::ToolCall(ToolCall {
            id: name.clone(),
            name,
            namespace: None,
            kind: CallKind::Function,
            input,
            cache: None,
            extra: None,
        }));
    }
    Ok(blocks)
}

fn read_call(value: Raw<'_>, at: &Path<'_>) -> Result<Block, RequestError> {
    let mut fields =
        value.fields().ok_or_else(|| RequestError::new(Problem::WrongType, at, "It must be an object."))?;
    let id = fields.need_str("id", at)?;
    let (kind, inner, input) = match fields.str("type").as_deref() {
        None | Some("function") => (CallKind::Function, "function", "arguments"),
        Some("custom") => (CallKind::Custom, "custom", "input"),
        Some(other) => return Err(unknown_kind(at, other)),
    };
    let inner_at = Path::Name(at, inner);
    let mut call = fields.take_object(inner, at)?.unwrap_or_default();
    let name = call.need_str("name", &inner_at)?;
    let input = match call.take(input) {
        None => String::new(),
        Some(text) if text.is_string() => text.str().unwrap_or_default().into_owned(),
        Some(json) => json.as_str().to_owned(),
    };
    Ok(Block::ToolCall(ToolCall { id, name, namespace: None, kind, input, cache: None, extra: None }))
}

/// Reads `content`: a string or a list of parts.
fn read_content(fields: &mut Fields<'_>, at: &Path<'_>) -> Result<Vec<Block>, RequestError> {
    let Some(content) = fields.take("content") else { return Ok(Vec::new()) };
    if let Some(text) = content.str() {
        return Ok(vec![Block::text(text)]);
    }
    let list = Path::Name(at, "content");
    let parts = content
        .elements()
        .ok_or_else(|| RequestError::new(Problem::WrongType, &list, "It must be a string or a list of parts."))?;
    let parts = parts.into_iter().enumerate();
    parts.map(|(index, part)| read_part(part, &Path::Index(&list, index))).collect()
}

fn read_part(value: Raw<'_>, at: &Path<'_>) -> Result<Block, RequestError> {
    let (kind, mut fields) = part(value, at)?;
    let cache = read_breakpoint(&fields);
    Ok(match &*kind {
        "text" | "input_text" | "output_text" => {
            Block::Text(Text { text: fields.need_str("text", at)?, cache, ..Text::default() })
        }
        "refusal" => Block::Refusal(fields.need_str("refusal", at)?),
        "image_url" => {
            let inner = fields.take("image_url");
            let (url, detail) = match inner.and_then(Raw::fields) {
                Some(inner) => (inner.string("url"), inner.string("detail")),
                None => (inner.and_then(Raw::str).map(Into::into), None),
            };
            let at = Path::Name(at, "image_url");
            let url = url.ok_or_else(|| RequestError::new(Problem::Missing, &at, "The field is required."))?;
            Block::Image(Image { source: source_of_url(url, &at)?, detail, cache })
        }
        "input_audio" => {
            let at = Path::Name(at, "input_audio");
            let mut audio = fields.take_object("input_audio", &at)?.unwrap_or_default();
            let data = audio.need_str("data", &at)?;
            check_base64(&data, &at)?;
            Block::Audio { data, format: audio.need_str("format", &at)? }
        }
        "file" => {
            let inner = fields.take_object("file", at)?.unwrap_or_default();
            let source = read_file(inner.string("file_data"), inner.string("file_id"), None, &Path::Name(at, "file"))?;
            let title = inner.string("filename");
            Block::Document(Media { source, title, context: None, citations: None, cache })
        }
        // Mistral's form of thinking within the content.
        "thinking" => Block::Thinking(Thinking { text: thinking_text(&fields), signature: fields.string("signature") }),
        other => return Err(unknown_kind(at, other)),
    })
}

fn thinking_text(fields: &Fields<'_>) -> String {
    let value = fields.get("thinking");
    if let Some(text) = value.and_then(Raw::str) {
        return text.into_owned();
    }
    let texts = fields.elements("thinking").into_iter();
    texts.filter_map(|part| part.fields()?.string("text")).collect::<Vec<_>>().concat()
}

/// Reads the source of a file: data, an id or an address.
pub(crate) fn read_file(
    data: Option<String>,
    id: Option<String>,
    url: Option<String>,
    at: &Path<'_>,
) -> Result<Source, RequestError> {
    match (data, id, url) {
        (Some(data), _, _) if data.starts_with("data:") => source_of_url(data, at),
        (Some(data), _, _) => {
            check_base64(&data, at)?;
            Ok(Source::Base64 { media_type: "application/pdf".into(), data })
        }
        (None, Some(id), _) => Ok(Source::File(id)),
        (None, None, Some(url)) => Ok(Source::Url(url)),
        (None, None, None) => Err(RequestError::new(Problem::Missing, at, "Send the data or an id of the file.")),
    }
}

/// Reads `prompt_cache_breakpoint`.
pub(crate) fn read_breakpoint(fields: &Fields<'_>) -> Option<Cache> {
    let point = fields.object("prompt_cache_breakpoint")?;
    let ttl = match point.str("ttl").as_deref() {
        Some("12h") => Some(Ttl::Long),
        Some("30m") => Some(Ttl::Short),
        _ => None,
    };
    Some(Cache { ttl })
}

//! Pieces that the readers of the three APIs share.

use std::borrow::Cow;
use std::collections::HashSet;

use signalbox_core::json::Reader;

use crate::error::{Problem, RequestError};
use crate::field::{Fields, Path, Raw};
use crate::hub::{Block, Json, Message, Request, Role, Source};

/// Reads the body of a request as an object. Returns its fields.
pub(crate) fn body(json: &[u8]) -> Result<Fields<'_>, RequestError> {
    let malformed = |advice: &str| RequestError::new(Problem::Malformed, &Path::Root, advice);
    let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
    let text = std::str::from_utf8(json).map_err(|_| malformed("It is not UTF-8."))?;
    let mut reader = Reader::new(json);
    if reader.skip().and_then(|()| reader.end()).is_none() {
        return Err(malformed("Send valid JSON."));
    }
    Raw::document(text).fields().ok_or_else(|| malformed("Send a JSON object."))
}

/// Reads a part that is an object with a `type`.
pub(crate) fn part<'a>(value: Raw<'a>, at: &Path<'_>) -> Result<(Cow<'a, str>, Fields<'a>), RequestError> {
    let fields = value.fields().ok_or_else(|| RequestError::new(Problem::WrongType, at, "It must be an object."))?;
    let kind = fields
        .str("type")
        .ok_or_else(|| RequestError::new(Problem::Missing, &Path::Name(at, "type"), "The field is required."))?;
    Ok((kind, fields))
}

pub(crate) fn unknown_kind(at: &Path<'_>, kind: &str) -> RequestError {
    let kind: String = kind.chars().take(64).collect();
    RequestError::new(Problem::UnknownKind, at, &format!("`{kind}` is not defined here."))
}

/// Splits a data URL; any other address is kept.
pub(crate) fn source_of_url(url: String, at: &Path<'_>) -> Result<Source, RequestError> {
    let Some((head, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(',')) else {
        return Ok(Source::Url(url));
    };
    let mut head = head.split(';');
    let media_type = head.next().unwrap_or_default();
    if !head.any(|word| word == "base64") {
        return Err(RequestError::new(Problem::Base64, at, "A data URL must be marked as base64."));
    }
    check_base64(data, at)?;
    Ok(Source::Base64 { media_type: media_type.into(), data: data.into() })
}

/// Checks the alphabet and the padding of base64. Line breaks are not accepted.
pub(crate) fn check_base64(data: &str, at: &Path<'_>) -> Result<(), RequestError> {
    let text = data.trim_end_matches('=');
    let padding = data.len() - text.len();
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let is_complete = (padding == 0 && text.len() % 4 != 1) || (padding <= 2 && data.len().is_multiple_of(4));
    if !data.is_empty() && is_complete && text.bytes().all(is_known) {
        return Ok(());
    }
    Err(RequestError::new(Problem::Base64, at, "Encode the data again."))
}

/// Adds blocks to the conversation: to the last message if it has the same role and `joins` says so.
pub(crate) fn push(messages: &mut Vec<Message>, role: Role, blocks: Vec<Block>, at: &Path<'_>, joins: bool) {
    match messages.last_mut().filter(|last| joins && last.role == role) {
        Some(last) => last.blocks.extend(blocks),
        None => messages.push(Message::new(role, blocks, at.to_string())),
    }
}

/// Checks that every tool result follows its call.
pub(crate) fn check_results(request: &Request) -> Result<(), RequestError> {
    let mut calls = HashSet::new();
    for message in &request.messages {
        for block in &message.blocks {
            match block {
                Block::ToolCall(call) => {
                    calls.insert(call.id.as_str());
                }
                Block::ToolResult(result) if !calls.contains(result.call_id.as_str()) => {
                    let advice = "Send the message with the call before it.";
                    return Err(RequestError::new(Problem::Orphan, &message.at, advice));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Keeps the members that are left for the writers.
pub(crate) fn extras(fields: Fields<'_>) -> Vec<(String, Json)> {
    fields.rest().map(|(name, value)| (name.into_owned(), value.to_json())).collect()
}

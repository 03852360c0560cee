//! Reads the blocks of Messages.

use crate::Api;
use crate::error::{Problem, RequestError};
use crate::field::{Fields, Path, Raw};
use crate::hub::{Block, Cache, CallKind, Image, Media, Source, Text, Thinking, ToolCall, ToolResult, Ttl};
use crate::read::{check_base64, part, unknown_kind};

/// Server tools, their results, and other blocks that only this API has.
const OWN: [&str; 14] = [
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
    "compaction",
    "tool_reference",
    "browser_state",
    "fallback",
];

/// Reads content: a string or a list of blocks.
pub(super) fn read_blocks(content: Raw<'_>, at: &Path<'_>) -> Result<Vec<Block>, RequestError> {
    if let Some(text) = content.str() {
        return Ok(vec![Block::text(text)]);
    }
    let wrong = || RequestError::new(Problem::WrongType, at, "It must be a string or a list of blocks.");
    let blocks = content.elements().ok_or_else(wrong)?.into_iter().enumerate();
    blocks.map(|(index, block)| read_block(block, &Path::Index(at, index))).collect()
}

fn read_block(value: Raw<'_>, at: &Path<'_>) -> Result<Block, RequestError> {
    let (kind, mut fields) = part(value, at)?;
    let cache = read_cache(&fields);
    Ok(match &*kind {
        "text" => Block::Text(Text {
            text: fields.need_str("text", at)?,
            citations: fields.take("citations").filter(|list| list.as_str() != "[]").map(Raw::to_json),
            cache,
            phase: None,
        }),
        "image" => Block::Image(Image { source: read_source(&mut fields, at)?, detail: None, cache }),
        "document" => Block::Document(Media {
            source: read_source(&mut fields, at)?,
            title: fields.take_str("title", at)?,
            context: fields.take_str("context", at)?,
            citations: fields.take("citations").filter(|value| !is_disabled(*value)).map(Raw::to_json),
            cache,
        }),
        "search_result" => read_search_result(&fields, cache),
        "thinking" => Block::Thinking(Thinking {
            text: fields.take_str("thinking", at)?.unwrap_or_default(),
            signature: fields.take_str("signature", at)?.filter(|signature| !signature.is_empty()),
        }),
        "redacted_thinking" => Block::RedactedThinking { data: fields.need_str("data", at)? },
        "tool_use" => Block::ToolCall(ToolCall {
            id: fields.need_str("id", at)?,
            name: fields.need_str("name", at)?,
            namespace: None,
            kind: CallKind::Function,
            input: read_input(fields.take("input"), at)?,
            cache,
            extra: None,
        }),
        "tool_result" => Block::ToolResult(ToolResult {
            call_id: fields.need_str("tool_use_id", at)?,
            kind: CallKind::Function,
            content: match fields.take("content") {
                Some(content) => read_blocks(content, &Path::Name(at, "content"))?,
                None => Vec::new(),
            },
            is_error: fields.take_bool("is_error", at)?.unwrap_or_default(),
            cache,
        }),
        own if OWN.contains(&own) => Block::Opaque { api: Api::Messages, kind: own.into(), json: value.to_json() },
        other => return Err(unknown_kind(at, other)),
    })
}

fn is_disabled(citations: Raw<'_>) -> bool {
    citations.fields().is_some_and(|citations| citations.get("enabled").and_then(Raw::bool) != Some(true))
}

/// Keeps the input of a call as it is written.
fn read_input(input: Option<Raw<'_>>, at: &Path<'_>) -> Result<String, RequestError> {
    match input {
        None => Ok("{}".into()),
        Some(input) if input.is_object() => Ok(input.as_str().into()),
        Some(_) => Err(RequestError::new(Problem::WrongType, &Path::Name(at, "input"), "It must be an object.")),
    }
}

/// Reads a search result as a document, which other APIs have too.
fn read_search_result(fields: &Fields<'_>, cache: Option<Cache>) -> Block {
    let texts = fields.elements("content").into_iter().filter_map(|part| part.fields()?.string("text"));
    Block::Document(Media {
        source: Source::Text(texts.collect::<Vec<_>>().join("\n")),
        title: fields.string("title"),
        context: fields.string("source"),
        citations: fields.get("citations").filter(|value| !is_disabled(*value)).map(Raw::to_json),
        cache,
    })
}

fn read_source(fields: &mut Fields<'_>, at: &Path<'_>) -> Result<Source, RequestError> {
    let source_at = Path::Name(at, "source");
    let mut source = fields
        .take_object("source", at)?
        .ok_or_else(|| RequestError::new(Problem::Missing, &source_at, "The field is required."))?;
    Ok(match source.need_str("type", &source_at)?.as_str() {
        "base64" => {
            let data = source.need_str("data", &source_at)?;
            check_base64(&data, &source_at)?;
            Source::Base64 { media_type: source.need_str("media_type", &source_at)?, data }
        }
        "url" => Source::Url(source.need_str("url", &source_at)?),
        "file" => Source::File(source.need_str("file_id", &source_at)?),
        "text" => Source::Text(source.need_str("data", &source_at)?),
        "content" => {
            let content = source.take("content");
            let text = content.and_then(Raw::str).map_or_else(
                || {
                    let parts = content.and_then(Raw::elements).unwrap_or_default().into_iter();
                    let texts = parts.filter_map(|part| part.fields()?.string("text"));
                    texts.collect::<Vec<_>>().join("\n")
                },
                Into::into,
            );
            Source::Text(text)
        }
        other => return Err(unknown_kind(&source_at, other)),
    })
}

/// Reads `cache_control`.
pub(super) fn read_cache(fields: &Fields<'_>) -> Option<Cache> {
    let control = fields.object("cache_control")?;
    let ttl = match control.str("ttl").as_deref() {
        Some("1h") => Some(Ttl::Long),
        Some("5m") => Some(Ttl::Short),
        _ => None,
    };
    Some(Cache { ttl })
}

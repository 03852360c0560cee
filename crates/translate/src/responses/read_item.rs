//! Reads the items of Responses.

use std::collections::{HashMap, HashSet};

use signalbox_core::typed::SeenItem;

use super::handle;
use super::items::{is_again, seen};
use crate::Api;
use crate::chat::{read_breakpoint, read_file};
use crate::error::{Problem, RequestError};
use crate::field::{Fields, Path, Raw};
use crate::hub::{Block, CallKind, Image, Json, Media, Message, Reasoning, Role, Source, Text, ToolCall, ToolResult};
use crate::read::{check_base64, part, push, source_of_url, unknown_kind};

/// Items of tools and features that only this API has.
const OWN: [&str; 31] = [
    "additional_tools",
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "compaction_summary",
    "compaction_trigger",
    "computer_call",
    "computer_call_output",
    "configuration_update",
    "file_search_call",
    "ghost_snapshot",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "program",
    "program_output",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "tool_search_call_output",
    "web_search_call",
    "web_fetch_call",
    "memory_call",
    "memory_call_output",
    "context_compaction",
];

/// The stored items that references may name.
pub(super) struct Items<'s> {
    by_id: HashMap<String, &'s Json>,
    /// Items that are part of the conversation already.
    used: HashSet<String>,
    /// Stored items that are part of the conversation, by their ids.
    stored: HashMap<String, SeenItem>,
    /// Stored calls without results, by the ids of the calls.
    calls: HashMap<String, SeenItem>,
}

// === impl Items ===

impl<'s> Items<'s> {
    pub(super) fn new(stored: &'s [Json]) -> Self {
        let id = |item: &Json| Raw::document(item.as_str()).fields()?.string("id");
        let by_id = stored.iter().filter_map(|item| Some((id(item)?, item))).collect();
        Self { by_id, used: HashSet::new(), stored: HashMap::new(), calls: HashMap::new() }
    }

    /// Notes an item that the conversation continues.
    pub(super) fn note(&mut self, item: Raw<'_>) {
        let Some(fields) = item.fields() else { return };
        let seen = seen(None, &fields);
        if fields.str("type").is_some_and(|kind| kind.ends_with("_output")) {
            self.calls.remove(&seen.call_id);
        } else if !seen.call_id.is_empty() {
            self.calls.insert(seen.call_id.clone(), seen.clone());
        }
        if !seen.id.is_empty() {
            self.stored.insert(seen.id.clone(), seen);
        }
    }

    /// Returns whether a client sends an item that the conversation has already: some send the answer again that they
    /// continue.
    pub(super) fn is_again(&self, item: Raw<'_>) -> bool {
        let Some(seen) = item.fields().map(|fields| seen(None, &fields)) else { return false };
        let known = self.stored.get(&seen.id).or_else(|| self.calls.get(&seen.call_id));
        known.is_some_and(|known| is_again(&seen, known))
    }
}

/// Reads an item and adds it to the conversation.
pub(super) fn read_item(
    value: Raw<'_>,
    at: &Path<'_>,
    items: &mut Items<'_>,
    messages: &mut Vec<Message>,
) -> Result<(), RequestError> {
    let mut fields =
        value.fields().ok_or_else(|| RequestError::new(Problem::WrongType, at, "It must be an object."))?;
    // The type of a message may be left out.
    let kind = fields.str("type").unwrap_or_else(|| "message".into());
    let is_new = fields.string("id").is_none_or(|id| items.used.insert(id));
    match &*kind {
        "message" => read_message(&mut fields, at, messages)?,
        "reasoning" => push(messages, Role::Assistant, vec![read_reasoning(&fields)], at, true),
        "function_call" | "custom_tool_call" => {
            let (kind, input) =
                if kind == "function_call" { (CallKind::Function, "arguments") } else { (CallKind::Custom, "input") };
            let call = ToolCall {
                id: fields.need_str("call_id", at)?,
                name: fields.need_str("name", at)?,
                namespace: fields.take_str("namespace", at)?,
                kind,
                input: fields.take_str(input, at)?.unwrap_or_default(),
                cache: None,
                extra: None,
            };
            push(messages, Role::Assistant, vec![Block::ToolCall(call)], at, true);
        }
        "function_call_output" | "custom_tool_call_output" => {
            let kind = if kind == "function_call_output" { CallKind::Function } else { CallKind::Custom };
            let call_id = fields.need_str("call_id", at)?;
            let content = match fields.take("output") {
                Some(output) => read_content(output, &Path::Name(at, "output"))?,
                None => Vec::new(),
            };
            let result = ToolResult { call_id, kind, content, is_error: false, cache: None };
            let joins = messages.last().is_some_and(|last| {
                !last.blocks.is_empty() && last.blocks.iter().all(|block| matches!(block, Block::ToolResult(_)))
            });
            push(messages, Role::User, vec![Block::ToolResult(result)], at, joins);
        }
        "item_reference" => {
            let id = fields.need_str("id", at)?;
            let Some(item) = items.by_id.get(&id).copied() else {
                return Err(RequestError::new(Problem::Unresolved, at, "Send the item itself."));
            };
            if is_new {
                return read_item(Raw::document(item.as_str()), at, items, messages);
            }
        }
        own if OWN.contains(&own) => {
            let block = Block::Opaque { api: Api::Responses, kind: own.into(), json: value.to_json() };
            push(messages, Role::Assistant, vec![block], at, true);
        }
        other => return Err(unknown_kind(at, other)),
    }
    Ok(())
}

fn read_message(fields: &mut Fields<'_>, at: &Path<'_>, messages: &mut Vec<Message>) -> Result<(), RequestError> {
    let role = match fields.need_str("role", at)?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        other => return Err(unknown_kind(&Path::Name(at, "role"), other)),
    };
    let phase = fields.take_str("phase", at)?;
    let content_at = Path::Name(at, "content");
    let content = fields
        .take("content")
        .ok_or_else(|| RequestError::new(Problem::Missing, &content_at, "The field is required."))?;
    let mut blocks = read_content(content, &content_at)?;
    for block in &mut blocks {
        if let Block::Text(text) = block {
            text.phase.clone_from(&phase);
        }
    }
    push(messages, role, blocks, at, role == Role::Assistant);
    Ok(())
}

/// Reads content: a string or a list of parts.
fn read_content(content: Raw<'_>, at: &Path<'_>) -> Result<Vec<Block>, RequestError> {
    if let Some(text) = content.str() {
        return Ok(vec![Block::text(text)]);
    }
    let wrong = || RequestError::new(Problem::WrongType, at, "It must be a string or a list of parts.");
    let parts = content.elements().ok_or_else(wrong)?.into_iter().enumerate();
    parts.map(|(index, part)| read_part(part, &Path::Index(at, index))).collect()
}

fn read_part(value: Raw<'_>, at: &Path<'_>) -> Result<Block, RequestError> {
    let (kind, mut fields) = part(value, at)?;
    let cache = read_breakpoint(&fields);
    Ok(match &*kind {
        "input_text" | "output_text" | "text" => Block::Text(Text {
            text: fields.need_str("text", at)?,
            citations: fields.take("annotations").filter(|list| list.as_str() != "[]").map(Raw::to_json),
            cache,
            phase: None,
        }),
        "refusal" => Block::Refusal(fields.need_str("refusal", at)?),
        "input_image" | "image_url" => {
            let detail = fields.take_str("detail", at)?.filter(|detail| detail != "auto");
            let url = fields.take("image_url");
            let url = url.and_then(|url| url.str().or_else(|| url.fields()?.str("url")));
            let source = match (url, fields.take_str("file_id", at)?) {
                (Some(url), _) => source_of_url(url.into_owned(), &Path::Name(at, "image_url"))?,
                (None, Some(id)) => Source::File(id),
                (None, None) => return Err(RequestError::new(Problem::Missing, &Path::Name(at, "image_url"), "")),
            };
            Block::Image(Image { source, detail, cache })
        }
        "input_file" => {
            let (data, id) = (fields.take_str("file_data", at)?, fields.take_str("file_id", at)?);
            let source = read_file(data, id, fields.take_str("file_url", at)?, at)?;
            let title = fields.take_str("filename", at)?;
            Block::Document(Media { source, title, context: None, citations: None, cache })
        }
        "input_audio" => {
            let at = Path::Name(at, "input_audio");
            let mut audio = fields.take_object("input_audio", &at)?.unwrap_or_default();
            let data = audio.need_str("data", &at)?;
            check_base64(&data, &at)?;
            Block::Audio { data, format: audio.need_str("format", &at)? }
        }
        other => return Err(unknown_kind(at, other)),
    })
}

/// Reads a reasoning item, which may hold the handle of a thinking block.
fn read_reasoning(fields: &Fields<'_>) -> Block {
    if let Some(block) = fields.str("encrypted_content").and_then(|data| handle::read(&data)) {
        return block;
    }
    let texts = |name: &str| -> Vec<String> {
        fields.elements(name).into_iter().filter_map(|part| part.fields()?.string("text")).collect()
    };
    Block::Reasoning(Reasoning {
        id: fields.string("id"),
        summary: texts("summary"),
        text: texts("content").concat(),
        encrypted: fields.string("encrypted_content"),
    })
}

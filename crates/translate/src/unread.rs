//! Finds fields within messages that have no place in the hub, so that they can be reported.

use crate::Api;
use crate::field::{Fields, Path, Raw};

/// Maximum number of fields that are listed.
const MAX_LISTED: usize = 64;

/// Fields that tell nothing about the conversation: marks of storage, and what SDKs add for their own use.
const SILENT: [&str; 5] = ["id", "status", "type", "parsed_arguments", "parsed"];

/// The fields of an object that the readers know.
type Known = &'static [&'static str];

/// Looks for unknown fields in an element of a list.
type Visit = fn(Raw<'_>, &Path<'_>, &mut Vec<String>);

/// Lists the places of the fields that are left out, at most 64.
pub(crate) fn unread(api: Api, body: &Fields<'_>) -> Vec<String> {
    let mut list = Vec::new();
    let (name, item): (&str, Visit) = match api {
        Api::Chat => ("messages", chat_message),
        Api::Messages => ("messages", messages_message),
        Api::Responses => ("input", responses_item),
    };
    if let Some(system) = body.get("system").filter(|_| api == Api::Messages) {
        parts(system, &Path::Name(&Path::Root, "system"), messages_block, &mut list);
    }
    if let Some(messages) = body.get(name) {
        parts(messages, &Path::Name(&Path::Root, name), item, &mut list);
    }
    list
}

/// Visits the elements of a list; any other value has none.
fn parts(value: Raw<'_>, at: &Path<'_>, visit: Visit, list: &mut Vec<String>) {
    for (index, element) in value.elements().unwrap_or_default().into_iter().enumerate() {
        visit(element, &Path::Index(at, index), list);
    }
}

/// Notes the members of an object that are not known, and returns the object.
fn note<'a>(value: Raw<'a>, known: Known, at: &Path<'_>, list: &mut Vec<String>) -> Fields<'a> {
    let is_unknown = |name: &str| !known.contains(&name) && !SILENT.contains(&name);
    let others = value
        .fields()
        .unwrap_or_default()
        .rest()
        .filter(|(name, value)| is_unknown(name) && !matches!(value.as_str(), "[]" | "{}" | "\"\"" | "false"));
    for (name, _) in others.take(MAX_LISTED.saturating_sub(list.len())) {
        list.push(Path::Name(at, &name).to_string());
    }
    value.fields().unwrap_or_default()
}

fn chat_message(value: Raw<'_>, at: &Path<'_>, list: &mut Vec<String>) {
    const KNOWN: Known = &[
        "role",
        "content",
        "name",
        "refusal",
        "tool_calls",
        "function_call",
        "tool_call_id",
        "reasoning_content",
        "reasoning",
    ];
    let fields = note(value, KNOWN, at, list);
    if let Some(content) = fields.get("content") {
        parts(content, &Path::Name(at, "content"), chat_part, list);
    }
    if let Some(calls) = fields.get("tool_calls") {
        parts(calls, &Path::Name(at, "tool_calls"), chat_call, list);
    }
}

fn chat_call(value: Raw<'_>, at: &Path<'_>, list: &mut Vec<String>) {
    note(value, &["function", "custom", "index"], at, list);
}

fn chat_part(value: Raw<'_>, at: &Path<'_>, list: &mut Vec<String>) {
    const KNOWN: Known = &[
        "text",
        "refusal",
        "image_url",
        "input_audio",
        "file",
        "thinking",
        "signature",
        "closed",
        "prompt_cache_breakpoint",
    ];
    note(value, KNOWN, at, list);
}

fn messages_message(value: Raw<'_>, at: &Path<'_>, list: &mut Vec<String>) {
    let fields = note(value, &["role", "content"], at, list);
    if let Some(content) = fields.get("content") {
        parts(content, &Path::Name(at, "content"), messages_block, list);
    }
}

fn messages_block(value: Raw<'_>, at: &Path<'_>, list: &mut Vec<String>) {
    let kind = value.fields().and_then(|fields| fields.string("type")).unwrap_or_default();
    let known: Known = match kind.as_str() {
        "text" => &["text", "citations", "cache_control"],
        "image" => &["source", "cache_control"],
        "document" => &["source", "title", "context", "citations", "cache_control"],
        "search_result" => &["source", "title", "content", "citations", "cache_control"],
        "thinking" => &["thinking", "signature"],
        "redacted_thinking" => &["data"],
        "tool_use" => &["name", "input", "cache_control"],
        "tool_result" => &["tool_use_id", "content", "is_error", "cache_control"],
        // Carried or reported as a whole.
        _ => return,
    };
    let fields = note(value, known, at, list);
    if let Some(content) = fields.get("content").filter(|_| kind == "tool_result") {
        parts(content, &Path::Name(at, "content"), messages_block, list);
    }
}

fn responses_item(value: Raw<'_>, at: &Path<'_>, list: &mut Vec<String>) {
    let kind = value.fields().and_then(|fields| fields.string("type")).unwrap_or_else(|| "message".into());
    let known: Known = match kind.as_str() {
        "message" => &["role", "content", "phase"],
        "reasoning" => &["summary", "content", "encrypted_content"],
        "function_call" => &["call_id", "name", "arguments", "namespace"],
        "custom_tool_call" => &["call_id", "name", "input", "namespace"],
        "function_call_output" | "custom_tool_call_output" => &["call_id", "output"],
        _ => return,
    };
    let fields = note(value, known, at, list);
    let name = if kind == "message" { "content" } else { "output" };
    if let Some(content) = fields.get(name).filter(|_| kind != "reasoning") {
        parts(content, &Path::Name(at, name), responses_part, list);
    }
}

fn responses_part(value: Raw<'_>, at: &Path<'_>, list: &mut Vec<String>) {
    const KNOWN: Known = &[
        "text",
        "refusal",
        "annotations",
        "logprobs",
        "image_url",
        "file_id",
        "detail",
        "file_data",
        "file_url",
        "filename",
        "input_audio",
        "prompt_cache_breakpoint",
    ];
    note(value, KNOWN, at, list);
}

//! Writes the items of an answer.

use super::handle;
use crate::hub::{Block, CallKind, Json, Reasoning, Text};
use crate::out::Object;

/// Returns the prefix of the id of an item, and whether it is shown at all.
pub(super) const fn id_prefix(block: &Block) -> Option<&'static str> {
    match block {
        Block::Text(_) | Block::Refusal(_) => Some("msg"),
        Block::Thinking(_) | Block::RedactedThinking { .. } | Block::Reasoning(_) => Some("rs"),
        Block::ToolCall(call) => match call.kind {
            CallKind::Function => Some("fc"),
            CallKind::Custom => Some("ctc"),
        },
        _ => None,
    }
}

/// Writes the members of an item. An item that is not complete has its final parts left out.
pub(super) fn write_item(out: &mut Object<'_>, id: &str, block: &Block, is_complete: bool) {
    let status = if is_complete { "completed" } else { "in_progress" };
    out.str("id", id);
    match block {
        Block::Text(_) | Block::Refusal(_) => {
            out.str("type", "message");
            out.str("status", status);
            out.str("role", "assistant");
            if let Block::Text(Text { phase, .. }) = block {
                out.opt_str("phase", phase.as_deref());
            }
            out.array("content", |parts| {
                if is_complete {
                    parts.object(|part| write_part(part, block));
                }
            });
        }
        Block::Thinking(thinking) => {
            out.str("type", "reasoning");
            out.str("status", status);
            let is_carried = is_complete && (thinking.signature().is_some() || !thinking.text.is_empty());
            let encrypted = is_carried.then(|| handle::of_thinking(thinking));
            let text = if is_complete { thinking.text.clone() } else { String::new() };
            write_reasoning_content(out, &Reasoning { text, encrypted, ..Reasoning::default() });
        }
        Block::RedactedThinking { data } => {
            out.str("type", "reasoning");
            out.str("status", status);
            let encrypted = Some(handle::of_redacted(data));
            write_reasoning_content(out, &Reasoning { encrypted, ..Reasoning::default() });
        }
        Block::Reasoning(item) => {
            out.str("type", "reasoning");
            out.str("status", status);
            let none = Reasoning::default();
            write_reasoning_content(out, if is_complete { item } else { &none });
        }
        Block::ToolCall(call) => {
            let (kind, field) = match call.kind {
                CallKind::Function => ("function_call", "arguments"),
                CallKind::Custom => ("custom_tool_call", "input"),
            };
            let is_cut = call.kind == CallKind::Function && Json::parse(&call.input).is_none();
            out.str("type", kind);
            out.str("status", if is_complete && is_cut { "incomplete" } else { status });
            out.str("call_id", &call.id);
            out.str("name", &call.name);
            out.opt_str("namespace", call.namespace.as_deref());
            out.str(field, if is_complete { &call.input } else { "" });
        }
        _ => {}
    }
}

/// Writes the only part of a message or of the text of a reasoning item.
pub(super) fn write_part(part: &mut Object<'_>, block: &Block) {
    match block {
        Block::Text(text) => write_text_part(part, "output_text", &text.text),
        Block::Refusal(text) => write_text_part(part, "refusal", text),
        Block::Thinking(thinking) => write_text_part(part, "reasoning_text", &thinking.text),
        Block::Reasoning(item) => write_text_part(part, "reasoning_text", &item.text),
        _ => {}
    }
}

pub(super) fn write_text_part(part: &mut Object<'_>, kind: &str, text: &str) {
    part.str("type", kind);
    if kind == "refusal" {
        return part.str("refusal", text);
    }
    part.str("text", text);
    if kind == "output_text" {
        part.array("annotations", |_| {});
        part.array("logprobs", |_| {});
    }
}

/// Writes the summary, the text and the opaque data of a reasoning item.
pub(super) fn write_reasoning_content(out: &mut Object<'_>, item: &Reasoning) {
    out.array("summary", |list| {
        for text in &item.summary {
            list.object(|part| write_text_part(part, "summary_text", text));
        }
    });
    if !item.text.is_empty() {
        out.array("content", |list| list.object(|part| write_text_part(part, "reasoning_text", &item.text)));
    }
    out.opt_str("encrypted_content", item.encrypted.as_deref());
}

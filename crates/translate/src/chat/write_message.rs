//! Writes the messages of Chat Completions.

use super::thinking::is_off;
use crate::Api;
use crate::error::RequestError;
use crate::hub::{Block, CallKind, Image, Json, Media, Message, Role, Source, ToolCall, ToolResult};
use crate::loss::Action;
use crate::out::{Array, Object};
use crate::write::{Job, block_at, write_breakpoint};

pub(super) fn write_messages(job: &mut Job<'_>, list: &mut Array<'_>) -> Result<(), RequestError> {
    for message in &job.request.messages {
        job.report_name(&message.at, message.name.as_deref());
        match message.role {
            Role::System | Role::Developer => write_system(job, list, message),
            Role::User => write_user(job, list, message)?,
            Role::Assistant => write_assistant(job, list, message)?,
        }
    }
    Ok(())
}

fn write_system(job: &mut Job<'_>, list: &mut Array<'_>, message: &Message) {
    let is_developer = message.role == Role::Developer && job.target.developer_role;
    if message.blocks.is_empty() {
        return;
    }
    list.object(|out| {
        out.str("role", if is_developer { "developer" } else { "system" });
        write_texts(job, out, message.blocks.iter(), &message.at);
        out.opt_str("name", message.name.as_deref().filter(|_| job.is_from(Api::Chat)));
    });
}

/// Writes `content` from the text blocks: one as a string, several as parts, so that their borders stay.
fn write_texts<'b>(job: &mut Job<'_>, out: &mut Object<'_>, blocks: impl Iterator<Item = &'b Block> + Clone, at: &str) {
    let texts = blocks.filter_map(|block| if let Block::Text(text) = block { Some((block, text)) } else { None });
    for (index, (block, _)) in texts.clone().enumerate() {
        job.report_text(&block_at(at, index), block);
    }
    let mut first = texts.clone();
    match (first.next(), first.next()) {
        (None, _) => out.null("content"),
        (Some((_, text)), None) if text.cache.is_none() || !job.target.cache_breakpoints => {
            job.breakpoint(text.cache);
            out.str("content", &text.text);
        }
        _ => out.array("content", |parts| {
            for (_, text) in texts {
                let cache = job.breakpoint(text.cache);
                parts.object(|part| {
                    part.str("type", "text");
                    part.str("text", &text.text);
                    write_breakpoint(part, cache);
                });
            }
        }),
    }
}

/// Writes the results of tools as messages of their own, then all other blocks, with the media of the results.
fn write_user(job: &mut Job<'_>, list: &mut Array<'_>, message: &Message) -> Result<(), RequestError> {
    let mut rest: Vec<(String, &Block)> = Vec::new();
    for (index, block) in message.blocks.iter().enumerate() {
        let at = block_at(&message.at, index);
        match block {
            Block::ToolResult(result) if job.target.user_after_tool => {
                write_result(job, list, result, &at, &mut rest);
            }
            Block::ToolResult(result) => write_whole_result(job, list, result, &at)?,
            Block::Text(text) if text.text.is_empty() && !job.is_from(Api::Chat) => {}
            _ => rest.push((at, block)),
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    let mut result = Ok(());
    list.object(|out| {
        out.str("role", "user");
        if rest.iter().all(|(_, block)| matches!(block, Block::Text(_))) {
            write_texts(job, out, rest.iter().map(|(_, block)| *block), &message.at);
        } else {
            out.array("content", |parts| {
                result = rest.iter().try_for_each(|(at, block)| write_part(job, parts, block, at));
            });
        }
        out.opt_str("name", message.name.as_deref().filter(|_| job.is_from(Api::Chat)));
    });
    result
}

/// Writes the result of a tool with its media, for a provider that takes no message of the user after it.
fn write_whole_result(
    job: &mut Job<'_>,
    list: &mut Array<'_>,
    result: &ToolResult,
    at: &str,
) -> Result<(), RequestError> {
    let is_text = |block: &Block| matches!(block, Block::Text(_));
    if result.content.iter().all(is_text) {
        write_result(job, list, result, at, &mut Vec::new());
        return Ok(());
    }
    let mut written = Ok(());
    write_result_with(job, list, result, at, |job, out| {
        out.array("content", |parts| {
            let mut blocks = result.content.iter().enumerate();
            written = blocks.try_for_each(|(index, block)| write_part(job, parts, block, &block_at(at, index)));
        });
    });
    written
}

/// Writes the result of a tool. Its media are moved to the message of the user that follows.
fn write_result<'b>(
    job: &mut Job<'_>,
    list: &mut Array<'_>,
    result: &'b ToolResult,
    at: &str,
    moved: &mut Vec<(String, &'b Block)>,
) {
    for (index, block) in result.content.iter().enumerate() {
        if !matches!(block, Block::Text(_)) {
            let at = block_at(at, index);
            job.losses.altered(&at, "moved to a user message that follows");
            moved.push((at, block));
        }
    }
    let has_text = result.content.iter().any(|block| matches!(block, Block::Text(_)));
    write_result_with(job, list, result, at, |job, out| {
        if has_text {
            write_texts(job, out, result.content.iter(), at);
        } else {
            out.str("content", "");
        }
    });
}

fn write_result_with(
    job: &mut Job<'_>,
    list: &mut Array<'_>,
    result: &ToolResult,
    at: &str,
    content: impl FnOnce(&mut Job<'_>, &mut Object<'_>),
) {
    if result.is_error {
        job.losses.dropped(format!("{at}.is_error"), "results of tools have no error mark there");
    }
    let id = job.result_id(&result.call_id);
    list.object(|out| {
        out.str("role", "tool");
        out.str("tool_call_id", &id);
        content(job, out);
    });
    // A message of the role `tool` has no place for a breakpoint of the whole result.
    if result.cache.is_some() {
        job.losses.once("cache_control", Action::Dropped, "the target does not take this cache breakpoint");
    }
}

fn write_part(job: &mut Job<'_>, parts: &mut Array<'_>, block: &Block, at: &str) -> Result<(), RequestError> {
    job.report_text(at, block);
    let cache = job.breakpoint(block.cache());
    match block {
        Block::Text(text) => parts.object(|part| {
            part.str("type", "text");
            part.str("text", &text.text);
            write_breakpoint(part, cache);
        }),
        Block::Image(image) => {
            let url = image_url(job, image, at)?;
            parts.object(|part| {
                part.str("type", "image_url");
                part.object("image_url", |inner| {
                    inner.str("url", &url);
                    inner.opt_str("detail", image.detail.as_deref());
                });
                write_breakpoint(part, cache);
            });
        }
        Block::Document(media) => write_document(job, parts, media, at)?,
        Block::Audio { data, format } => parts.object(|part| {
            part.str("type", "input_audio");
            part.object("input_audio", |audio| {
                audio.str("data", data);
                audio.str("format", format);
            });
        }),
        Block::Opaque { api: Api::Chat, json, .. } => parts.raw(json.as_str()),
        Block::Opaque { kind, .. } => return job.refuse(at, &format!("Blocks of kind `{kind}` do not exist there.")),
        Block::Refusal(text) => parts.object(|part| {
            part.str("type", "text");
            part.str("text", text);
        }),
        Block::ToolCall(_) | Block::ToolResult(_) => {}
        Block::Thinking(_) | Block::RedactedThinking { .. } | Block::Reasoning(_) => {
            job.losses.dropped(at, "thinking of the user has no form there");
        }
    }
    Ok(())
}

/// Returns the address of an image: a data URL for base64.
fn image_url(job: &Job<'_>, image: &Image, at: &str) -> Result<String, RequestError> {
    match &image.source {
        Source::Base64 { media_type, data } => Ok(format!("data:{media_type};base64,{data}")),
        Source::Url(url) => Ok(url.clone()),
        Source::File(_) | Source::Text(_) => job.refuse(at, "Send the image itself, or its address."),
    }
}

fn write_document(job: &mut Job<'_>, parts: &mut Array<'_>, media: &Media, at: &str) -> Result<(), RequestError> {
    for (name, is_lost) in [("context", media.context.is_some()), ("citations", media.citations.is_some())] {
        if is_lost {
            job.losses.dropped(format!("{at}.{name}"), "files have no such field there");
        }
    }
    let (name, value) = match &media.source {
        Source::Base64 { media_type, data } => ("file_data", format!("data:{media_type};base64,{data}")),
        Source::File(id) if job.knows_files() => ("file_id", id.clone()),
        Source::File(_) | Source::Url(_) => return job.refuse(at, "Send the file itself."),
        Source::Text(text) => {
            job.losses.altered(at, "sent as text");
            if media.title.is_some() {
                job.losses.dropped(format!("{at}.title"), "text has no title");
            }
            parts.object(|part| {
                part.str("type", "text");
                part.str("text", text);
            });
            return Ok(());
        }
    };
    parts.object(|part| {
        part.str("type", "file");
        part.object("file", |file| {
            file.str(name, &value);
            if name == "file_data" {
                file.str("filename", media.title.as_deref().unwrap_or("document.pdf"));
            }
        });
    });
    Ok(())
}

fn write_assistant(job: &mut Job<'_>, list: &mut Array<'_>, message: &Message) -> Result<(), RequestError> {
    let mut reasoning: Option<String> = None;
    let (mut refusal, mut calls): (Option<String>, Vec<&ToolCall>) = (None, Vec::new());
    for (index, block) in message.blocks.iter().enumerate() {
        let at = block_at(&message.at, index);
        match block {
            Block::Text(_) if !calls.is_empty() => job.losses.altered(&at, "moved before the tool calls"),
            Block::Text(_) => {}
            Block::Thinking(thinking) if thinking.signature().is_none() && job.target.reasoning_field.is_some() => {
                reasoning.get_or_insert_default().push_str(&thinking.text);
            }
            Block::Reasoning(item)
                if item.encrypted.is_none() && !item.text.is_empty() && job.target.reasoning_field.is_some() =>
            {
                if !item.summary.is_empty() {
                    job.losses.dropped(format!("{at}.summary"), "the text is sent, which has no summary there");
                }
                reasoning.get_or_insert_default().push_str(&item.text);
            }
            Block::Thinking(_) | Block::RedactedThinking { .. } | Block::Reasoning(_) => {
                job.losses.dropped(&at, "thinking cannot be given to this provider");
            }
            Block::Refusal(text) => refusal.get_or_insert_default().push_str(text),
            Block::ToolCall(call) => calls.push(call),
            Block::Opaque { api, kind, .. } if *api != Api::Chat => {
                job.losses.dropped(&at, format!("blocks of kind `{kind}` do not exist there"));
            }
            _ => job.losses.dropped(&at, "answers of the model are text there"),
        }
    }
    let has_text = message.blocks.iter().any(|block| matches!(block, Block::Text(_)));
    if !has_text && calls.is_empty() && refusal.is_none() {
        if !message.blocks.is_empty() {
            return Ok(());
        }
        // Providers refuse `null` without tool calls.
        list.object(|out| {
            out.str("role", "assistant");
            out.str("content", "");
        });
        return Ok(());
    }
    list.object(|out| {
        out.str("role", "assistant");
        let required = (job.target.reasoning_required && !is_off(job)).then_some("");
        if let Some((field, text)) = job.target.reasoning_field.zip(reasoning.as_deref().or(required)) {
            out.str(field, text);
        }
        write_texts(job, out, message.blocks.iter(), &message.at);
        out.opt_str("refusal", refusal.as_deref());
        if !calls.is_empty() {
            out.array("tool_calls", |list| {
                for (index, call) in calls.iter().enumerate() {
                    let default = job.target.call_extra.filter(|_| index == 0 && call.extra.is_none());
                    if default.is_some() {
                        let at = format!("{}.tool_calls.0", message.at);
                        job.losses.emulated(at, None, "the model wants a signature, and another one made the call");
                    }
                    write_call(job, list, call, call.extra.as_ref().map(Json::as_str).or(default));
                }
            });
        }
        out.opt_str("name", message.name.as_deref().filter(|_| job.is_from(Api::Chat)));
    });
    Ok(())
}

/// Writes a call with its `extra_content`.
fn write_call(job: &mut Job<'_>, list: &mut Array<'_>, call: &ToolCall, extra: Option<&str>) {
    let id = job.call_id(&call.id);
    let is_wrapped = call.kind == CallKind::Custom && !job.target.custom_tools;
    let name = job.call_name(&call.name, call.namespace.as_deref(), call.kind);
    job.breakpoint(call.cache);
    list.object(|out| {
        out.str("id", &id);
        if let Some(extra) = extra {
            out.raw("extra_content", extra);
        }
        if call.kind == CallKind::Custom && !is_wrapped {
            out.str("type", "custom");
            return out.object("custom", |custom| {
                custom.str("name", &name);
                custom.str("input", &call.input);
            });
        }
        out.str("type", "function");
        out.object("function", |function| {
            function.str("name", &name);
            if is_wrapped {
                let arguments = crate::out::json(|arguments| arguments.str("input", &call.input));
                function.str("arguments", arguments.as_str());
            } else {
                function.str("arguments", if call.input.is_empty() { "{}" } else { &call.input });
            }
        });
    });
}

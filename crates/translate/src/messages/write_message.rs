//! Writes the conversation of Messages.

use crate::Api;
use crate::error::{Problem, RequestError};
use crate::hub::{Block, CallKind, Image, Media, Message, Role, Source, ToolCall, ToolResult};
use crate::out::{self, Array, Object};
use crate::write::{Job, arguments_object, block_at, write_cache_control};

/// Writes the leading instructions: one text block for each of theirs, never joined.
pub(super) fn write_system(job: &mut Job<'_>, body: &mut Object<'_>, messages: &[Message]) {
    let blocks = || messages.iter().flat_map(|message| &message.blocks);
    let is_text = |block: &Block| matches!(block, Block::Text(text) if !text.text.is_empty());
    if !blocks().any(is_text) {
        return;
    }
    for message in messages {
        job.report_name(&message.at, message.name.as_deref());
    }
    body.array("system", |list| {
        for block in blocks() {
            let Block::Text(text) = block else { continue };
            if text.text.is_empty() {
                continue;
            }
            let cache = job.breakpoint(text.cache);
            list.object(|out| {
                out.str("type", "text");
                out.str("text", &text.text);
                write_cache_control(out, cache);
            });
        }
    });
}

pub(super) fn write_messages(job: &mut Job<'_>, list: &mut Array<'_>, turns: &[Message]) -> Result<(), RequestError> {
    for (index, message) in turns.iter().enumerate() {
        job.report_name(&message.at, message.name.as_deref());
        let is_last = index + 1 == turns.len();
        let role = match message.role {
            Role::User => "user",
            Role::Assistant if is_last && !job.target.prefill && !job.is_from(Api::Messages) => {
                return job.refuse(&message.at, "The model does not continue a message of its own.");
            }
            Role::Assistant => "assistant",
            // Elsewhere, instructions have to follow a user turn, and nothing but an answer may follow them.
            Role::System | Role::Developer if is_system_place(job, turns, index) => "system",
            Role::System | Role::Developer => {
                job.losses.changed(&message.at, "system", "user", "instructions cannot stand here");
                "user"
            }
        };
        let mut content = Vec::new();
        let mut result = Ok(());
        out::array(&mut content, |blocks| result = write_blocks(job, blocks, message));
        result?;
        // Messages without content are refused.
        if content == b"[]" {
            continue;
        }
        list.object(|out| {
            out.str("role", role);
            out.raw("content", &String::from_utf8_lossy(&content));
        });
    }
    Ok(())
}

fn is_system_place(job: &Job<'_>, turns: &[Message], index: usize) -> bool {
    if job.is_from(Api::Messages) {
        return true;
    }
    let follows = index.checked_sub(1).and_then(|index| turns.get(index)).is_some_and(|last| last.role == Role::User);
    let next = turns.get(index + 1).is_none_or(|next| next.role == Role::Assistant);
    job.target.mid_conversation_system && follows && next
}

fn write_blocks(job: &mut Job<'_>, list: &mut Array<'_>, message: &Message) -> Result<(), RequestError> {
    // The results of tools have to be the first blocks of their message.
    let (results, others): (Vec<_>, Vec<_>) =
        message.blocks.iter().enumerate().partition(|(_, block)| matches!(block, Block::ToolResult(_)));
    for (index, block) in results.into_iter().chain(others) {
        write_block(job, list, block, &block_at(&message.at, index))?;
    }
    Ok(())
}

fn write_block(job: &mut Job<'_>, list: &mut Array<'_>, block: &Block, at: &str) -> Result<(), RequestError> {
    job.report_text(at, block);
    match block {
        // Empty text blocks are refused.
        Block::Text(text) if text.text.is_empty() => {}
        Block::Text(text) => {
            let cache = job.breakpoint(text.cache);
            let citations = text.citations.as_ref().filter(|_| job.is_from(Api::Messages));
            list.object(|out| {
                out.str("type", "text");
                out.str("text", &text.text);
                out.opt_json("citations", citations);
                write_cache_control(out, cache);
            });
        }
        Block::Image(image) => write_image(job, list, image, at)?,
        Block::Document(media) => write_document(job, list, media, at)?,
        Block::Audio { .. } => return job.refuse(at, "It takes no audio."),
        Block::ToolCall(call) => write_call(job, list, call, at),
        Block::ToolResult(result) => write_result(job, list, result, at)?,
        Block::Thinking(thinking) => match thinking.signature() {
            Some(signature) => list.object(|out| {
                out.str("type", "thinking");
                out.str("thinking", &thinking.text);
                out.str("signature", signature);
            }),
            None => job.losses.dropped(at, "thinking without a signature is refused"),
        },
        Block::RedactedThinking { data } => list.object(|out| {
            out.str("type", "redacted_thinking");
            out.str("data", data);
        }),
        Block::Reasoning(_) => job.losses.dropped(at, "reasoning of another vendor"),
        Block::Refusal(text) => {
            job.losses.altered(at, "sent as text");
            if !text.is_empty() {
                list.object(|out| {
                    out.str("type", "text");
                    out.str("text", text);
                });
            }
        }
        Block::Opaque { api: Api::Messages, json, .. } => list.raw(json.as_str()),
        Block::Opaque { kind, .. } => job.losses.dropped(at, format!("items of kind `{kind}` do not exist there")),
    }
    Ok(())
}

fn write_call(job: &mut Job<'_>, list: &mut Array<'_>, call: &ToolCall, at: &str) {
    let id = job.call_id(&call.id);
    let name = job.call_name(&call.name, call.namespace.as_deref(), call.kind);
    let cache = job.breakpoint(call.cache);
    list.object(|out| {
        out.str("type", "tool_use");
        out.str("id", &id);
        out.str("name", &name);
        if call.kind == CallKind::Custom {
            job.losses.altered(at, "the text is the field `input` of an object");
            out.object("input", |input| input.str("input", &call.input));
        } else if let Some(arguments) = arguments_object(&call.input) {
            out.raw("input", &arguments);
        } else {
            job.losses.altered(at, "the arguments are no JSON object, and sent as the field `_raw`");
            out.object("input", |input| input.str("_raw", &call.input));
        }
        write_cache_control(out, cache);
    });
}

fn write_result(job: &mut Job<'_>, list: &mut Array<'_>, result: &ToolResult, at: &str) -> Result<(), RequestError> {
    let id = job.result_id(&result.call_id);
    let mut content = Vec::new();
    match result.content.as_slice() {
        [] => {}
        [Block::Text(text)] if text.cache.is_none() || result.cache.is_some() => {
            if !text.text.is_empty() {
                out::string(&mut content, &text.text);
            }
        }
        blocks => {
            let mut written = Ok(());
            out::array(&mut content, |list| {
                written = blocks.iter().enumerate().try_for_each(|(index, block)| match block {
                    Block::ToolCall(_) | Block::ToolResult(_) => {
                        Err(RequestError::new(Problem::UnknownKind, &block_at(at, index), ""))
                    }
                    block => write_block(job, list, block, &block_at(at, index)),
                });
            });
            written?;
        }
    }
    let cache = job.breakpoint(result.cache);
    list.object(|out| {
        out.str("type", "tool_result");
        out.str("tool_use_id", &id);
        if !content.is_empty() && content != b"[]" {
            out.raw("content", &String::from_utf8_lossy(&content));
        }
        if result.is_error {
            out.bool("is_error", true);
        }
        write_cache_control(out, cache);
    });
    Ok(())
}

fn write_image(job: &mut Job<'_>, list: &mut Array<'_>, image: &Image, at: &str) -> Result<(), RequestError> {
    if image.detail.as_deref().is_some_and(|detail| detail != "auto") {
        job.losses.dropped(format!("{at}.detail"), "images have no such field there");
    }
    let cache = job.breakpoint(image.cache);
    write_media(job, list, "image", &image.source, at, |out| write_cache_control(out, cache))
}

fn write_document(job: &mut Job<'_>, list: &mut Array<'_>, media: &Media, at: &str) -> Result<(), RequestError> {
    let cache = job.breakpoint(media.cache);
    if !job.is_from(Api::Messages) && media.title.is_some() {
        job.losses.altered(format!("{at}.filename"), "sent as the title");
    }
    write_media(job, list, "document", &media.source, at, |out| {
        out.opt_str("title", media.title.as_deref());
        out.opt_str("context", media.context.as_deref());
        out.opt_json("citations", media.citations.as_ref());
        write_cache_control(out, cache);
    })
}

/// Writes an image or a document with its source; `attributes` writes the rest of its members.
fn write_media(
    job: &Job<'_>,
    list: &mut Array<'_>,
    kind: &str,
    source: &Source,
    at: &str,
    attributes: impl FnOnce(&mut Object<'_>),
) -> Result<(), RequestError> {
    if matches!(source, Source::File(_)) && !job.knows_files() {
        return job.refuse(at, "Send the file itself.");
    }
    if let (Source::Base64 { media_type, .. }, "document") = (source, kind)
        && media_type != "application/pdf"
        && !job.is_from(Api::Messages)
    {
        return job.refuse(at, "It takes PDF files only.");
    }
    list.object(|out| {
        out.str("type", kind);
        out.object("source", |out| match source {
            Source::Base64 { media_type, data } => {
                out.str("type", "base64");
                out.str("media_type", media_type);
                out.str("data", data);
            }
            Source::Url(url) => {
                out.str("type", "url");
                out.str("url", url);
            }
            Source::File(id) => {
                out.str("type", "file");
                out.str("file_id", id);
            }
            Source::Text(text) => {
                out.str("type", "text");
                out.str("media_type", "text/plain");
                out.str("data", text);
            }
        });
        attributes(out);
    });
    Ok(())
}

//! Writes the items of Responses.

use crate::Api;
use crate::error::RequestError;
use crate::hub::{Block, CallKind, Image, Media, Message, Reasoning, Role, Source, Text, ToolCall, ToolResult};
use crate::loss::Action;
use crate::out::{Array, Object};
use crate::write::{Job, block_at, write_breakpoint};

/// Writes `instructions` if the leading instructions are one text. Returns the number of messages that are done with.
pub(super) fn write_instructions(job: &mut Job<'_>, body: &mut Object<'_>) -> usize {
    let mut leading = job.request.messages.iter().take_while(|message| message.is_system());
    let (Some(first), None) = (leading.next(), leading.next()) else { return 0 };
    match first.blocks.as_slice() {
        [Block::Text(text)] if text.cache.is_none() && first.role == Role::System => {
            job.report_name(&first.at, first.name.as_deref());
            body.str("instructions", &text.text);
            1
        }
        _ => 0,
    }
}

pub(super) fn write_items(job: &mut Job<'_>, list: &mut Array<'_>, skipped: usize) -> Result<(), RequestError> {
    for message in job.request.messages.iter().skip(skipped) {
        job.report_name(&message.at, message.name.as_deref());
        match message.role {
            Role::System => write_message(job, list, "system", message)?,
            Role::Developer => write_message(job, list, "developer", message)?,
            Role::User => {
                for (index, block) in message.blocks.iter().enumerate() {
                    if let Block::ToolResult(result) = block {
                        write_result(job, list, result, &block_at(&message.at, index))?;
                    }
                }
                if message.blocks.iter().any(|block| !matches!(block, Block::ToolResult(_))) {
                    write_message(job, list, "user", message)?;
                }
            }
            Role::Assistant => write_answer(job, list, message),
        }
    }
    Ok(())
}

fn write_message(job: &mut Job<'_>, list: &mut Array<'_>, role: &str, message: &Message) -> Result<(), RequestError> {
    let mut result = Ok(());
    list.object(|out| {
        out.str("type", "message");
        out.str("role", role);
        out.array("content", |parts| {
            let mut blocks = message.blocks.iter().enumerate();
            result = blocks.try_for_each(|(index, block)| match block {
                Block::ToolResult(_) => Ok(()),
                block => write_part(job, parts, block, &block_at(&message.at, index)),
            });
        });
    });
    result
}

/// Writes the parts of the model's answer: texts of one phase that follow one another are one message.
fn write_answer(job: &mut Job<'_>, list: &mut Array<'_>, message: &Message) {
    let is_said = |block: &Block| matches!(block, Block::Text(_) | Block::Refusal(_));
    let mut rest = message.blocks.as_slice();
    let mut index = 0;
    while let Some(first) = rest.first() {
        let at = block_at(&message.at, index);
        let mut taken = 1;
        match first {
            block if is_said(block) => {
                taken = said_in_one_phase(rest);
                let said = rest.get(..taken).unwrap_or_default();
                said.iter().for_each(|block| job.report_text(&at, block));
                write_said(job, list, said);
            }
            Block::ToolCall(call) => write_call(job, list, call),
            // The API refuses an item that is there already.
            Block::Reasoning(Reasoning { id: Some(id), .. }) if !job.items.insert(id.clone()) => {
                job.losses.dropped(&at, "an item with this id is there already");
            }
            Block::Reasoning(item) => write_reasoning(list, item),
            Block::Thinking(thinking) if thinking.signature().is_none() && job.is_from(Api::Chat) => {
                job.losses.altered(&at, "sent as a reasoning item without encrypted content");
                write_reasoning(list, &Reasoning { text: thinking.text.clone(), ..Reasoning::default() });
            }
            Block::Opaque { api: Api::Responses, json, .. } => list.raw(json.as_str()),
            Block::Thinking(_) | Block::RedactedThinking { .. } => {
                job.losses.dropped(&at, "thinking of another vendor");
            }
            Block::Opaque { kind, .. } => {
                job.losses.dropped(&at, format!("blocks of kind `{kind}` do not exist there"))
            }
            _ => job.losses.dropped(&at, "answers of the model are text there"),
        }
        index += taken;
        rest = rest.get(taken..).unwrap_or_default();
    }
}

/// Returns the number of texts and refusals at the beginning that have the same phase.
fn said_in_one_phase(blocks: &[Block]) -> usize {
    let (mut phase, mut count) = (None, 0);
    for block in blocks {
        match block {
            Block::Text(text) if *phase.get_or_insert(&text.phase) != &text.phase => break,
            Block::Text(_) | Block::Refusal(_) => count += 1,
            _ => break,
        }
    }
    count
}

fn write_said(job: &mut Job<'_>, list: &mut Array<'_>, said: &[Block]) {
    let phase = said.iter().find_map(|block| match block {
        Block::Text(Text { phase, .. }) => phase.as_deref(),
        _ => None,
    });
    for block in said {
        // Parts of answers have no breakpoints.
        if block.cache().is_some() {
            job.losses.once("cache_control", Action::Dropped, "the target does not take this cache breakpoint");
        }
    }
    list.object(|out| {
        out.str("type", "message");
        out.str("role", "assistant");
        out.opt_str("phase", phase);
        out.array("content", |parts| {
            for block in said {
                parts.object(|part| match block {
                    Block::Refusal(text) => {
                        part.str("type", "refusal");
                        part.str("refusal", text);
                    }
                    Block::Text(text) => {
                        part.str("type", "output_text");
                        part.str("text", &text.text);
                        let annotations = text.citations.as_ref().filter(|_| job.is_from(Api::Responses));
                        part.opt_json("annotations", annotations);
                    }
                    _ => {}
                });
            }
        });
    });
}

fn write_call(job: &mut Job<'_>, list: &mut Array<'_>, call: &ToolCall) {
    let id = job.call_id(&call.id);
    let name = job.call_name(&call.name, call.namespace.as_deref(), call.kind);
    if call.cache.is_some() {
        job.losses.once("cache_control", Action::Dropped, "the target does not take this cache breakpoint");
    }
    list.object(|out| {
        let (kind, field) = match call.kind {
            CallKind::Function => ("function_call", "arguments"),
            CallKind::Custom => ("custom_tool_call", "input"),
        };
        out.str("type", kind);
        out.str("call_id", &id);
        out.str("name", &name);
        out.str(field, if call.input.is_empty() && call.kind == CallKind::Function { "{}" } else { &call.input });
    });
}

fn write_reasoning(list: &mut Array<'_>, item: &Reasoning) {
    list.object(|out| {
        out.str("type", "reasoning");
        out.opt_str("id", item.id.as_deref());
        super::item::write_reasoning_content(out, item);
    });
}

fn write_result(job: &mut Job<'_>, list: &mut Array<'_>, result: &ToolResult, at: &str) -> Result<(), RequestError> {
    if result.is_error {
        job.losses.dropped(format!("{at}.is_error"), "results of tools have no error mark there");
    }
    if result.cache.is_some() {
        job.losses.once("cache_control", Action::Dropped, "the target does not take this cache breakpoint");
    }
    let id = job.result_id(&result.call_id);
    let mut written = Ok(());
    list.object(|out| {
        let is_custom = result.kind == CallKind::Custom;
        out.str("type", if is_custom { "custom_tool_call_output" } else { "function_call_output" });
        out.str("call_id", &id);
        match result.content.as_slice() {
            [] => out.str("output", ""),
            [Block::Text(text)] => out.str("output", &text.text),
            blocks => out.array("output", |parts| {
                let mut blocks = blocks.iter().enumerate();
                written = blocks.try_for_each(|(index, block)| write_part(job, parts, block, &block_at(at, index)));
            }),
        }
    });
    written
}

fn write_part(job: &mut Job<'_>, parts: &mut Array<'_>, block: &Block, at: &str) -> Result<(), RequestError> {
    job.report_text(at, block);
    let cache = job.breakpoint(block.cache());
    match block {
        Block::Text(text) => {
            // Empty texts tell nothing, and some models refuse them.
            if !text.text.is_empty() || job.is_from(Api::Responses) {
                parts.object(|part| {
                    part.str("type", "input_text");
                    part.str("text", &text.text);
                    write_breakpoint(part, cache);
                });
            }
        }
        Block::Image(image) => {
            check_file(job, &image.source, at)?;
            parts.object(|part| {
                write_image(part, image);
                write_breakpoint(part, cache);
            });
        }
        Block::Document(media) => write_document(job, parts, media, at, |part| write_breakpoint(part, cache))?,
        Block::Audio { data, format } => parts.object(|part| {
            part.str("type", "input_audio");
            part.object("input_audio", |audio| {
                audio.str("data", data);
                audio.str("format", format);
            });
        }),
        Block::Refusal(text) => parts.object(|part| {
            part.str("type", "input_text");
            part.str("text", text);
        }),
        Block::Opaque { kind, .. } => return job.refuse(at, &format!("Blocks of kind `{kind}` do not exist there.")),
        _ => job.losses.dropped(at, "messages of the user are text, images and files there"),
    }
    Ok(())
}

fn check_file(job: &Job<'_>, source: &Source, at: &str) -> Result<(), RequestError> {
    let is_foreign = matches!(source, Source::File(_)) && !job.knows_files();
    if is_foreign { job.refuse(at, "Send the file itself.") } else { Ok(()) }
}

fn write_image(part: &mut Object<'_>, image: &Image) {
    part.str("type", "input_image");
    match &image.source {
        Source::Base64 { media_type, data } => part.str("image_url", &format!("data:{media_type};base64,{data}")),
        Source::Url(url) | Source::Text(url) => part.str("image_url", url),
        Source::File(id) => part.str("file_id", id),
    }
    part.opt_str("detail", image.detail.as_deref());
}

fn write_document(
    job: &mut Job<'_>,
    parts: &mut Array<'_>,
    media: &Media,
    at: &str,
    attributes: impl FnOnce(&mut Object<'_>),
) -> Result<(), RequestError> {
    check_file(job, &media.source, at)?;
    for (name, is_lost) in [("context", media.context.is_some()), ("citations", media.citations.is_some())] {
        if is_lost {
            job.losses.dropped(format!("{at}.{name}"), "files have no such field there");
        }
    }
    if let Source::Text(text) = &media.source {
        job.losses.altered(at, "sent as text");
        if media.title.is_some() {
            job.losses.dropped(format!("{at}.title"), "text has no title");
        }
        parts.object(|part| {
            part.str("type", "input_text");
            part.str("text", text);
            attributes(part);
        });
        return Ok(());
    }
    parts.object(|part| {
        part.str("type", "input_file");
        match &media.source {
            Source::Base64 { media_type, data } => {
                part.str("filename", media.title.as_deref().unwrap_or("document.pdf"));
                part.str("file_data", &format!("data:{media_type};base64,{data}"));
            }
            Source::File(id) => part.str("file_id", id),
            Source::Url(url) | Source::Text(url) => part.str("file_url", url),
        }
        attributes(part);
    });
    Ok(())
}

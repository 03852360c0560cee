//! Whole answers of Chat Completions.

use super::Decoder;
use super::emit::{report_finish, report_phase, write_call};
use crate::decoder::id_of_body;
use crate::hub::{Answer, Block, ErrorClass, Event, Failure, Fold, ToolCall};
use crate::loss::{Action, Losses};
use crate::out::{self, Object};

/// Reads a whole answer: a completion is one chunk whose delta is the message.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer, Failure> {
    let mut decoder = Decoder::new(&id_of_body(body));
    let mut events = Vec::new();
    decoder.push(body, &mut events);
    decoder.done(&mut events);
    let mut fold = Fold::default();
    if !events.iter().any(|event| matches!(event, Event::Start(_))) {
        let failure = events.into_iter().find_map(|event| match event {
            Event::Failed(failure) if failure.class != ErrorClass::Incomplete => Some(failure),
            _ => None,
        });
        return Err(failure.unwrap_or_else(|| Failure::foreign("the body has no choices")));
    }
    events.into_iter().for_each(|event| fold.push(event));
    fold.finish()
}

/// Writes a whole answer.
pub(crate) fn write_answer(answer: &Answer, id: &str, created: u64, model: &str) -> (Vec<u8>, Losses) {
    let mut losses = Losses::default();
    report_finish(&mut losses, &answer.finish);
    let model = if model.is_empty() { answer.model.as_deref().unwrap_or_default() } else { model };
    let mut body = Vec::new();
    out::object(&mut body, |out| {
        out.str("id", &format!("chatcmpl-{id}"));
        out.str("object", "chat.completion");
        out.num("created", created);
        out.str("model", model);
        out.array("choices", |choices| {
            choices.object(|choice| {
                choice.num("index", 0);
                choice.object("message", |message| write_message(message, &answer.blocks, &mut losses));
                choice.null("logprobs");
                choice.str("finish_reason", answer.finish.reason.to_chat());
            });
        });
        if let Some(usage) = &answer.usage {
            out.object("usage", |fields| usage.write_chat(fields));
        }
    });
    (body, losses)
}

fn write_message(message: &mut Object<'_>, blocks: &[Block], losses: &mut Losses) {
    let (mut text, mut refusal, mut reasoning): (Option<String>, Option<String>, Option<String>) = (None, None, None);
    let mut calls: Vec<&ToolCall> = Vec::new();
    let hidden = "signatures and encrypted reasoning have no field there";
    for block in blocks {
        match block {
            Block::Text(block) => {
                report_phase(losses, block.phase.as_deref());
                text.get_or_insert_default().push_str(&block.text);
            }
            Block::Refusal(block) => refusal.get_or_insert_default().push_str(block),
            Block::Thinking(thinking) => {
                if thinking.signature().is_some() {
                    losses.once("content.thinking", Action::Dropped, hidden);
                }
                reasoning.get_or_insert_default().push_str(&thinking.text);
            }
            Block::Reasoning(item) => {
                if item.encrypted.is_some() {
                    losses.once("content.thinking", Action::Dropped, hidden);
                }
                let reasoning = reasoning.get_or_insert_default();
                reasoning.push_str(&item.summary.join("\n\n"));
                reasoning.push_str(&item.text);
            }
            Block::RedactedThinking { .. } => losses.once("content.thinking", Action::Dropped, hidden),
            Block::ToolCall(call) => calls.push(call),
            Block::Opaque { kind, .. } => {
                losses.dropped(format!("content.{kind}"), "the client's API has no such block");
            }
            _ => {}
        }
    }
    message.str("role", "assistant");
    message.str_or_null("content", text.as_deref());
    message.str_or_null("refusal", refusal.as_deref());
    message.opt_str("reasoning_content", reasoning.as_deref().filter(|text| !text.is_empty()));
    if !calls.is_empty() {
        message.array("tool_calls", |list| {
            for call in calls {
                list.object(|out| {
                    out.str("id", &call.id);
                    write_call(out, call.kind, Some(&call.name), &call.input);
                });
            }
        });
    }
}

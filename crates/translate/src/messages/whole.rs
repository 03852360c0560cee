//! Whole answers of Messages.

use signalbox_core::json::repaired;

use crate::Api;
use crate::decoder::{foreign_api, id_of_body};
use crate::field::{Fields, Raw};
use crate::hub::{Answer, Block, CallKind, Failure, Finish, FinishReason, Text, Thinking, ToolCall, Usage};
use crate::loss::{Action, Loss, Losses};
use crate::out::{self, Array, Object};

/// Reads a whole answer.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer, Failure> {
    let json = repaired(body).ok_or_else(|| Failure::foreign("the body is not JSON"))?;
    let fields = Raw::document(&json).fields().ok_or_else(|| Failure::foreign("the body is not an object"))?;
    if fields.str("type").as_deref() == Some("error") || fields.get("error").is_some() {
        return Err(Failure::read(None, json.as_bytes()));
    }
    if let Some(what) = foreign_api(json.as_bytes(), Api::Messages) {
        return Err(Failure::foreign(&what));
    }
    let Some(reason) = fields.str("stop_reason") else { return Err(Failure::incomplete()) };
    if is_failure(&reason) {
        return Err(Failure::read(None, json.as_bytes()));
    }
    let mut usage = Usage::default();
    let counts = fields.object("usage");
    if let Some(counts) = &counts {
        usage.update_of_messages(counts);
    }
    let own = id_of_body(body);
    let blocks = read_content(&fields, &own);
    let mut losses = Losses::default();
    if blocks.iter().any(|block| matches!(block, Block::Text(text) if text.citations.is_some())) {
        losses.add(Loss::of_answer("content.citations"));
    }
    Ok(Answer {
        losses,
        id: fields.string("id"),
        model: fields.string("model"),
        blocks,
        usage: counts.map(|_| usage),
        finish: finish_of(&reason, &fields),
    })
}

/// Reads the content of a message. `own` makes up the ids of calls that have none.
pub(super) fn read_content(message: &Fields<'_>, own: &str) -> Vec<Block> {
    // Some providers write the content as a string, as requests have it.
    if let Some(text) = message.string("content") {
        return vec![Block::text(text)];
    }
    let blocks = (0_u32..).zip(message.elements("content"));
    blocks.filter_map(|(number, block)| read_block(block, own, number)).collect()
}

/// Returns the id of a call, or one made of `prefix` and `number` if it has none.
pub(super) fn call_id(call: &Fields<'_>, prefix: &str, number: u32) -> String {
    call.string("id").filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{prefix}_{number}"))
}

/// Reads a block. `own` and `number` make up the id of a call that has none.
fn read_block(value: Raw<'_>, own: &str, number: u32) -> Option<Block> {
    if let Some(text) = value.str() {
        return Some(Block::text(text.into_owned()));
    }
    let fields = value.fields()?;
    let text = |name: &str| fields.string(name).unwrap_or_default();
    Some(match fields.str("type")?.as_ref() {
        "text" => Block::Text(Text {
            text: text("text"),
            citations: fields.get("citations").filter(|list| list.as_str() != "[]").map(Raw::to_json),
            ..Text::default()
        }),
        "thinking" => Block::Thinking(Thinking { text: text("thinking"), signature: fields.string("signature") }),
        "redacted_thinking" => Block::RedactedThinking { data: text("data") },
        "tool_use" => Block::ToolCall(ToolCall {
            id: call_id(&fields, own, number),
            name: text("name"),
            namespace: None,
            kind: CallKind::Function,
            input: fields.get("input").map_or_else(|| "{}".to_owned(), |input| input.as_str().to_owned()),
            cache: None,
            extra: None,
        }),
        kind => Block::Opaque { api: Api::Messages, kind: kind.to_owned(), json: value.to_json() },
    })
}

/// Returns whether a stop reason reports a failure of the provider.
pub(super) fn is_failure(reason: &str) -> bool {
    matches!(reason, "error" | "api_error")
}

/// Reads the end of an answer from an object with a stop reason.
pub(super) fn finish_of(reason: &str, fields: &Fields<'_>) -> Finish {
    Finish {
        reason: FinishReason::of_messages(reason).unwrap_or_default(),
        raw: Some(reason.to_owned()),
        stop_sequence: fields.string("stop_sequence"),
        details: fields.get("stop_details").map(Raw::to_json),
    }
}

/// Reports an end that Messages cannot tell exactly.
pub(super) fn report_finish(losses: &mut Losses, finish: &Finish) {
    let to = finish.reason.to_messages();
    match (finish.reason, &finish.raw) {
        (FinishReason::MalformedTool, _) => {
            losses.changed("finish_reason", "malformed_tool", to, "the client's API has no such reason");
        }
        (_, Some(raw)) if finish.is_unknown() => {
            losses.changed("finish_reason", raw, to, "the reason is not known");
        }
        _ => {}
    }
}

/// Writes a whole answer.
pub(crate) fn write_answer(answer: &Answer, id: &str, model: &str, summaries: bool) -> (Vec<u8>, Losses) {
    let mut losses = Losses::default();
    report_finish(&mut losses, &answer.finish);
    let model = if model.is_empty() { answer.model.as_deref().unwrap_or_default() } else { model };
    let mut body = Vec::new();
    out::object(&mut body, |out| {
        out.str("id", &format!("msg_{id}"));
        out.str("type", "message");
        out.str("role", "assistant");
        out.str("model", model);
        out.array("content", |list| {
            answer.blocks.iter().for_each(|block| write_block(list, block, summaries, &mut losses));
        });
        write_finish(out, &answer.finish);
        out.object("usage", |usage| answer.usage.unwrap_or_default().write_messages(usage));
    });
    (body, losses)
}

/// Writes why the answer ended.
pub(super) fn write_finish(out: &mut Object<'_>, finish: &Finish) {
    out.str("stop_reason", finish.reason.to_messages());
    out.str_or_null("stop_sequence", finish.stop_sequence.as_deref());
    out.opt_json("stop_details", finish.details.as_ref());
}

fn write_block(list: &mut Array<'_>, block: &Block, summaries: bool, losses: &mut Losses) {
    match block {
        Block::Text(Text { text, .. }) | Block::Refusal(text) => {
            if let Block::Text(text) = block {
                crate::chat::report_phase(losses, text.phase.as_deref());
            }
            if !text.is_empty() {
                list.object(|out| {
                    out.str("type", "text");
                    out.str("text", text);
                });
            }
        }
        Block::Thinking(thinking) => write_thinking(list, &thinking.text, thinking.signature().unwrap_or_default()),
        Block::RedactedThinking { data } => list.object(|out| {
            out.str("type", "redacted_thinking");
            out.str("data", data);
        }),
        Block::Reasoning(item) => {
            losses.dropped("output.reasoning", "reasoning of another vendor has no signature");
            if summaries {
                let mut text = item.summary.join("\n\n");
                text.push_str(&item.text);
                write_thinking(list, &text, "");
            }
        }
        Block::ToolCall(call) => list.object(|out| {
            out.str("type", "tool_use");
            out.str("id", &call.id);
            out.str("name", &call.name);
            let is_json = call.kind == CallKind::Function && !call.input.is_empty();
            match crate::write::arguments_object(&call.input).filter(|_| is_json) {
                Some(input) => out.raw("input", &input),
                None => {
                    losses.once("tool_calls.arguments", Action::Altered, "the arguments are no JSON object");
                    let name = if call.kind == CallKind::Custom { "input" } else { "_raw" };
                    out.object("input", |input| input.str(name, &call.input));
                }
            }
        }),
        Block::Opaque { kind, .. } => {
            losses.dropped(format!("output.{kind}"), "the client's API has no such block");
        }
        Block::Image(_) | Block::Document(_) | Block::Audio { .. } | Block::ToolResult(_) => {}
    }
}

fn write_thinking(list: &mut Array<'_>, text: &str, signature: &str) {
    list.object(|out| {
        out.str("type", "thinking");
        out.str("thinking", text);
        out.str("signature", signature);
    });
}

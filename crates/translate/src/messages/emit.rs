//! Writes the events of Messages.

use super::whole::{report_finish, write_finish};
use crate::hub::{CallKind, Delta, Event, Finish, Opening, Start, Usage};
use crate::loss::{Action, Losses};
use crate::out::{self, Object};

/// Writes the events of one answer, which a guard has put in order: one block after another.
#[derive(Debug)]
pub(crate) struct Emitter {
    id: String,
    model: String,
    summaries: bool,
    has_started: bool,
    /// The index of the next block.
    next: u32,
    /// The block that is open and shown.
    open: Option<Open>,
    usage: Usage,
    pub(crate) losses: Losses,
}

#[derive(Debug)]
struct Open {
    kind: Shown,
    index: u32,
    signature: Option<String>,
    part: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Text,
    Thinking,
    Input,
    /// The input of a custom tool, which is the field of an object.
    Wrapped,
    Nothing,
}

// === impl Emitter ===

impl Emitter {
    pub(crate) fn new(id: &str, model: String, summaries: bool) -> Self {
        Self {
            id: format!("msg_{id}"),
            model,
            summaries,
            has_started: false,
            next: 0,
            open: None,
            usage: Usage::default(),
            losses: Losses::default(),
        }
    }

    pub(crate) fn push(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start(start) => self.start(start, out),
            Event::Open { opening, .. } => self.open(&opening, out),
            Event::Delta { delta, .. } => self.delta(delta, out),
            Event::Close { .. } => self.close(out),
            Event::Usage(usage) => self.usage = usage,
            // Nothing but a comment may stand before `message_start`.
            Event::Ping if !self.has_started => out.extend_from_slice(b": ping\n\n"),
            Event::Ping => named(out, "ping", |_| {}),
            Event::Lost(loss) => self.losses.add_once(loss),
            Event::Finish(finish) => self.finish(&finish, out),
            Event::Failed(failure) => {
                out::frame(out, Some("error"), |error| crate::error_body::write_messages(error, &failure, None));
            }
        }
    }

    fn start(&mut self, start: Start, out: &mut Vec<u8>) {
        self.has_started = true;
        if self.model.is_empty() {
            self.model = start.model.unwrap_or_default();
        }
        named(out, "message_start", |event| {
            event.object("message", |message| {
                message.str("id", &self.id);
                message.str("type", "message");
                message.str("role", "assistant");
                message.str("model", &self.model);
                message.array("content", |_| {});
                message.null("stop_reason");
                message.null("stop_sequence");
                // The counts are known at the end only.
                message.object("usage", |usage| Usage::default().write_messages(usage));
            });
        });
    }

    fn open(&mut self, opening: &Opening, out: &mut Vec<u8>) {
        let kind = match opening {
            Opening::Text { .. } | Opening::Refusal => Shown::Text,
            Opening::Thinking => Shown::Thinking,
            Opening::Reasoning { .. } if self.summaries => Shown::Thinking,
            Opening::Call { kind: CallKind::Custom, .. } => Shown::Wrapped,
            Opening::Call { .. } => Shown::Input,
            Opening::Redacted { .. } | Opening::Reasoning { .. } | Opening::Opaque { .. } => Shown::Nothing,
        };
        match opening {
            Opening::Text { phase } => crate::chat::report_phase(&mut self.losses, phase.as_deref()),
            Opening::Reasoning { .. } => {
                let why = "reasoning of another vendor has no signature";
                self.losses.once("output.reasoning", Action::Dropped, why);
            }
            Opening::Opaque { kind, .. } => {
                self.losses.dropped(format!("output.{kind}"), "the client's API has no such block");
            }
            _ => {}
        }
        let index = self.next;
        self.open = Some(Open { kind, index, signature: None, part: None });
        if kind == Shown::Nothing && !matches!(opening, Opening::Redacted { .. }) {
            return;
        }
        self.next += 1;
        named(out, "content_block_start", |event| {
            event.num("index", index);
            event.object("content_block", |block| write_block(block, opening));
        });
        match opening {
            Opening::Call { kind: CallKind::Custom, .. } => self.piece(out, "{\"input\":\""),
            Opening::Redacted { .. } => {
                self.open = None;
                stop(out, index);
            }
            _ => {}
        }
    }

    fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        let (kind, field, text) = match (open.kind, delta) {
            (Shown::Text, Delta::Text(text)) => ("text_delta", "text", text),
            (Shown::Thinking, Delta::Thinking(text)) => ("thinking_delta", "thinking", text),
            (Shown::Thinking, Delta::Summary { part, text }) => {
                let is_next = open.part.replace(part).is_some_and(|last| last != part);
                ("thinking_delta", "thinking", if is_next { format!("\n\n{text}") } else { text })
            }
            (Shown::Thinking, Delta::Signature(signature)) => {
                open.signature = Some(signature);
                return;
            }
            (Shown::Input, Delta::Input(input)) => ("input_json_delta", "partial_json", input),
            (Shown::Wrapped, Delta::Input(input)) => {
                let mut escaped = Vec::new();
                out::string(&mut escaped, &input);
                let inner = String::from_utf8(escaped).unwrap_or_default();
                let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
                return self.piece(out, inner);
            }
            _ => return,
        };
        if !text.is_empty() {
            write_delta(out, open.index, kind, field, &text);
        }
    }

    /// Writes a piece of the input of a wrapped call.
    fn piece(&self, out: &mut Vec<u8>, json: &str) {
        if let Some(open) = &self.open {
            write_delta(out, open.index, "input_json_delta", "partial_json", json);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.as_ref().is_some_and(|open| open.kind == Shown::Wrapped) {
            self.piece(out, "\"}");
        }
        let Some(open) = self.open.take().filter(|open| open.kind != Shown::Nothing) else { return };
        if let Some(signature) = open.signature {
            write_delta(out, open.index, "signature_delta", "signature", &signature);
        }
        stop(out, open.index);
    }

    fn finish(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        report_finish(&mut self.losses, finish);
        named(out, "message_delta", |event| {
            event.object("delta", |delta| write_finish(delta, finish));
            event.object("usage", |usage| self.usage.write_messages(usage));
        });
        named(out, "message_stop", |_| {});
    }
}

/// Writes an event with its type.
fn named(out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut Object<'_>)) {
    out::frame(out, Some(name), |event| {
        event.str("type", name);
        members(event);
    });
}

fn write_delta(out: &mut Vec<u8>, index: u32, kind: &str, field: &str, text: &str) {
    named(out, "content_block_delta", |event| {
        event.num("index", index);
        event.object("delta", |delta| {
            delta.str("type", kind);
            delta.str(field, text);
        });
    });
}

fn stop(out: &mut Vec<u8>, index: u32) {
    named(out, "content_block_stop", |event| event.num("index", index));
}

fn write_block(block: &mut Object<'_>, opening: &Opening) {
    match opening {
        Opening::Call { id, name, .. } => {
            block.str("type", "tool_use");
            block.str("id", id);
            block.str("name", name);
            block.object("input", |_| {});
        }
        Opening::Thinking | Opening::Reasoning { .. } => {
            block.str("type", "thinking");
            block.str("thinking", "");
            block.str("signature", "");
        }
        Opening::Redacted { data } => {
            block.str("type", "redacted_thinking");
            block.str("data", data);
        }
        Opening::Text { .. } | Opening::Refusal | Opening::Opaque { .. } => {
            block.str("type", "text");
            block.str("text", "");
        }
    }
}

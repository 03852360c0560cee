//! Writes the chunks of Chat Completions.

use crate::hub::{CallKind, Delta, Event, Finish, FinishReason, Opening, Start, Usage};
use crate::loss::{Action, Losses};
use crate::out::{self, Object};

/// Writes the events of one answer, which a guard has put in order.
#[derive(Debug)]
pub(crate) struct Emitter {
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
    /// The beginning of every chunk, up to its choices.
    head: Vec<u8>,
    /// The blocks that are shown, and what they are.
    blocks: Vec<(u32, Shown)>,
    calls: u32,
    /// The part of a summary that was written last.
    part: Option<u32>,
    usage: Option<Usage>,
    pub(crate) losses: Losses,
}

#[derive(Clone, Copy, Debug)]
enum Shown {
    Text,
    Refusal,
    Reasoning,
    Call(u32, CallKind),
}

// === impl Emitter ===

impl Emitter {
    pub(crate) fn new(id: &str, created: u64, model: String, include_usage: bool) -> Self {
        Self {
            id: format!("chatcmpl-{id}"),
            created,
            model,
            include_usage,
            head: Vec::new(),
            blocks: Vec::new(),
            calls: 0,
            part: None,
            usage: None,
            losses: Losses::default(),
        }
    }

    pub(crate) fn push(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start(start) => self.start(start, out),
            Event::Open { block, opening } => self.open(block, opening, out),
            Event::Delta { block, delta } => {
                if let Some((_, shown)) = self.blocks.iter().find(|(known, _)| *known == block) {
                    self.delta(*shown, delta, out);
                }
            }
            Event::Close { block } => self.blocks.retain(|(known, _)| *known != block),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Lost(loss) => self.losses.add_once(loss),
            Event::Finish(finish) => self.finish(&finish, out),
            Event::Failed(failure) => out::frame(out, None, |error| crate::error_body::write_openai(error, &failure)),
        }
    }

    fn start(&mut self, start: Start, out: &mut Vec<u8>) {
        if self.model.is_empty() {
            self.model = start.model.unwrap_or_default();
        }
        self.head = head(&self.id, self.created, &self.model);
        self.chunk(out, None, |delta| {
            delta.str("role", "assistant");
            delta.str("content", "");
        });
    }

    fn open(&mut self, block: u32, opening: Opening, out: &mut Vec<u8>) {
        let shown = match opening {
            Opening::Text { phase } => {
                report_phase(&mut self.losses, phase.as_deref());
                Shown::Text
            }
            Opening::Refusal => Shown::Refusal,
            Opening::Thinking | Opening::Reasoning { .. } => Shown::Reasoning,
            Opening::Redacted { .. } => return report_hidden(&mut self.losses),
            Opening::Opaque { kind, .. } => {
                return self.losses.dropped(format!("content.{kind}"), "the client's API has no such block");
            }
            Opening::Call { id, name, kind, .. } => {
                let index = self.calls;
                self.calls += 1;
                self.chunk(out, None, |delta| {
                    delta.array("tool_calls", |list| {
                        list.object(|call| {
                            call.num("index", index);
                            call.str("id", &id);
                            write_call(call, kind, Some(&name), "");
                        });
                    });
                });
                Shown::Call(index, kind)
            }
        };
        self.part = None;
        self.blocks.push((block, shown));
    }

    fn delta(&mut self, shown: Shown, delta: Delta, out: &mut Vec<u8>) {
        let (name, text) = match (shown, delta) {
            (Shown::Text, Delta::Text(text)) => ("content", text),
            (Shown::Refusal, Delta::Text(text)) => ("refusal", text),
            (Shown::Reasoning, Delta::Thinking(text)) => ("reasoning_content", text),
            (Shown::Reasoning, Delta::Summary { part, text }) => {
                let is_next = self.part.replace(part).is_some_and(|last| last != part);
                ("reasoning_content", if is_next { format!("\n\n{text}") } else { text })
            }
            (Shown::Call(index, kind), Delta::Input(input)) => {
                if !input.is_empty() {
                    self.chunk(out, None, |delta| {
                        delta.array("tool_calls", |list| {
                            list.object(|call| {
                                call.num("index", index);
                                write_call(call, kind, None, &input);
                            });
                        });
                    });
                }
                return;
            }
            (_, Delta::Signature(_) | Delta::Encrypted(_)) => return report_hidden(&mut self.losses),
            _ => return,
        };
        if !text.is_empty() {
            self.chunk(out, None, |delta| delta.str(name, &text));
        }
    }

    fn finish(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        report_finish(&mut self.losses, finish);
        self.chunk(out, Some(finish.reason.to_chat()), |_| {});
        if self.include_usage {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"\"choices\":[],\"usage\":");
            match self.usage {
                Some(usage) => out::object(out, |fields| usage.write_chat(fields)),
                None => out.extend_from_slice(b"null"),
            }
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(signalbox_core::openai::DONE_EVENT.as_bytes());
    }

    /// Writes one chunk whose delta `members` writes.
    fn chunk(&self, out: &mut Vec<u8>, finish: Option<&str>, members: impl FnOnce(&mut Object<'_>)) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"\"choices\":[{\"index\":0,\"delta\":");
        out::object(out, members);
        out.extend_from_slice(b",\"finish_reason\":");
        match finish {
            Some(reason) => out::string(out, reason),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(if self.include_usage { b"}],\"usage\":null}\n\n" } else { b"}]}\n\n" });
    }
}

/// Returns the beginning of all chunks of one answer.
fn head(id: &str, created: u64, model: &str) -> Vec<u8> {
    let mut head = b"data: ".to_vec();
    out::object(&mut head, |chunk| {
        chunk.str("id", id);
        chunk.str("object", "chat.completion.chunk");
        chunk.num("created", created);
        chunk.str("model", model);
    });
    head.pop();
    head.push(b',');
    head
}

/// Writes the type of a call, and its name or input.
pub(super) fn write_call(call: &mut Object<'_>, kind: CallKind, name: Option<&str>, input: &str) {
    let (kind, field) = match kind {
        CallKind::Function => ("function", "arguments"),
        CallKind::Custom => ("custom", "input"),
    };
    if name.is_some() {
        call.str("type", kind);
    }
    call.object(kind, |inner| {
        inner.opt_str("name", name);
        inner.str(field, input);
    });
}

fn report_hidden(losses: &mut Losses) {
    losses.once("content.thinking", Action::Dropped, "signatures and encrypted reasoning have no field there");
}

/// Reports text that is not part of the final answer, which only Responses can tell.
pub(crate) fn report_phase(losses: &mut Losses, phase: Option<&str>) {
    if phase == Some("commentary") {
        losses.once("output.phase", Action::Altered, "commentary is shown as text of the answer");
    }
}

/// Reports an end that the client's API cannot tell exactly.
pub(crate) fn report_finish(losses: &mut Losses, finish: &Finish) {
    let to = finish.reason.to_chat();
    match (finish.reason, &finish.raw) {
        (
            FinishReason::Pause | FinishReason::MalformedTool | FinishReason::Refusal | FinishReason::ContextLength,
            _,
        ) => {
            losses.changed("stop_reason", finish.reason.to_messages(), to, "the client's API has no such reason");
        }
        (_, Some(raw)) if finish.is_unknown() => losses.changed("stop_reason", raw, to, "the reason is not known"),
        _ => {}
    }
}

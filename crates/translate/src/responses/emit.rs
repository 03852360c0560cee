//! Writes the events of Responses.

use super::item::{id_prefix, write_item, write_part, write_text_part};
use super::whole::{Response, incomplete_reason};
use crate::hub::{
    Block, CallKind, Delta, Event, Failure, Finish, Opening, Reasoning, Start, Text, Thinking, ToolCall, Usage,
};
use crate::loss::Losses;
use crate::out::{self, Object};

/// Writes the events of one answer, which a guard has put in order: one item after another.
#[derive(Debug)]
pub(crate) struct Emitter {
    id: String,
    response_id: String,
    created: u64,
    model: String,
    previous: Option<String>,
    has_started: bool,
    sequence: u64,
    open: Option<Open>,
    /// The index of the next item.
    next: u32,
    /// The finished items as JSON, separated by commas.
    output: Vec<u8>,
    has_refusal: bool,
    usage: Option<Usage>,
    pub(crate) losses: Losses,
}

/// The item that is being written.
#[derive(Debug)]
struct Open {
    item_id: String,
    index: u32,
    /// The content so far.
    block: Block,
    /// Whether the part of the text was announced.
    has_part: bool,
    /// The part of the summary that is open.
    summary: Option<u32>,
    /// Parts of the summary that came while the text was open: they follow it.
    late: Vec<Delta>,
}

// === impl Emitter ===

impl Emitter {
    pub(crate) fn new(id: String, created: u64, model: String, previous: Option<String>) -> Self {
        Self {
            response_id: format!("resp_{id}"),
            id,
            created,
            model,
            previous,
            has_started: false,
            sequence: 0,
            open: None,
            next: 0,
            output: Vec::new(),
            has_refusal: false,
            usage: None,
            losses: Losses::default(),
        }
    }

    pub(crate) fn push(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start(start) => self.start(start, out),
            Event::Open { opening, .. } => self.open(opening, out),
            Event::Delta { delta, .. } => {
                if let Some(mut open) = self.open.take() {
                    self.delta(&mut open, delta, out);
                    self.open = Some(open);
                }
            }
            Event::Close { .. } => self.close(out),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Lost(loss) => self.losses.add_once(loss),
            Event::Finish(finish) => self.finish(&finish, out),
            Event::Failed(failure) => {
                self.start(Start::default(), out);
                self.terminal("failed", None, Some(&failure), out);
            }
        }
    }

    fn start(&mut self, start: Start, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        if self.model.is_empty() {
            self.model = start.model.unwrap_or_default();
        }
        for name in ["created", "in_progress"] {
            self.response(name, "in_progress", None, None, out);
        }
    }

    fn open(&mut self, opening: Opening, out: &mut Vec<u8>) {
        let block = match opening {
            Opening::Text { phase } => Block::Text(Text { phase, ..Text::default() }),
            Opening::Refusal => Block::Refusal(String::new()),
            Opening::Thinking => Block::Thinking(Thinking::default()),
            Opening::Redacted { data } => Block::RedactedThinking { data },
            Opening::Reasoning { .. } => Block::Reasoning(Reasoning::default()),
            Opening::Call { id, name, namespace, kind } => {
                Block::ToolCall(ToolCall { id, name, namespace, kind, input: String::new(), cache: None, extra: None })
            }
            Opening::Opaque { kind, .. } => {
                return self.losses.dropped(format!("content.{kind}"), "the client's API has no such block");
            }
        };
        let Some(prefix) = id_prefix(&block) else { return };
        self.has_refusal |= matches!(block, Block::Refusal(_));
        let index = self.next;
        self.next += 1;
        let item_id = format!("{prefix}_{}_{index}", self.id);
        self.event(out, "response.output_item.added", |event| {
            event.num("output_index", index);
            event.object("item", |item| write_item(item, &item_id, &block, false));
        });
        let has_text = matches!(block, Block::Text(_) | Block::Refusal(_));
        let mut open = Open { item_id, index, block, has_part: false, summary: None, late: Vec::new() };
        // A message has its part even if nothing is said.
        if has_text {
            self.open_part(&mut open, out);
        }
        self.open = Some(open);
    }

    /// Announces the only part of a text.
    fn open_part(&mut self, open: &mut Open, out: &mut Vec<u8>) {
        if std::mem::replace(&mut open.has_part, true) {
            return;
        }
        let kind = part_kind(&open.block);
        self.event(out, "response.content_part.added", |event| {
            open.place(event, "content_index", 0);
            event.object("part", |part| write_text_part(part, kind, ""));
        });
    }

    fn delta(&mut self, open: &mut Open, delta: Delta, out: &mut Vec<u8>) {
        let (name, text) = match (&mut open.block, delta) {
            (Block::Text(block), Delta::Text(text)) => {
                block.text.push_str(&text);
                ("response.output_text.delta", text)
            }
            (Block::Refusal(block), Delta::Text(text)) => {
                block.push_str(&text);
                ("response.refusal.delta", text)
            }
            (
                Block::Thinking(Thinking { text: block, .. }) | Block::Reasoning(Reasoning { text: block, .. }),
                Delta::Thinking(text),
            ) => {
                block.push_str(&text);
                ("response.reasoning_text.delta", text)
            }
            (Block::Reasoning(_), Delta::Summary { part, text }) => return self.summary(open, part, &text, out),
            (Block::ToolCall(call), Delta::Input(text)) => {
                call.input.push_str(&text);
                let is_custom = call.kind == CallKind::Custom;
                let name = if is_custom {
                    "response.custom_tool_call_input.delta"
                } else {
                    "response.function_call_arguments.delta"
                };
                (name, text)
            }
            (Block::Thinking(thinking), Delta::Signature(signature)) => {
                thinking.signature = Some(signature);
                return;
            }
            (Block::Reasoning(item), Delta::Encrypted(data)) => {
                item.encrypted = Some(data);
                return;
            }
            _ => return,
        };
        if text.is_empty() {
            return;
        }
        let is_call = matches!(open.block, Block::ToolCall(_));
        if !is_call {
            self.close_summary(open, out);
            self.open_part(open, out);
        }
        self.event(out, name, |event| {
            if is_call {
                open.item(event);
            } else {
                open.place(event, "content_index", 0);
            }
            event.str("delta", &text);
            if name == "response.output_text.delta" {
                event.array("logprobs", |_| {});
            }
        });
    }

    /// Adds to a part of the summary. Parts follow one another; an earlier part that goes on becomes a new one.
    fn summary(&mut self, open: &mut Open, part: u32, text: &str, out: &mut Vec<u8>) {
        if open.has_part {
            let delta = Delta::Summary { part, text: text.to_owned() };
            let rest = match open.late.last_mut() {
                Some(last) => last.join(delta),
                None => Some(delta),
            };
            return open.late.extend(rest);
        }
        let Block::Reasoning(item) = &mut open.block else { return };
        if open.summary != Some(part) {
            self.close_summary(open, out);
            let Block::Reasoning(item) = &mut open.block else { return };
            item.summary.push(String::new());
            open.summary = Some(part);
            let index = open.summary_index();
            self.event(out, "response.reasoning_summary_part.added", |event| {
                open.place(event, "summary_index", index);
                event.object("part", |part| write_text_part(part, "summary_text", ""));
            });
            return self.summary(open, part, text, out);
        }
        if let Some(last) = item.summary.last_mut() {
            last.push_str(text);
        }
        let index = open.summary_index();
        self.event(out, "response.reasoning_summary_text.delta", |event| {
            open.place(event, "summary_index", index);
            event.str("delta", text);
        });
    }

    fn close_summary(&mut self, open: &mut Open, out: &mut Vec<u8>) {
        if open.summary.take().is_none() {
            return;
        }
        let index = open.summary_index();
        let Block::Reasoning(item) = &open.block else { return };
        let text = item.summary.last().map(String::as_str).unwrap_or_default();
        self.event(out, "response.reasoning_summary_text.done", |event| {
            open.place(event, "summary_index", index);
            event.str("text", text);
        });
        self.event(out, "response.reasoning_summary_part.done", |event| {
            open.place(event, "summary_index", index);
            event.object("part", |part| write_text_part(part, "summary_text", text));
        });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.take() else { return };
        self.close_summary(&mut open, out);
        let (name, field, text) = match &open.block {
            Block::Text(block) => ("response.output_text.done", "text", block.text.as_str()),
            Block::Refusal(block) => ("response.refusal.done", "refusal", block.as_str()),
            Block::Thinking(block) => ("response.reasoning_text.done", "text", block.text.as_str()),
            Block::Reasoning(item) => ("response.reasoning_text.done", "text", item.text.as_str()),
            Block::ToolCall(call) if call.kind == CallKind::Custom => {
                ("response.custom_tool_call_input.done", "input", call.input.as_str())
            }
            Block::ToolCall(call) => ("response.function_call_arguments.done", "arguments", call.input.as_str()),
            _ => ("", "", ""),
        };
        if let Block::ToolCall(call) = &open.block {
            self.event(out, name, |event| {
                open.item(event);
                if call.kind == CallKind::Function {
                    event.str("name", &call.name);
                }
                event.str(field, text);
            });
        } else if open.has_part {
            self.event(out, name, |event| {
                open.place(event, "content_index", 0);
                event.str(field, text);
                if field == "text" && matches!(open.block, Block::Text(_)) {
                    event.array("logprobs", |_| {});
                }
            });
            self.event(out, "response.content_part.done", |event| {
                open.place(event, "content_index", 0);
                event.object("part", |part| write_part(part, &open.block));
            });
        }
        open.has_part = false;
        for delta in std::mem::take(&mut open.late) {
            self.delta(&mut open, delta, out);
        }
        self.close_summary(&mut open, out);
        if !self.output.is_empty() {
            self.output.push(b',');
        }
        let from = self.output.len();
        out::object(&mut self.output, |item| write_item(item, &open.item_id, &open.block, true));
        let output = std::mem::take(&mut self.output);
        self.event(out, "response.output_item.done", |event| {
            event.num("output_index", open.index);
            event.value("item").extend_from_slice(output.get(from..).unwrap_or_default());
        });
        self.output = output;
    }

    fn finish(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        let incomplete = incomplete_reason(&mut self.losses, finish, self.has_refusal);
        self.terminal(if incomplete.is_some() { "incomplete" } else { "completed" }, incomplete, None, out);
    }

    fn terminal(&mut self, status: &str, incomplete: Option<&str>, failure: Option<&Failure>, out: &mut Vec<u8>) {
        self.response(status, status, incomplete, failure, out);
    }

    /// Writes an event that carries the whole response.
    fn response(
        &mut self,
        name: &str,
        status: &str,
        incomplete: Option<&str>,
        failure: Option<&Failure>,
        out: &mut Vec<u8>,
    ) {
        let sequence = self.sequence;
        self.sequence += 1;
        let response = Response {
            id: &self.response_id,
            created: self.created,
            model: &self.model,
            previous: self.previous.as_deref(),
            status,
            output: &self.output,
            usage: self.usage.as_ref().filter(|_| status != "in_progress"),
            incomplete,
            failure,
        };
        let name = format!("response.{name}");
        out::frame(out, Some(&name), |event| {
            event.str("type", &name);
            event.num("sequence_number", sequence);
            event.object("response", |object| response.write(object));
        });
    }

    /// Writes an event with its type and number.
    fn event(&mut self, out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut Object<'_>)) {
        let sequence = self.sequence;
        self.sequence += 1;
        out::frame(out, Some(name), |event| {
            event.str("type", name);
            event.num("sequence_number", sequence);
            members(event);
        });
    }
}

// === impl Open ===

impl Open {
    fn item(&self, event: &mut Object<'_>) {
        event.str("item_id", &self.item_id);
        event.num("output_index", self.index);
    }

    fn place(&self, event: &mut Object<'_>, name: &str, index: usize) {
        self.item(event);
        event.num(name, i128::try_from(index).unwrap_or_default());
    }

    /// Returns the index of the last part of the summary.
    fn summary_index(&self) -> usize {
        match &self.block {
            Block::Reasoning(item) => item.summary.len().saturating_sub(1),
            _ => 0,
        }
    }
}

const fn part_kind(block: &Block) -> &'static str {
    match block {
        Block::Text(_) => "output_text",
        Block::Refusal(_) => "refusal",
        _ => "reasoning_text",
    }
}

//! Reads the events of Messages.

use std::collections::{BTreeMap, BTreeSet};

use signalbox_core::json::repaired;

use super::whole::{call_id, finish_of, is_failure, read_content};
use crate::decoder::foreign_api;
use crate::field::{Fields, Joiner, Raw};
use crate::hub::{self, Answer, CallKind, Delta, Event, Failure, Finish, Opening, Start, Usage};
use crate::{Api, Loss};

/// Reads the events of one answer.
#[derive(Debug)]
pub(crate) struct Decoder {
    has_started: bool,
    has_ended: bool,
    /// A prefix for ids of calls that have none.
    id: String,
    next: u32,
    /// The open blocks: the provider's index, and what is known of each.
    open: BTreeMap<u32, Block>,
    /// The provider's indices of all blocks that ever began.
    seen: BTreeSet<u32>,
    /// Token counts so far; `None` if the provider has sent none.
    usage: Option<Usage>,
    finish: Option<Finish>,
    /// Content that came with the beginning of the message, which blocks of their own replace.
    content: Vec<hub::Block>,
}

#[derive(Debug)]
struct Block {
    number: u32,
    joiner: Joiner,
    is_text: bool,
    /// A server tool call or another block whose pieces are not shown.
    is_opaque: bool,
    /// Input of a call that came with its opening; pieces replace it.
    input: Option<String>,
}

// === impl Decoder ===

impl Decoder {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            has_started: false,
            has_ended: false,
            next: 0,
            open: BTreeMap::new(),
            seen: BTreeSet::new(),
            usage: None,
            finish: None,
            content: Vec::new(),
        }
    }

    /// Reads one event. Data that are not JSON are skipped.
    pub(crate) fn push(&mut self, name: Option<&str>, data: &[u8], out: &mut Vec<Event>) {
        if self.has_ended {
            return;
        }
        let Some(json) = repaired(data) else { return };
        let Some(fields) = Raw::document(&json).fields() else { return };
        let kind = fields.string("type").or_else(|| name.map(str::to_owned)).unwrap_or_default();
        match kind.as_str() {
            "message_start" => self.start(&fields, out),
            "content_block_start" => self.open(&fields, out),
            "content_block_delta" => self.delta(&fields, out),
            "content_block_stop" => {
                if let Some(block) = fields.index("index").and_then(|index| self.open.remove(&index)) {
                    close(block, out);
                }
            }
            "message_delta" => self.message_delta(&fields, out),
            "message_stop" => self.finish(out),
            "ping" => out.push(Event::Ping),
            "error" => self.fail(Failure::read(None, json.as_bytes()), out),
            _ if fields.get("error").is_some() => self.fail(Failure::read(None, json.as_bytes()), out),
            _ => {
                if let Some(what) = foreign_api(data, Api::Messages) {
                    self.fail(Failure::foreign(&what), out);
                }
            }
        }
    }

    /// Ends the answer: it is complete if a stop reason was seen.
    pub(crate) fn finish(&mut self, out: &mut Vec<Event>) {
        if self.has_ended {
            return;
        }
        let Some(finish) = self.finish.take() else { return self.fail(Failure::incomplete(), out) };
        if self.seen.is_empty() {
            let content = Answer { blocks: std::mem::take(&mut self.content), ..Answer::default() };
            let is_of_block =
                |event: &Event| matches!(event, Event::Open { .. } | Event::Delta { .. } | Event::Close { .. });
            out.extend(content.into_events().into_iter().filter(is_of_block));
        }
        for (_, block) in std::mem::take(&mut self.open) {
            close(block, out);
        }
        self.has_ended = true;
        out.push(Event::Finish(finish));
    }

    /// Ends the answer at the end of the stream, which must not come before `message_stop`.
    pub(crate) fn finish_stream(&mut self, out: &mut Vec<Event>) {
        if !self.has_ended {
            self.fail(Failure::incomplete(), out);
        }
    }

    /// Returns whether the answer has its end.
    pub(crate) const fn is_complete(&self) -> bool {
        self.has_ended
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.has_ended = true;
        out.push(Event::Failed(failure));
    }

    fn start(&mut self, fields: &Fields<'_>, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let message = fields.object("message").unwrap_or_default();
        out.push(Event::Start(Start { id: message.string("id"), model: message.string("model") }));
        // These counts are not final, so they are told with those of `message_delta` only: an answer that breaks off
        // before has none.
        self.count(&message);
        self.content = read_content(&message, &self.id);
    }

    fn count(&mut self, fields: &Fields<'_>) {
        if let Some(usage) = fields.object("usage") {
            self.usage.get_or_insert_default().update_of_messages(&usage);
        }
    }

    fn open(&mut self, fields: &Fields<'_>, out: &mut Vec<Event>) {
        let index = fields.index("index").unwrap_or(self.next);
        let (Some(value), false) = (fields.get("content_block"), self.open.contains_key(&index)) else { return };
        let Some(content) = value.fields() else { return };
        let kind = content.string("type").unwrap_or_default();
        let (mut first, mut input) = (None, None);
        let opening = match kind.as_str() {
            "text" => {
                first = content.string("text").filter(|text| !text.is_empty()).map(Delta::Text);
                Opening::Text { phase: None }
            }
            "thinking" => {
                first = content.string("thinking").filter(|text| !text.is_empty()).map(Delta::Thinking);
                Opening::Thinking
            }
            "redacted_thinking" => Opening::Redacted { data: content.string("data").unwrap_or_default() },
            "tool_use" => {
                let given = content.get("input").filter(|input| input.is_object() && input.as_str().len() > 2);
                input = given.map(|input| input.as_str().to_owned());
                Opening::Call {
                    id: call_id(&content, &self.id, self.next),
                    name: content.string("name").unwrap_or_default(),
                    namespace: None,
                    kind: CallKind::Function,
                }
            }
            _ => Opening::Opaque { api: Api::Messages, kind: kind.clone(), json: value.to_json() },
        };
        let number = self.insert(index, opening, out);
        if let Some(block) = self.open.get_mut(&index) {
            block.input = input;
        }
        out.extend(first.map(|delta| Event::Delta { block: number, delta }));
    }

    /// Opens the block of a delta whose beginning was left out, as some providers do for text. Returns whether the
    /// delta has a block.
    fn open_implied(&mut self, fields: &Fields<'_>, out: &mut Vec<Event>) -> bool {
        let Some(index) = fields.index("index").filter(|index| !self.open.contains_key(index)) else { return true };
        let kind = fields.object("delta").and_then(|delta| delta.string("type")).unwrap_or_default();
        let opening = match kind.as_str() {
            "text_delta" if !self.seen.contains(&index) => Opening::Text { phase: None },
            "thinking_delta" if !self.seen.contains(&index) => Opening::Thinking,
            "text_delta" | "thinking_delta" | "input_json_delta" => return false,
            _ => return true,
        };
        self.insert(index, opening, out);
        true
    }

    /// Opens a block. Returns its number.
    fn insert(&mut self, index: u32, opening: Opening, out: &mut Vec<Event>) -> u32 {
        let number = self.next;
        self.next += 1;
        self.seen.insert(index);
        let is_opaque = matches!(opening, Opening::Opaque { .. } | Opening::Redacted { .. });
        let is_text = matches!(opening, Opening::Text { .. });
        self.open.insert(index, Block { number, joiner: Joiner::default(), is_text, is_opaque, input: None });
        out.push(Event::Open { block: number, opening });
        number
    }

    fn delta(&mut self, fields: &Fields<'_>, out: &mut Vec<Event>) {
        if !self.open_implied(fields, out) {
            return self.fail(Failure::foreign("it adds to a block that is not open"), out);
        }
        let index = fields.index("index").or_else(|| self.open.keys().next_back().copied());
        let Some(block) = index.and_then(|index| self.open.get_mut(&index)).filter(|block| !block.is_opaque) else {
            return;
        };
        let Some(content) = fields.object("delta") else { return };
        let mut text = |name: &str| content.get(name).and_then(Raw::text).map(|text| block.joiner.push(text));
        let delta = match content.str("type").as_deref() {
            Some("text_delta") => text("text").map(Delta::Text),
            Some("thinking_delta") => text("thinking").map(Delta::Thinking),
            Some("input_json_delta") => text("partial_json").map(Delta::Input),
            Some("signature_delta") => content.string("signature").map(Delta::Signature),
            Some("citations_delta") => {
                out.push(Event::Lost(Loss::of_answer("content.citations")));
                None
            }
            _ => None,
        };
        let is_empty =
            matches!(&delta, Some(Delta::Text(text) | Delta::Thinking(text) | Delta::Input(text)) if text.is_empty());
        if matches!(delta, Some(Delta::Input(_))) && !is_empty {
            block.input = None;
        }
        out.extend(delta.filter(|_| !is_empty).map(|delta| Event::Delta { block: block.number, delta }));
    }

    fn message_delta(&mut self, fields: &Fields<'_>, out: &mut Vec<Event>) {
        self.count(fields);
        out.extend(self.usage.map(Event::Usage));
        let Some(delta) = fields.object("delta") else { return };
        let Some(reason) = delta.str("stop_reason") else { return };
        if is_failure(&reason) {
            let message = format!("The provider ended its answer with the stop reason {reason:?}.");
            return self.fail(Failure::new(crate::hub::ErrorClass::Server, message), out);
        }
        self.finish = Some(finish_of(&reason, &delta));
    }
}

fn close(mut block: Block, out: &mut Vec<Event>) {
    if let (true, Some(rest)) = (block.is_text, block.joiner.finish()) {
        out.push(Event::Delta { block: block.number, delta: Delta::Text(rest) });
    }
    if let Some(input) = block.input {
        out.push(Event::Delta { block: block.number, delta: Delta::Input(input) });
    }
    out.push(Event::Close { block: block.number });
}

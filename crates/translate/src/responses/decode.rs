//! Reads the events of Responses.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use signalbox_core::json::{Text, repaired};

use super::indices::Indices;
use crate::decoder::foreign_api;
use crate::field::{Fields, Joiner, Raw};
use crate::hub::{CallKind, Delta, ErrorClass, Event, Failure, Finish, FinishReason, Opening, Start, Usage};
use crate::write::arguments_object;
use crate::{Api, Loss};

/// The place of a block: the index of its item, and of the part within it.
type Place = (u32, u32);

/// Reads the events of one answer.
#[derive(Debug)]
pub(crate) struct Decoder {
    has_started: bool,
    has_ended: bool,
    /// The number and the hash of the newest event: one that equals it is repeated. Not all providers count upwards.
    newest: Option<(u64, u64)>,
    indices: Indices,
    next: u32,
    blocks: BTreeMap<Place, Block>,
    /// Items that ended, or that were seen to be of another kind.
    done: BTreeMap<u32, ()>,
    phases: BTreeMap<u32, String>,
    has_calls: bool,
    has_refusal: bool,
}

#[derive(Debug)]
struct Block {
    number: u32,
    joiner: Joiner,
    /// The text or the input so far.
    said: String,
    /// Number of bytes of each part of the summary.
    summary: BTreeMap<u32, usize>,
    is_open: bool,
}

// === impl Decoder ===

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            has_started: false,
            has_ended: false,
            newest: None,
            indices: Indices::default(),
            next: 0,
            blocks: BTreeMap::new(),
            done: BTreeMap::new(),
            phases: BTreeMap::new(),
            has_calls: false,
            has_refusal: false,
        }
    }

    /// Reads one event. Data that are not JSON are skipped.
    pub(crate) fn push(&mut self, name: Option<&str>, data: &[u8], out: &mut Vec<Event>) {
        if self.has_ended {
            return;
        }
        let Some(json) = repaired(data) else { return };
        let Some(fields) = Raw::document(&json).fields() else { return };
        if let Some(sequence) = fields.count("sequence_number") {
            let mut hasher = DefaultHasher::new();
            data.hash(&mut hasher);
            let event = (sequence, hasher.finish());
            if self.newest == Some(event) {
                return;
            }
            self.newest = Some(event);
        }
        let kind = fields.string("type").or_else(|| name.map(str::to_owned)).unwrap_or_default();
        let kind = kind.strip_prefix("response.").unwrap_or(&kind);
        match kind {
            "created" | "in_progress" | "queued" => self.start(&fields, out),
            "output_item.added" => self.item(&fields, false, out),
            "output_item.done" => self.item(&fields, true, out),
            "content_part.added" => self.part(&fields, out),
            status @ ("completed" | "incomplete" | "failed" | "cancelled") => match fields.get("response") {
                Some(value) => {
                    let response = value.fields().unwrap_or_default();
                    self.read_response(&response, value, Some(status), out);
                }
                None => self.fail(Failure::read(None, json.as_bytes()), out),
            },
            "error" => self.fail(Failure::read(None, &error_of(&fields, &json)), out),
            "keepalive" => out.push(Event::Ping),
            kind => self.delta_or_other(kind, &fields, data, out),
        }
    }

    /// Ends the answer at the end of the stream, which must not come before its terminal event.
    pub(crate) fn finish(&mut self, out: &mut Vec<Event>) {
        if !self.has_ended {
            self.fail(Failure::incomplete(), out);
        }
    }

    /// Reads a whole response: of a terminal event, which tells the status, or of a body.
    pub(crate) fn read_response(
        &mut self,
        response: &Fields<'_>,
        value: Raw<'_>,
        status: Option<&str>,
        out: &mut Vec<Event>,
    ) {
        if !self.has_started {
            self.has_started = true;
            out.push(Event::Start(Start { id: response.string("id"), model: response.string("model") }));
        }
        let own = response.str("status");
        // Some providers end a failed answer with the event of a complete one.
        let status = own.as_deref().filter(|own| matches!(*own, "failed" | "cancelled")).or(status).or(own.as_deref());
        match status {
            Some("completed" | "incomplete") => {}
            Some("failed") => return self.fail(Failure::read(None, value.as_str().as_bytes()), out),
            Some("cancelled") => {
                let failure = Failure::new(ErrorClass::Server, "The provider cancelled its answer.");
                return self.fail(failure, out);
            }
            _ => return self.fail(Failure::incomplete(), out),
        }
        for (index, item) in (0_u32..).zip(response.elements("output")) {
            if let Some(item_fields) = item.fields() {
                let index = self.indices.get(index, item_fields.string("id"));
                self.read_item(index, &item_fields, item, true, out);
            }
        }
        if self.has_ended {
            return;
        }
        self.close_all(out);
        if let Some(usage) = response.object("usage") {
            let mut usage = Usage::of_responses(&usage);
            let searches = response.object("tool_usage").and_then(|tools| tools.object("web_search"));
            usage.web_searches = searches.and_then(|search| search.count("num_requests")).unwrap_or_default();
            out.push(Event::Usage(usage));
        }
        let detail = response.object("incomplete_details").and_then(|details| details.string("reason"));
        let is_incomplete = status == Some("incomplete");
        let (reason, raw) = match detail.as_deref().filter(|_| is_incomplete) {
            Some("max_output_tokens") => (FinishReason::Length, None),
            Some("content_filter") if self.has_refusal => (FinishReason::Refusal, None),
            Some("content_filter") => (FinishReason::Filter, None),
            Some("max_messages" | "steered") => (FinishReason::Pause, None),
            Some(_) => (FinishReason::Length, detail),
            None if is_incomplete => (FinishReason::Length, None),
            None if self.has_calls => (FinishReason::Tool, None),
            None if self.has_refusal => (FinishReason::Refusal, None),
            None => (FinishReason::Stop, None),
        };
        self.has_ended = true;
        out.push(Event::Finish(Finish { raw, ..Finish::new(reason) }));
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.has_ended = true;
        out.push(Event::Failed(failure));
    }

    fn start(&mut self, fields: &Fields<'_>, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.has_started, true) {
            let response = fields.object("response").unwrap_or_default();
            out.push(Event::Start(Start { id: response.string("id"), model: response.string("model") }));
        }
    }

    fn item(&mut self, fields: &Fields<'_>, is_done: bool, out: &mut Vec<Event>) {
        let index = fields.index("output_index").unwrap_or_default();
        if let Some(value) = fields.get("item")
            && let Some(item) = value.fields()
        {
            let index = self.indices.get(index, item.string("id"));
            self.read_item(index, &item, value, is_done, out);
        }
    }

    fn place_of(&mut self, fields: &Fields<'_>) -> Place {
        let index = fields.index("output_index").unwrap_or_default();
        (self.indices.get(index, fields.string("item_id")), fields.index("content_index").unwrap_or_default())
    }

    /// Reads an item: its beginning, or its end, which completes what no event has brought.
    fn read_item(&mut self, index: u32, item: &Fields<'_>, value: Raw<'_>, is_done: bool, out: &mut Vec<Event>) {
        if self.has_ended || self.done.contains_key(&index) {
            return;
        }
        let kind = item.str("type").unwrap_or_default();
        match &*kind {
            "message" => {
                if let Some(phase) = item.string("phase") {
                    self.phases.insert(index, phase);
                }
                for (part_index, part) in (0_u32..).zip(item.elements("content")) {
                    let Some(part) = part.fields() else { continue };
                    let (is_refusal, text) = match part.get("refusal") {
                        Some(text) => (true, Some(text)),
                        None => (false, part.get("text")),
                    };
                    self.open_text((index, part_index), is_refusal, out);
                    if is_done && !part.elements("annotations").is_empty() {
                        out.push(Event::Lost(Loss::of_answer("content.annotations")));
                    }
                    self.complete((index, part_index), text, Delta::Text, out);
                }
            }
            "reasoning" => {
                let opening = Opening::Reasoning { id: item.string("id") };
                self.open((index, 0), opening, out);
                if is_done {
                    self.complete_reasoning(index, item, out);
                }
            }
            "function_call" | "custom_tool_call" => {
                let (kind, input) = if kind == "function_call" {
                    (CallKind::Function, "arguments")
                } else {
                    (CallKind::Custom, "input")
                };
                let opening = Opening::Call {
                    id: item.string("call_id").or_else(|| item.string("id")).unwrap_or_default(),
                    name: item.string("name").unwrap_or_default(),
                    namespace: item.string("namespace"),
                    kind,
                };
                self.has_calls = true;
                self.open((index, 0), opening, out);
                if is_done {
                    self.complete((index, 0), item.get(input), Delta::Input, out);
                }
            }
            _ if is_done => {
                let opening = Opening::Opaque { api: Api::Responses, kind: kind.to_string(), json: value.to_json() };
                self.open((index, 0), opening, out);
            }
            _ => {}
        }
        if is_done && !self.has_ended {
            self.done.insert(index, ());
            self.close(index, out);
        }
    }

    fn complete_reasoning(&mut self, index: u32, item: &Fields<'_>, out: &mut Vec<Event>) {
        let place = (index, 0);
        let Some(block) = self.blocks.get_mut(&place) else { return };
        for (part, value) in (0_u32..).zip(item.elements("summary")) {
            let text = value.fields().and_then(|part| part.string("text")).unwrap_or_default();
            if !block.summary.contains_key(&part) && !text.is_empty() {
                block.summary.insert(part, text.len());
                out.push(Event::Delta { block: block.number, delta: Delta::Summary { part, text } });
            }
        }
        if block.said.is_empty() {
            let texts = item.elements("content").into_iter().filter_map(|part| part.fields()?.string("text"));
            let text = texts.collect::<Vec<_>>().concat();
            if !text.is_empty() {
                block.said.clone_from(&text);
                out.push(Event::Delta { block: block.number, delta: Delta::Thinking(text) });
            }
        }
        if let Some(data) = item.string("encrypted_content") {
            out.push(Event::Delta { block: block.number, delta: Delta::Encrypted(data) });
        }
    }

    fn part(&mut self, fields: &Fields<'_>, out: &mut Vec<Event>) {
        let place = self.place_of(fields);
        match fields.object("part").and_then(|part| part.string("type")).as_deref() {
            Some("output_text") => self.open_text(place, false, out),
            Some("refusal") => self.open_text(place, true, out),
            _ => {}
        }
    }

    fn delta_or_other(&mut self, kind: &str, fields: &Fields<'_>, data: &[u8], out: &mut Vec<Event>) {
        let (index, part) = self.place_of(fields);
        let delta = fields.get("delta").and_then(Raw::text);
        match kind {
            "output_text.delta" | "refusal.delta" => {
                self.open_text((index, part), kind == "refusal.delta", out);
                self.add((index, part), delta, Delta::Text, out);
            }
            "output_text.done" | "refusal.done" => {
                let name = if kind == "refusal.done" { "refusal" } else { "text" };
                self.open_text((index, part), kind == "refusal.done", out);
                self.complete((index, part), fields.get(name), Delta::Text, out);
            }
            "output_text.annotation.added" => out.push(Event::Lost(Loss::of_answer("content.annotations"))),
            "reasoning_text.delta" => {
                self.open((index, 0), Opening::Reasoning { id: fields.string("item_id") }, out);
                self.add((index, 0), delta, Delta::Thinking, out);
            }
            "reasoning_summary_text.delta" => self.summary(index, fields, out),
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.add((index, 0), delta, Delta::Input, out);
            }
            "function_call_arguments.done" => self.complete((index, 0), fields.get("arguments"), Delta::Input, out),
            "custom_tool_call_input.done" => self.complete((index, 0), fields.get("input"), Delta::Input, out),
            _ => {
                if let Some(what) = foreign_api(data, Api::Responses) {
                    self.fail(Failure::foreign(&what), out);
                }
            }
        }
    }

    fn summary(&mut self, index: u32, fields: &Fields<'_>, out: &mut Vec<Event>) {
        self.open((index, 0), Opening::Reasoning { id: fields.string("item_id") }, out);
        let part = fields.index("summary_index").unwrap_or_default();
        let Some(block) = self.blocks.get_mut(&(index, 0)).filter(|block| block.is_open) else { return };
        let Some(text) = fields.get("delta").and_then(Raw::text).map(|text| block.joiner.push(text)) else { return };
        *block.summary.entry(part).or_default() += text.len();
        out.push(Event::Delta { block: block.number, delta: Delta::Summary { part, text } });
    }

    fn open_text(&mut self, place: Place, is_refusal: bool, out: &mut Vec<Event>) {
        self.has_refusal |= is_refusal;
        let phase = self.phases.get(&place.0).cloned();
        let opening = if is_refusal { Opening::Refusal } else { Opening::Text { phase } };
        self.open(place, opening, out);
    }

    fn open(&mut self, place: Place, opening: Opening, out: &mut Vec<Event>) {
        if self.blocks.contains_key(&place) || self.done.contains_key(&place.0) {
            return;
        }
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(Event::Start(Start::default()));
        }
        let number = self.next;
        self.next += 1;
        let block =
            Block { number, joiner: Joiner::default(), said: String::new(), summary: BTreeMap::new(), is_open: true };
        self.blocks.insert(place, block);
        out.push(Event::Open { block: number, opening });
    }

    fn add(&mut self, place: Place, text: Option<Text<'_>>, delta: fn(String) -> Delta, out: &mut Vec<Event>) {
        let Some(block) = self.blocks.get_mut(&place).filter(|block| block.is_open) else { return };
        let Some(text) = text.map(|text| block.joiner.push(text)).filter(|text| !text.is_empty()) else { return };
        block.said.push_str(&text);
        out.push(Event::Delta { block: block.number, delta: delta(text) });
    }

    /// Adds the end of a text that its deltas did not bring.
    fn complete(&mut self, place: Place, text: Option<Raw<'_>>, delta: fn(String) -> Delta, out: &mut Vec<Event>) {
        let Some(block) = self.blocks.get_mut(&place).filter(|block| block.is_open) else { return };
        let Some(text) = text.and_then(Raw::str) else { return };
        let Some(rest) = text.strip_prefix(block.said.as_str()) else {
            // The client has seen another text already. Complete arguments may only be formatted in another way; others
            // must not become a call.
            let is_input = matches!(delta(String::new()), Delta::Input(_));
            if is_input && arguments_object(&block.said).is_none() {
                self.fail(Failure::foreign("the arguments of a call are not the sum of their pieces"), out);
            }
            return;
        };
        if !rest.is_empty() {
            out.push(Event::Delta { block: block.number, delta: delta(rest.to_owned()) });
            block.said.push_str(rest);
            block.joiner = Joiner::default();
        }
    }

    /// Ends all blocks of an item.
    fn close(&mut self, index: u32, out: &mut Vec<Event>) {
        for (_, block) in self.blocks.range_mut((index, 0)..=(index, u32::MAX)) {
            if std::mem::replace(&mut block.is_open, false) {
                out.push(Event::Close { block: block.number });
            }
        }
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        for block in self.blocks.values_mut() {
            if std::mem::replace(&mut block.is_open, false) {
                out.push(Event::Close { block: block.number });
            }
        }
    }
}

/// Returns the JSON of an error whose fields may be at the top level.
fn error_of(fields: &Fields<'_>, json: &str) -> Vec<u8> {
    if fields.get("error").is_some() {
        return json.as_bytes().to_vec();
    }
    let error = crate::out::json(|error| {
        for name in ["code", "message", "param"] {
            if let Some(value) = fields.get(name) {
                error.raw(name, value.as_str());
            }
        }
    });
    format!("{{\"error\":{}}}", error.as_str()).into_bytes()
}

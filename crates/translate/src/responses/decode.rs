//! Reads the events of Responses.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use signalbox_core::json::repaired;
use signalbox_core::typed::{ResponseItems, SeenItem, kind_of_piece};

use super::blocks::{Blocks, Contradiction, Place, call_kind};
use super::items::{Part, input, parts, seen};
use crate::decoder::foreign_api;
use crate::field::{Fields, Raw};
use crate::hub::{ErrorClass, Event, Failure, Finish, FinishReason, Opening, Start, Usage};
use crate::{Api, Loss};

/// Reads the events of one answer.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    has_started: bool,
    has_ended: bool,
    /// The number and the hash of the newest event: one that equals it is repeated. Not all providers count upwards.
    newest: Option<(u64, u64)>,
    items: ResponseItems,
    /// A prefix for ids of calls that have none.
    id: String,
    blocks: Blocks,
    phases: BTreeMap<u32, String>,
    has_calls: bool,
    has_refusal: bool,
}

// === impl Decoder ===

impl Decoder {
    /// Creates a decoder. `id` makes up the ids of calls that have none.
    pub(crate) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// Returns whether the answer has its end.
    pub(crate) const fn is_complete(&self) -> bool {
        self.has_ended
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
        let output: Vec<(Raw<'_>, Fields<'_>)> =
            response.elements("output").into_iter().filter_map(|item| Some((item, item.fields()?))).collect();
        let all: Vec<SeenItem> = (0_u32..).zip(&output).map(|(place, (_, item))| seen(Some(place), item)).collect();
        let numbers = self.items.of_response(&all, |number| self.blocks.said(number));
        for ((number, kind), (value, item)) in numbers.into_iter().zip(&all).zip(&output) {
            if let Some(number) = number {
                self.read_item(number, &kind.kind, item, *value, true, out);
            }
        }
        if self.has_ended {
            return;
        }
        self.blocks.close_all(out);
        if let Some(mut usage) = response.get("usage").and_then(Usage::read) {
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
        let Some(value) = fields.get("item") else { return };
        let Some(item) = value.fields() else { return };
        let seen = seen(fields.index("output_index"), &item);
        let said = |number| self.blocks.said(number);
        let number = match is_done {
            true => self.items.of_end(&seen, said),
            false => self.items.of_announcement(&seen, said),
        };
        self.read_item(number, &seen.kind, &item, value, is_done, out);
    }

    /// Returns the place of a piece. `kind` is the type of its item.
    fn place_of(&mut self, kind: &str, fields: &Fields<'_>) -> Place {
        let place = fields.index("output_index");
        let (id, kind) = (fields.string("item_id").unwrap_or_default(), kind.to_owned());
        let number = self.items.of_piece(SeenItem { place, id, kind, ..SeenItem::default() });
        (number, fields.index("content_index").unwrap_or_default())
    }

    /// Reads an item: its beginning, or its end, which completes what no event has brought.
    fn read_item(
        &mut self,
        number: u32,
        kind: &str,
        item: &Fields<'_>,
        value: Raw<'_>,
        is_done: bool,
        out: &mut Vec<Event>,
    ) {
        if self.has_ended || self.items.is_done(number) {
            return;
        }
        match (kind, call_kind(kind)) {
            ("message", _) => self.read_message(number, item, is_done, out),
            ("reasoning", _) => {
                self.open((number, 0), Opening::Reasoning { id: item.string("id") }, out);
                match is_done {
                    true => self.blocks.complete_reasoning(number, item, out),
                    false => self.blocks.announce_reasoning(number, item),
                }
            }
            (_, Some((kind, field))) => {
                let name = item.string("name").unwrap_or_default();
                // A name that is not known yet comes at the end.
                if !name.is_empty() || is_done {
                    let id = |name: &str| item.string(name).filter(|id| !id.is_empty());
                    let id = id("call_id").or_else(|| id("id")).unwrap_or_else(|| format!("call_{}_{number}", self.id));
                    self.has_calls = true;
                    self.open((number, 0), Opening::Call { id, name, namespace: item.string("namespace"), kind }, out);
                }
                let text = item.get(field).map(input).unwrap_or_default();
                match is_done {
                    true if item.get(field).is_some() => self.complete((number, 0), &text, out),
                    true => {}
                    // An empty object stands for arguments that are still to come.
                    false if text == "{}" => {}
                    false => self.blocks.announce((number, 0), text),
                }
            }
            _ if is_done => {
                let opening = Opening::Opaque { api: Api::Responses, kind: kind.to_owned(), json: value.to_json() };
                self.open((number, 0), opening, out);
            }
            _ => {}
        }
        if is_done && !self.has_ended {
            self.items.end(number);
            self.blocks.close(number, out);
        }
    }

    fn read_message(&mut self, number: u32, item: &Fields<'_>, is_done: bool, out: &mut Vec<Event>) {
        if let Some(phase) = item.string("phase") {
            self.phases.insert(number, phase);
        }
        let parts = parts(item);
        if is_done && parts.iter().any(|part| part.has_annotations) {
            out.push(Event::Lost(Loss::of_answer("content.annotations")));
        }
        if is_done {
            return self.complete_message(number, &parts, out);
        }
        for (index, part) in (0_u32..).zip(parts) {
            self.open_text((number, index), part.is_refusal, out);
            self.blocks.announce((number, index), part.text);
        }
    }

    /// Adds the parts of a message that no delta has brought, whatever indices the deltas had.
    fn complete_message(&mut self, number: u32, parts: &[Part], out: &mut Vec<Event>) {
        let said = self.blocks.said(number);
        let total: String = parts.iter().map(|part| part.text.as_str()).collect();
        let mut known = if total.starts_with(&said) { Some(said.len()) } else { None };
        for (index, part) in (0_u32..).zip(parts) {
            let place = (number, index);
            let Some(length) = &mut known else {
                // The client has seen another text: only parts that are new are added.
                if !self.blocks.contains(place) {
                    self.open_text(place, part.is_refusal, out);
                    self.blocks.add_rest(place, &part.text, out);
                }
                continue;
            };
            let (start, rest) = part.text.split_at_checked((*length).min(part.text.len())).unwrap_or(("", &part.text));
            *length -= start.len();
            self.has_refusal |= part.is_refusal;
            if rest.is_empty() && !part.text.is_empty() {
                continue;
            }
            let is_taken = self.blocks.contains(place) && !self.blocks.is_open(place) && !rest.is_empty();
            let place = if is_taken { self.blocks.next_place(number) } else { place };
            self.open_text(place, part.is_refusal, out);
            self.blocks.drop_announced(place);
            self.blocks.add_rest(place, rest, out);
        }
    }

    fn part(&mut self, fields: &Fields<'_>, out: &mut Vec<Event>) {
        let Some(part) = fields.object("part") else { return };
        let is_refusal = match part.str("type").as_deref() {
            Some("output_text") => false,
            Some("refusal") => true,
            _ => return,
        };
        let place = self.place_of("message", fields);
        let place = self.blocks.place_for_more(place);
        self.open_text(place, is_refusal, out);
        self.blocks.announce(place, part.string(if is_refusal { "refusal" } else { "text" }).unwrap_or_default());
    }

    fn delta_or_other(&mut self, kind: &str, fields: &Fields<'_>, data: &[u8], out: &mut Vec<Event>) {
        if kind == "output_text.annotation.added" {
            return out.push(Event::Lost(Loss::of_answer("content.annotations")));
        }
        let Some((of, what)) = kind.rsplit_once('.') else { return self.other(data, out) };
        let Some(item) = kind_of_piece(kind, "").filter(|_| matches!(what, "delta" | "done") && of != "content_part")
        else {
            return self.other(data, out);
        };
        let (is_done, is_refusal) = (what == "done", of == "refusal");
        if is_done && item == "reasoning" {
            return;
        }
        let place = self.place_of(item, fields);
        if self.items.is_done(place.0) {
            return;
        }
        let delta = fields.get("delta").and_then(Raw::text);
        let first = (place.0, 0);
        match of {
            "output_text" | "refusal" if is_done => {
                let text = fields.string(if is_refusal { "refusal" } else { "text" });
                let place = self.blocks.latest(place);
                self.open_text(place, is_refusal, out);
                if let Some(text) = text
                    && self.blocks.complete(place, &text, out).is_ok_and(|is_whole| is_whole)
                    && !text.is_empty()
                {
                    self.blocks.close_part(place, out);
                }
            }
            "output_text" | "refusal" => {
                let place = self.blocks.place_for_more(place);
                self.open_text(place, is_refusal, out);
                self.blocks.add(place, delta, out);
            }
            "reasoning_text" | "reasoning_summary_text" => {
                self.open(first, Opening::Reasoning { id: fields.string("item_id") }, out);
                if of == "reasoning_text" {
                    return self.blocks.add(first, delta, out);
                }
                let part = fields.index("summary_index").unwrap_or_default();
                self.blocks.add_summary(place.0, part, delta, out);
            }
            _ if is_done => {
                let field = if of == "function_call_arguments" { "arguments" } else { "input" };
                if let Some(text) = fields.get(field).map(input) {
                    self.complete(first, &text, out);
                }
            }
            _ => self.blocks.add_input(place.0, delta, out),
        }
    }

    fn other(&mut self, data: &[u8], out: &mut Vec<Event>) {
        if let Some(what) = foreign_api(data, Api::Responses) {
            self.fail(Failure::foreign(&what), out);
        }
    }

    fn open_text(&mut self, place: Place, is_refusal: bool, out: &mut Vec<Event>) {
        self.has_refusal |= is_refusal;
        let phase = self.phases.get(&place.0).cloned();
        let opening = if is_refusal { Opening::Refusal } else { Opening::Text { phase } };
        self.open(place, opening, out);
    }

    fn open(&mut self, place: Place, opening: Opening, out: &mut Vec<Event>) {
        if self.blocks.contains(place) || self.items.is_done(place.0) {
            return;
        }
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(Event::Start(Start::default()));
        }
        self.blocks.open(place, opening, out);
    }

    /// Adds the rest of the input of a call.
    fn complete(&mut self, place: Place, input: &str, out: &mut Vec<Event>) {
        if let Err(Contradiction) = self.blocks.complete(place, input, out) {
            self.fail(Failure::foreign("the arguments of a call are not the sum of their pieces"), out);
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

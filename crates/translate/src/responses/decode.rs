//! Reads the events of Responses.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use signalbox_core::json::repaired;

use super::blocks::{Blocks, Contradiction, Place, call_kind};
use super::items::{Items, Seen};
use crate::decoder::foreign_api;
use crate::field::{Fields, Raw};
use crate::hub::{Delta, ErrorClass, Event, Failure, Finish, FinishReason, Opening, Start, Usage};
use crate::{Api, Loss};

/// Reads the events of one answer.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    has_started: bool,
    has_ended: bool,
    /// The number and the hash of the newest event: one that equals it is repeated. Not all providers count upwards.
    newest: Option<(u64, u64)>,
    items: Items,
    blocks: Blocks,
    phases: BTreeMap<u32, String>,
    has_calls: bool,
    has_refusal: bool,
}

// === impl Decoder ===

impl Decoder {
    pub(crate) fn new() -> Self {
        Self::default()
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
        let seen: Vec<Seen> = (0_u32..).zip(&output).map(|(index, (_, item))| Seen::new(index, item)).collect();
        let numbers = self.items.of_response(&seen, |number| self.blocks.said(number));
        for (number, (value, item)) in numbers.into_iter().zip(&output) {
            self.read_item(number, item, *value, true, out);
        }
        if self.has_ended {
            return;
        }
        self.blocks.close_all(out);
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
            let number = self.items.of_event(&Seen::new(index, &item), |number| self.blocks.said(number));
            self.read_item(number, &item, value, is_done, out);
        }
    }

    fn place_of(&mut self, fields: &Fields<'_>) -> Place {
        let index = fields.index("output_index").unwrap_or_default();
        (self.items.of_piece(index, fields.string("item_id")), fields.index("content_index").unwrap_or_default())
    }

    /// Reads an item: its beginning, or its end, which completes what no event has brought.
    fn read_item(&mut self, number: u32, item: &Fields<'_>, value: Raw<'_>, is_done: bool, out: &mut Vec<Event>) {
        if self.has_ended || self.items.is_done(number) {
            return;
        }
        let kind = item.str("type").unwrap_or_default();
        match (&*kind, call_kind(&kind)) {
            ("message", _) => self.read_message(number, item, is_done, out),
            ("reasoning", _) => {
                self.open((number, 0), Opening::Reasoning { id: item.string("id") }, out);
                if is_done {
                    self.blocks.complete_reasoning(number, item, out);
                }
            }
            (_, Some((kind, input))) => {
                let name = item.string("name").unwrap_or_default();
                // A name that is not known yet comes at the end.
                if !name.is_empty() || is_done {
                    let id = item.string("call_id").or_else(|| item.string("id")).unwrap_or_default();
                    self.has_calls = true;
                    self.open((number, 0), Opening::Call { id, name, namespace: item.string("namespace"), kind }, out);
                }
                if is_done {
                    self.complete((number, 0), item.get(input), Delta::Input, out);
                }
            }
            _ if is_done => {
                let opening = Opening::Opaque { api: Api::Responses, kind: kind.to_string(), json: value.to_json() };
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
        for (index, part) in (0_u32..).zip(item.elements("content")) {
            let Some(part) = part.fields() else { continue };
            let (is_refusal, text) = match part.get("refusal") {
                Some(text) => (true, Some(text)),
                None => (false, part.get("text")),
            };
            self.open_text((number, index), is_refusal, out);
            if is_done && !part.elements("annotations").is_empty() {
                out.push(Event::Lost(Loss::of_answer("content.annotations")));
            }
            self.complete((number, index), text, Delta::Text, out);
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
        let Some((of, what)) = kind.rsplit_once('.') else { return self.other(data, out) };
        let (is_done, is_refusal) = (what == "done", of == "refusal");
        let place = match (of, what) {
            ("output_text.annotation", "added") => {
                return out.push(Event::Lost(Loss::of_answer("content.annotations")));
            }
            ("output_text" | "refusal" | "function_call_arguments" | "custom_tool_call_input", "delta" | "done")
            | ("reasoning_text" | "reasoning_summary_text", "delta") => self.place_of(fields),
            _ => return self.other(data, out),
        };
        let delta = fields.get("delta").and_then(Raw::text);
        let first = (place.0, 0);
        match of {
            "output_text" | "refusal" => {
                self.open_text(place, is_refusal, out);
                match is_done {
                    true => self.complete(place, fields.get(if is_refusal { of } else { "text" }), Delta::Text, out),
                    false => self.blocks.add(place, delta, Delta::Text, out),
                }
            }
            "reasoning_text" | "reasoning_summary_text" => {
                self.open(first, Opening::Reasoning { id: fields.string("item_id") }, out);
                if of == "reasoning_text" {
                    return self.blocks.add(first, delta, Delta::Thinking, out);
                }
                let part = fields.index("summary_index").unwrap_or_default();
                self.blocks.add_summary(place.0, part, delta, out);
            }
            _ if is_done => {
                let input = if of == "function_call_arguments" { "arguments" } else { "input" };
                self.complete(first, fields.get(input), Delta::Input, out);
            }
            _ => self.blocks.add(first, delta, Delta::Input, out),
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

    fn complete(&mut self, place: Place, text: Option<Raw<'_>>, delta: fn(String) -> Delta, out: &mut Vec<Event>) {
        if let Err(Contradiction) = self.blocks.complete(place, text, delta, out) {
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

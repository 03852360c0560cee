//! Reads the chunks of Chat Completions.

use signalbox_core::json::Text;
use signalbox_core::openai::{
    ChoiceView, ChunkView, DeltaView, StreamEvent, ToolCallView, is_failure, joined_events, read_event,
};

use super::calls::Calls;
use crate::Loss;
use crate::decoder::foreign_api;
use crate::field::{Joiner, Raw};
use crate::hub::{Delta, ErrorClass, Event, Failure, Finish, FinishReason, Json, Opening, Start, Usage};

/// Fields of a message that no other API has, or that cannot be given back through it.
const LOST: [&str; 5] = ["annotations", "audio", "citations", "images", "reasoning_details"];

/// Fields beside the choices, with the sources of an answer, that no other API has in this form.
const LOST_BESIDE: [&str; 5] = ["citations", "images", "related_questions", "search_results", "videos"];

/// Reads the chunks of one answer; only the first choice is read.
#[derive(Debug)]
pub(crate) struct Decoder {
    has_started: bool,
    has_ended: bool,
    /// Whether the first choice has begun.
    has_choice: bool,
    blocks: u32,
    /// Which of [`LOST_BESIDE`] have been reported: providers repeat them in every chunk.
    reported: [bool; LOST_BESIDE.len()],
    /// The text that is open.
    open: Option<(Kind, u32)>,
    joiner: Joiner,
    calls: Calls,
    has_refusal: bool,
    finish: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thinking,
}

// === impl Decoder ===

impl Decoder {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            has_started: false,
            has_ended: false,
            has_choice: false,
            reported: [false; LOST_BESIDE.len()],
            blocks: 0,
            open: None,
            joiner: Joiner::default(),
            calls: Calls::new(id),
            has_refusal: false,
            finish: None,
        }
    }

    /// Reads the data of one event.
    pub(crate) fn push(&mut self, data: &[u8], out: &mut Vec<Event>) {
        if self.has_ended {
            return;
        }
        match read_event(data) {
            StreamEvent::Done => self.done(out),
            StreamEvent::Error(_) => self.fail(Failure::read(None, data), out),
            StreamEvent::Chunk(chunk) => self.chunk(&chunk, out),
            StreamEvent::Unknown => match joined_events(data) {
                Some(events) => events.into_iter().for_each(|event| match read_event(event) {
                    StreamEvent::Unknown => {}
                    _ => self.push(event, out),
                }),
                None => {
                    if let Some(what) = foreign_api(data, crate::Api::Chat) {
                        self.fail(Failure::foreign(&what), out);
                    }
                }
            },
        }
    }

    /// Ends the answer where the stream ends: it is complete if it has a finish reason, with or without `[DONE]`.
    pub(crate) fn finish(&mut self, out: &mut Vec<Event>) {
        if self.has_ended {
            return;
        }
        match self.finish.take() {
            None => self.fail(Failure::incomplete(), out),
            Some(raw) if is_failure(&raw) => {
                let message = format!("The provider ended its answer with the finish reason {raw:?}.");
                self.fail(Failure::new(ErrorClass::Server, message), out);
            }
            Some(raw) => self.complete(Some(raw), out),
        }
    }

    /// Ends the answer at `[DONE]`, or at the end of a whole answer. Both show that it is complete, so that a choice
    /// needs no finish reason, as for clients of Chat Completions.
    pub(crate) fn done(&mut self, out: &mut Vec<Event>) {
        if !self.has_ended && self.has_choice && self.finish.is_none() {
            self.complete(None, out);
        } else {
            self.finish(out);
        }
    }

    /// Ends a complete answer. Without a finish reason, it counts as stopped, or as waiting for its tool calls.
    fn complete(&mut self, raw: Option<String>, out: &mut Vec<Event>) {
        self.open_calls(true, out);
        if self.calls.lacks_name() {
            return self.fail(Failure::foreign("a tool call has no name"), out);
        }
        self.close_text(out);
        self.calls.close(out);
        let known = raw.as_deref().and_then(FinishReason::of_chat);
        let reason = match known.unwrap_or_default() {
            // OpenAI itself says `stop` for a call that was forced by its name.
            FinishReason::Stop if self.calls.has_called() => FinishReason::Tool,
            FinishReason::Filter | FinishReason::Stop if self.has_refusal => FinishReason::Refusal,
            reason => reason,
        };
        self.has_ended = true;
        out.push(Event::Finish(Finish { raw, ..Finish::new(reason) }));
    }

    /// Returns whether the answer has its end, or its finish reason.
    pub(crate) fn is_complete(&self) -> bool {
        self.has_ended || self.finish.as_deref().is_some_and(|reason| !is_failure(reason))
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.has_ended = true;
        out.push(Event::Failed(failure));
    }

    fn chunk(&mut self, chunk: &ChunkView<'_>, out: &mut Vec<Event>) {
        if !self.has_started {
            self.has_started = true;
            let owned =
                |text: Option<Text<'_>>| text.filter(|text| !text.is_empty()).map(|text| text.to_str().into_owned());
            out.push(Event::Start(Start { id: owned(chunk.id), model: owned(chunk.model) }));
        }
        let first = chunk.choices.iter().find(|choice| choice.index.unwrap_or_default() == 0);
        if chunk.choices.iter().any(|choice| choice.index.unwrap_or_default() > 0) {
            out.push(Event::Lost(Loss::of_answer("choices")));
        }
        if let Some(choice) = first {
            self.has_choice = true;
            self.choice(choice, out);
        }
        for (name, _) in &chunk.others {
            if let Some(at) = LOST_BESIDE.iter().position(|known| known == name)
                && !std::mem::replace(&mut self.reported[at], true)
            {
                out.push(Event::Lost(Loss::of_answer(name)));
            }
        }
        if let Some(usage) = chunk.usage_json().and_then(|json| std::str::from_utf8(json).ok()) {
            let usage = Json::parse(usage).and_then(|json| Usage::read(Raw::document(json.as_str())));
            out.extend(usage.map(Event::Usage));
        }
    }

    fn choice(&mut self, choice: &ChoiceView<'_>, out: &mut Vec<Event>) {
        if choice.others.iter().any(|(name, _)| name == "logprobs") {
            out.push(Event::Lost(Loss::of_answer("logprobs")));
        }
        match choice.message.as_deref() {
            Some(message) => self.delta(message, true, out),
            None => self.delta(&choice.delta, false, out),
        }
        if let Some(reason) = choice.finish_reason {
            // Some providers send the reason twice; the first one is meant.
            self.finish.get_or_insert_with(|| reason.to_str().into_owned());
        }
    }

    /// Reads a delta, or a whole message, in which every call stands for itself.
    fn delta(&mut self, delta: &DeltaView<'_>, is_whole: bool, out: &mut Vec<Event>) {
        let has_thinking =
            [delta.reasoning_content, delta.reasoning].into_iter().flatten().any(|text| !text.is_empty());
        for (name, json) in delta.others.iter().filter(|(_, json)| !matches!(*json, b"[]" | b"\"\"" | b"null")) {
            match (&**name, std::str::from_utf8(json).ok().and_then(Json::parse)) {
                ("reasoning_details", Some(json)) if !has_thinking => self.details(Raw::document(json.as_str()), out),
                ("audio", Some(json)) => self.transcript(Raw::document(json.as_str()), out),
                _ => {}
            }
            if let Some(name) = LOST.iter().find(|known| *known == name) {
                out.push(Event::Lost(Loss::of_answer(name)));
            }
        }
        // Some providers send the same reasoning under both names.
        if let Some(text) = delta.reasoning_content.filter(|text| !text.is_empty()).or(delta.reasoning) {
            self.text(Kind::Thinking, text, out);
        }
        if let Some(text) = delta.content {
            self.text(Kind::Text, text, out);
        }
        if let Some(parts) = delta.parts.and_then(|parts| std::str::from_utf8(parts).ok()).and_then(Json::parse) {
            self.parts(Raw::document(parts.as_str()), out);
        }
        if let Some(text) = delta.refusal {
            self.has_refusal |= !text.is_empty();
            self.text(Kind::Refusal, text, out);
        }
        for (position, call) in (0_i64..).zip(&delta.tool_calls) {
            if is_whole {
                self.calls.push(&ToolCallView { index: Some(position), ..call.clone() }, out);
            } else {
                self.calls.push(call, out);
            }
        }
        if let Some(function) = &delta.function_call {
            let call = ToolCallView { index: Some(-1), function: function.clone(), ..ToolCallView::default() };
            self.calls.push(&call, out);
        }
        self.open_calls(false, out);
    }

    /// Reads the thinking of `reasoning_details`, which stand alone only if no other field has the same text.
    fn details(&mut self, details: Raw<'_>, out: &mut Vec<Event>) {
        for detail in details.elements().unwrap_or_default().into_iter().filter_map(Raw::fields) {
            let text = detail.get("text").or_else(|| detail.get("summary")).and_then(Raw::text);
            text.into_iter().for_each(|text| self.text(Kind::Thinking, text, out));
        }
    }

    /// Reads what spoken audio says as text, because the other APIs have no audio in answers.
    fn transcript(&mut self, audio: Raw<'_>, out: &mut Vec<Event>) {
        let transcript = audio.fields().and_then(|audio| audio.get("transcript")?.text());
        transcript.into_iter().for_each(|text| self.text(Kind::Text, text, out));
    }

    /// Reads content that is a list of parts, or a single part.
    fn parts(&mut self, parts: Raw<'_>, out: &mut Vec<Event>) {
        let parts = parts.elements().unwrap_or_else(|| vec![parts]);
        for fields in parts.into_iter().filter_map(Raw::fields) {
            if let Some(text) = fields.get("text").and_then(Raw::text) {
                self.text(Kind::Text, text, out);
            }
            match fields.get("thinking") {
                Some(thinking) if thinking.is_string() => {
                    thinking.text().into_iter().for_each(|text| self.text(Kind::Thinking, text, out));
                }
                Some(thinking) => {
                    let inner = thinking.elements().unwrap_or_default().into_iter();
                    for text in inner.filter_map(|part| part.fields()?.get("text")?.text()) {
                        self.text(Kind::Thinking, text, out);
                    }
                }
                None => {}
            }
        }
    }

    fn text(&mut self, kind: Kind, text: Text<'_>, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        // A name does not go on after a text.
        self.open_calls(true, out);
        let block = match self.open {
            Some((open, block)) if open == kind => block,
            _ => {
                self.close_text(out);
                let opening = match kind {
                    Kind::Text => Opening::Text { phase: None },
                    Kind::Refusal => Opening::Refusal,
                    Kind::Thinking => Opening::Thinking,
                };
                let block = self.next_block();
                out.push(Event::Open { block, opening });
                self.open = Some((kind, block));
                block
            }
        };
        send(block, kind, self.joiner.push(text), out);
    }

    fn close_text(&mut self, out: &mut Vec<Event>) {
        if let Some((kind, block)) = self.open.take() {
            if let Some(rest) = self.joiner.finish() {
                send(block, kind, rest, out);
            }
            out.push(Event::Close { block });
        }
    }

    const fn next_block(&mut self) -> u32 {
        let block = self.blocks;
        self.blocks += 1;
        block
    }

    /// Begins the blocks of calls whose names are complete.
    fn open_calls(&mut self, is_end: bool, out: &mut Vec<Event>) {
        if self.calls.may_open(is_end) {
            self.close_text(out);
            self.blocks = self.calls.open(is_end, self.blocks, out);
        }
    }
}

fn send(block: u32, kind: Kind, text: String, out: &mut Vec<Event>) {
    if text.is_empty() {
        return;
    }
    let delta = if kind == Kind::Thinking { Delta::Thinking(text) } else { Delta::Text(text) };
    out.push(Event::Delta { block, delta });
}

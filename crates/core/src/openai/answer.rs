//! Folds the bytes that a provider sent into one answer for the log.
//!
//! Folding runs after the exchange, not on the traffic path: the relay keeps the bytes, and the loader of the journal
//! folds them. Everything the client received is kept, even if it is not understood: fields with unknown names are
//! merged by the rules of [`accumulator`], and events that could not be read completely are stored verbatim in the list
//! `unread_events` of the answer.

mod accumulator;
mod calls;
mod valid;

use std::{borrow::Cow, collections::BTreeMap};

use accumulator::{Fields, append_field, replace, write_fields, write_text};
use bytes::Bytes;
use calls::{Call, Calls};
use valid::valid;

use super::Usage;
use super::event::{ChoiceView, ChunkView, DeltaView, StreamEvent, joined_events, read_event};
use super::provider_error::{ProviderError, error_field, provider_error};
use crate::json::{Reader, Text, TextBuf, repaired};
use crate::sse::{Frame, Splitter};

/// The parts of an answer that the log stores.
#[derive(Clone, Debug, Default)]
pub struct FoldedAnswer {
    /// The provider's id of the answer; empty if it sent none.
    pub id: String,
    /// The text of the first choice.
    pub text: String,
    /// The finish reason of the first choice; `None` if it did not finish.
    pub finish_reason: Option<String>,
    /// Token counts, if the provider sent them.
    pub usage: Option<Usage>,
    /// An error the provider reported inside its answer.
    pub error: Option<ProviderError>,
    /// Whether the stream ended with `[DONE]`.
    pub done: bool,
    /// Whether every choice of a stream has a finish reason.
    pub finished: bool,
    /// Number of choices of a stream.
    pub choices: usize,
    /// The answer as one JSON `chat.completion`: rebuilt from a stream, or unchanged.
    pub json: Option<String>,
}

/// Folds the bytes of a stream, which may be cut off at any byte.
#[must_use]
pub fn fold_stream(raw: &Bytes) -> FoldedAnswer {
    let mut fold = StreamFold::default();
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(raw.clone());
    while let Some(frame) = splitter.finish() {
        fold.add(&frame);
    }
    fold.finish()
}

/// Reads a whole JSON answer, which is a completion or an error; `None` if it is neither. Its JSON stays unchanged if
/// every parser accepts it.
#[must_use]
pub fn fold_completion(raw: &[u8]) -> Option<FoldedAnswer> {
    let mut answer = FoldedAnswer::default();
    let bare = raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw);
    match ChunkView::read(bare).filter(|chunk| !chunk.choices.is_empty()) {
        Some(chunk) => {
            answer.error = match read_event(bare) {
                StreamEvent::Error(error) => Some(error),
                _ => chunk.reported(),
            };
            answer.id = chunk.id.map(|id| id.to_str().into_owned()).unwrap_or_default();
            answer.usage = chunk.usage();
            if let Some(first) = chunk.choices.into_iter().next() {
                answer.finish_reason = first.finish_reason.map(|reason| reason.to_str().into_owned());
                let mut choice = ChoiceFold::default();
                choice.add_delta(first.message.as_deref().unwrap_or(&first.delta));
                answer.text = choice.content.into_string();
            }
        }
        None => answer.error = Some(provider_error(bare)?),
    }
    answer.json = repaired(bare).map(Cow::into_owned);
    Some(answer)
}

#[derive(Default)]
struct StreamFold {
    id: Option<String>,
    model: Option<String>,
    created: Option<i64>,
    choices: BTreeMap<u32, ChoiceFold>,
    /// The newest usage object, as JSON.
    usage: Vec<u8>,
    others: Fields,
    error: Option<ProviderError>,
    error_json: Vec<u8>,
    unread: Vec<String>,
    done: bool,
}

#[derive(Default)]
struct ChoiceFold {
    role: Option<String>,
    content: TextBuf,
    reasoning_content: TextBuf,
    reasoning: TextBuf,
    refusal: TextBuf,
    calls: Calls,
    function_call: Option<Call>,
    message_others: Fields,
    finish_reason: Option<String>,
    others: Fields,
    /// Whether the pieces came as messages in place of deltas.
    is_of_messages: bool,
}

// === impl StreamFold ===

impl StreamFold {
    fn add(&mut self, frame: &Frame) {
        let Some(data) = frame.data() else { return };
        match joined_events(&data) {
            Some(events) => events.into_iter().for_each(|event| self.add_event(event, frame)),
            None => self.add_event(&data, frame),
        }
    }

    fn add_event(&mut self, data: &[u8], frame: &Frame) {
        match read_event(data) {
            StreamEvent::Done => self.done = true,
            StreamEvent::Unknown => self.unread(frame),
            StreamEvent::Chunk(chunk) => {
                if let Some(error) = chunk.reported() {
                    self.failed(error, chunk.error);
                }
                self.add_chunk(chunk, frame);
            }
            StreamEvent::Error(error) => {
                let data = data.trim_ascii();
                let chunk = ChunkView::read(data);
                // An error of a single choice stays with that choice.
                let of_all = chunk.as_ref().is_none_or(|chunk| chunk.choices.is_empty());
                self.failed(error, error_field(data).or_else(|| of_all.then_some(data)));
                if let Some(chunk) = chunk {
                    self.add_chunk(chunk, frame);
                }
            }
        }
    }

    fn add_chunk(&mut self, chunk: ChunkView<'_>, frame: &Frame) {
        let owned =
            |text: Option<Text<'_>>| text.filter(|text| !text.is_empty()).map(|text| text.to_str().into_owned());
        self.id = self.id.take().or_else(|| owned(chunk.id));
        self.model = self.model.take().or_else(|| owned(chunk.model));
        self.created = self.created.or(chunk.created);
        if let Some(usage) = chunk.usage_json() {
            self.usage = usage.to_vec();
        }
        // Fields beside the choices are repeated in every chunk, or are complete when they arrive.
        for (name, value) in &chunk.others {
            replace(&mut self.others, name, value);
        }
        for piece in chunk.choices {
            self.choices.entry(piece.index.unwrap_or_default()).or_default().add(&piece);
        }
        if chunk.is_odd {
            self.unread(frame);
        }
    }

    fn failed(&mut self, error: ProviderError, json: Option<&[u8]>) {
        self.error = Some(error);
        self.error_json = json.unwrap_or_default().to_vec();
    }

    fn unread(&mut self, frame: &Frame) {
        self.unread.push(String::from_utf8_lossy(frame.raw().trim_ascii()).into_owned());
    }

    fn finish(mut self) -> FoldedAnswer {
        let json = (!self.choices.is_empty()).then(|| self.write());
        let usage = Usage::read(&self.usage);
        let finished = !self.choices.is_empty() && self.choices.values().all(|choice| choice.finish_reason.is_some());
        let choices = self.choices.len();
        let first = self.choices.pop_first().map(|(_, first)| first).unwrap_or_default();
        FoldedAnswer {
            id: self.id.unwrap_or_default(),
            text: first.content.into_string(),
            finish_reason: first.finish_reason,
            usage,
            error: self.error,
            done: self.done,
            finished,
            choices,
            json,
        }
    }

    /// Writes the answer as one `chat.completion`.
    fn write(&self) -> String {
        let mut out = b"{\"id\":".to_vec();
        write_text(self.id.as_deref().unwrap_or_default(), &mut out);
        out.extend_from_slice(b",\"object\":\"chat.completion\",\"created\":");
        out.extend_from_slice(self.created.unwrap_or_default().to_string().as_bytes());
        out.extend_from_slice(b",\"model\":");
        write_text(self.model.as_deref().unwrap_or_default(), &mut out);
        out.extend_from_slice(b",\"choices\":");
        for (at, (index, choice)) in self.choices.iter().enumerate() {
            out.push(if at == 0 { b'[' } else { b',' });
            choice.write(*index, &mut out);
        }
        out.push(b']');
        for (name, json) in [("usage", &self.usage), ("error", &self.error_json)] {
            if !json.is_empty() {
                out.extend_from_slice(format!(",\"{name}\":").as_bytes());
                out.extend_from_slice(json);
            }
        }
        write_fields(&self.others, &mut out);
        for (at, event) in self.unread.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b",\"unread_events\":[" } else { b"," });
            write_text(event, &mut out);
        }
        if !self.unread.is_empty() {
            out.push(b']');
        }
        out.push(b'}');
        valid(out)
    }
}

// === impl ChoiceFold ===

impl ChoiceFold {
    fn add(&mut self, piece: &ChoiceView<'_>) {
        self.add_delta(&piece.delta);
        // A whole message within a stream repeats the deltas that came before, if there were any. Some providers send
        // the pieces themselves as messages.
        if let Some(message) = piece.message.as_deref()
            && (self.is_of_messages || self.is_empty())
        {
            self.is_of_messages = true;
            self.add_delta(message);
        }
        if let Some(reason) = piece.finish_reason {
            self.finish_reason = Some(reason.to_str().into_owned());
        }
        for (name, value) in &piece.others {
            if name == "logprobs" {
                append_field(&mut self.others, name, value)
            } else {
                replace(&mut self.others, name, value)
            }
        }
        if let Some(error) = piece.error {
            replace(&mut self.others, "error", error);
        }
    }

    fn is_empty(&self) -> bool {
        self.content.is_empty()
            && self.reasoning.is_empty()
            && self.reasoning_content.is_empty()
            && self.calls.is_empty()
    }

    fn add_delta(&mut self, delta: &DeltaView<'_>) {
        if let Some(role) = delta.role.filter(|role| !role.is_empty()) {
            self.role = Some(role.to_str().into_owned());
        }
        for (text, piece) in [
            (&mut self.content, delta.content),
            (&mut self.reasoning_content, delta.reasoning_content),
            (&mut self.reasoning, delta.reasoning),
            (&mut self.refusal, delta.refusal),
        ] {
            if let Some(piece) = piece {
                text.push(piece);
            }
        }
        if let Some(parts) = delta.parts {
            self.add_parts(parts);
        }
        self.calls.add(&delta.tool_calls);
        if let Some(call) = &delta.function_call {
            self.function_call.get_or_insert_default().add_function(call);
        }
        for (name, value) in &delta.others {
            append_field(&mut self.message_others, name, value);
        }
    }

    /// Adds the parts of a content: texts and thinking to their fields, all other parts to a separate list.
    fn add_parts(&mut self, parts: &[u8]) {
        let mut reader = Reader::lenient(parts);
        if parts.first() == Some(&b'{') {
            self.add_part(parts);
            return;
        }
        // Cannot fail: the value was parsed as JSON before.
        let _ = reader.array(|part| {
            match part.peek()? {
                b'"' => self.content.push(part.text()?),
                _ => self.add_part(part.raw()?),
            }
            Some(())
        });
    }

    fn add_part(&mut self, part: &[u8]) {
        let (mut text, mut thinking, mut is_plain) = (None, None, true);
        let read = Reader::lenient(part).fields(|name, value| {
            match (&*name, value.peek()?) {
                ("text", b'"') => text = Some(value.text()?),
                ("thinking", b'"' | b'[') => thinking = Some(value.raw()?),
                ("type" | "index", _) => value.skip()?,
                _ => is_plain &= value.raw()? == b"null",
            }
            Some(())
        });
        if let Some(text) = text {
            self.content.push(text);
        }
        if let Some(thinking) = thinking {
            self.add_thinking(thinking);
        }
        if read.is_none() || !is_plain || (text.is_none() && thinking.is_none()) {
            append_field(&mut self.message_others, "content_parts", &[b"[", part, b"]"].concat());
        }
    }

    /// Adds thinking: a text, or a list of parts with texts.
    fn add_thinking(&mut self, thinking: &[u8]) {
        let mut reader = Reader::lenient(thinking);
        if thinking.first() == Some(&b'"') {
            if let Some(text) = reader.text() {
                self.reasoning_content.push(text);
            }
            return;
        }
        let _ = reader.array(|part| match part.peek()? {
            b'{' => part.fields(|name, value| {
                if name == "text" && value.peek()? == b'"' {
                    self.reasoning_content.push(value.text()?);
                    return Some(());
                }
                value.skip()
            }),
            _ => part.skip(),
        });
    }

    fn write(&self, index: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{{\"index\":{index},\"message\":{{\"role\":").as_bytes());
        write_text(self.role.as_deref().unwrap_or("assistant"), out);
        out.extend_from_slice(b",\"content\":");
        let is_call = !self.calls.is_empty() || self.function_call.is_some();
        let says_nothing = self.content.is_empty() && (is_call || !self.refusal.is_empty());
        if says_nothing {
            out.extend_from_slice(b"null")
        } else {
            write_text(&self.content.clone().into_string(), out)
        }
        // Many providers send the same thinking under both names.
        let (thoughts, also) = match (self.reasoning_content.is_empty(), self.reasoning.is_empty()) {
            (true, _) => (&self.reasoning, None),
            (false, false) if self.reasoning != self.reasoning_content => {
                (&self.reasoning_content, Some(&self.reasoning))
            }
            (false, _) => (&self.reasoning_content, None),
        };
        for (name, text) in
            [("reasoning_content", Some(thoughts)), ("reasoning", also), ("refusal", Some(&self.refusal))]
        {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                out.extend_from_slice(format!(",\"{name}\":").as_bytes());
                write_text(&text.clone().into_string(), out);
            }
        }
        if !self.calls.is_empty() {
            out.extend_from_slice(b",\"tool_calls\":");
            self.calls.write(out);
        }
        if let Some(call) = &self.function_call {
            out.extend_from_slice(b",\"function_call\":");
            call.write_function(out);
        }
        write_fields(&self.message_others, out);
        out.extend_from_slice(b"},\"finish_reason\":");
        match &self.finish_reason {
            Some(reason) => write_text(reason, out),
            None => out.extend_from_slice(b"null"),
        }
        write_fields(&self.others, out);
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests;

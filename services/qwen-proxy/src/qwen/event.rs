//! Decoder of the events of an answer.
//!
//! An answer is a stream of server-sent events: the first one contains the ids of the answer, the following ones text
//! and the token counts so far, and the last one marks it as finished. The end of the stream has no marker.
//!
//! Decoding is lenient per field: an invalid `usage` loses the token counts, but never the text beside it. Unknown
//! fields and events are ignored.

mod content;

use std::collections::{HashMap, VecDeque};

use serde_json::value::RawValue;
use signalbox_core::openai::Usage;

use self::content::{HalfCharacter, scalar, texts};
use super::failure::{Failure, details, of_json};

/// An event of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The answer begins. The upstream may omit ids, which are then empty.
    Created {
        /// Id of the chat.
        chat_id: String,
        /// Id the next message of this chat must name as its parent.
        parent_id: String,
        /// Id of the answer.
        response_id: String,
    },
    /// More text, possibly empty.
    Delta {
        /// The new text.
        text: String,
        /// Part of the answer it belongs to.
        phase: Phase,
        /// Token counts so far, if included.
        usage: Option<Usage>,
    },
    /// The answer is complete.
    Finished {
        /// The new text, usually empty.
        text: String,
        /// Final token counts, if included.
        usage: Option<Usage>,
    },
    /// The upstream reports an error.
    Failure(Failure),
}

/// Part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The answer proper.
    Answer,
    /// Intermediate output such as thinking or search: every phase not named `answer`.
    Thinking,
}

/// Stateful decoder of the events of one answer, in order: a character may be split across two of them.
#[derive(Debug, Default)]
pub struct Decoder {
    answer: HalfCharacter,
    thinking: HalfCharacter,
    /// Whether an event that is not JSON has been logged; only the first one per answer is.
    has_warned: bool,
}

/// Members of a JSON object as raw JSON. Among members with the same name the last one is used.
type Members<'a> = HashMap<String, &'a RawValue>;

/// Members by which an event may report an error besides its text.
const REPORT_FIELDS: [&str; 4] = ["error", "success", "ret", "base_resp"];

// === impl Decoder ===

impl Decoder {
    /// Decodes the data of one server-sent event into `out`. `is_error` tells whether the event is named `error`.
    pub fn decode(&mut self, data: &[u8], is_error: bool, out: &mut VecDeque<Event>) {
        let data = String::from_utf8_lossy(data);
        let data = data.trim_start_matches('\u{FEFF}').trim();
        if data.is_empty() || data == "[DONE]" {
            return;
        }
        let event = members(data);
        let is_unreadable = event.is_none();
        let event = event.unwrap_or_default();
        if let Some(created) = event.get("response.created").and_then(|created| members(created.get())) {
            let id = |name: &str| created.get(name).and_then(|id| scalar(id)).unwrap_or_default();
            let (chat_id, parent_id, response_id) = (id("chat_id"), id("parent_id"), id("response_id"));
            out.push_back(Event::Created { chat_id, parent_id, response_id });
        }
        let choice = event.get("choices").and_then(|choices| first_object(choices));
        let usage = event.get("usage").and_then(|usage| counts(usage));
        let has_text = choice.as_ref().is_some_and(|choice| self.choice(choice, usage, out));
        if !has_text && usage.is_some() {
            out.push_back(Event::Delta { text: String::new(), phase: Phase::Answer, usage });
        }
        // Most events contain only text and are not parsed a second time.
        let is_suspect = is_error || !has_text || REPORT_FIELDS.iter().any(|name| event.contains_key(*name)) || {
            choice.is_some_and(|choice| ["error", "finish_reason"].iter().any(|name| choice.contains_key(*name)))
        };
        let failure = is_suspect.then(|| of_json(data.as_bytes())).flatten();
        let failure = failure.or_else(|| is_error.then(|| Failure::Refused(details(data.as_bytes()))));
        if is_unreadable && failure.is_none() && !std::mem::replace(&mut self.has_warned, true) {
            tracing::warn!(bytes = data.len(), "ignored an event of chat.qwen.ai that is not a JSON object");
        }
        // Text that came with an error precedes it.
        out.extend(failure.map(Event::Failure));
    }

    /// Decodes the first choice into `out`; returns `false` if it contains nothing.
    fn choice(&mut self, choice: &Members<'_>, usage: Option<Usage>, out: &mut VecDeque<Event>) -> bool {
        let delta = ["delta", "message"].iter().find_map(|name| members(choice.get(*name)?.get()));
        let reason = choice.get("finish_reason").and_then(|reason| scalar(reason)).unwrap_or_default();
        let is_over = !reason.is_empty() && reason != "error";
        let Some(delta) = delta.or_else(|| is_over.then(Members::new)) else { return false };
        let word =
            |name: &str| delta.get(name).filter(|word| word.get().starts_with('"')).and_then(|word| scalar(word));
        let word = |name: &str| word(name).unwrap_or_default();
        let phase = match word("phase").as_str() {
            "" | "answer" => Phase::Answer,
            _ => Phase::Thinking,
        };
        let reasoning = ["reasoning_content", "reasoning"].iter().find_map(|name| delta.get(*name));
        let thought: String = reasoning.map(|thought| self.thinking.join(texts(thought))).unwrap_or_default();
        if !thought.is_empty() {
            out.push_back(Event::Delta { text: thought, phase: Phase::Thinking, usage: None });
        }
        let content = delta.get("content").map(|content| texts(content)).unwrap_or_default();
        // Every phase reports that it is finished; the answer is complete when the phase `answer` does.
        let is_finished = word("status") == "finished" || is_over;
        match phase {
            Phase::Answer if is_finished => {
                let mut text = self.answer.join(content);
                self.answer.flush(&mut text);
                out.push_back(Event::Finished { text, usage });
            }
            Phase::Answer => out.push_back(Event::Delta { text: self.answer.join(content), phase, usage }),
            Phase::Thinking => out.push_back(Event::Delta { text: self.thinking.join(content), phase, usage }),
        }
        true
    }
}

/// Decodes an answer that came as one body although a stream was requested:
/// `{"success":true,"data":{…,"choices":[…]}}`. Returns no events for any other body.
#[must_use]
pub fn whole(body: &[u8]) -> VecDeque<Event> {
    let body = String::from_utf8_lossy(body);
    let Some(top) = members(body.trim_start_matches('\u{FEFF}')) else { return VecDeque::new() };
    let answer = top.get("data").and_then(|data| members(data.get())).unwrap_or(top);
    let Some(choice) = answer.get("choices").and_then(|choices| first_object(choices)) else { return VecDeque::new() };
    let id = |name: &str| answer.get(name).and_then(|id| scalar(id)).unwrap_or_default();
    let mut events = VecDeque::from([Event::Created {
        chat_id: id("chat_id"),
        parent_id: id("parent_id"),
        response_id: id("message_id"),
    }]);
    let usage = answer.get("usage").and_then(|usage| counts(usage));
    let said = Decoder::default().choice(&choice, usage, &mut events);
    if !said {
        return VecDeque::new();
    }
    if let Some(Event::Delta { text, phase: Phase::Answer, usage }) = events.back_mut() {
        let (text, usage) = (std::mem::take(text), *usage);
        events.pop_back();
        events.push_back(Event::Finished { text, usage });
    }
    events
}

/// Parses an object into its members; `None` for any other JSON.
fn members(json: &str) -> Option<Members<'_>> {
    serde_json::from_str(json).ok()
}

/// Returns the first element of an array of objects, or the object itself if there is no array.
fn first_object(json: &RawValue) -> Option<Members<'_>> {
    match serde_json::from_str::<Vec<&RawValue>>(json.get()) {
        Ok(elements) => members(elements.first()?.get()),
        Err(_) => members(json.get()),
    }
}

/// Parses the token counts: integers, or values that can be read as such. Returns `None` if both are missing.
fn counts(usage: &RawValue) -> Option<Usage> {
    let usage = members(usage.get())?;
    let count = |names: [&str; 2]| names.iter().find_map(|name| number(usage.get(*name)?));
    let prompt = count(["input_tokens", "prompt_tokens"]);
    let completion = count(["output_tokens", "completion_tokens"]);
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let (prompt_tokens, completion_tokens) = (prompt.unwrap_or_default(), completion.unwrap_or_default());
    let total = usage.get("total_tokens").and_then(|total| number(total));
    let total_tokens = total.unwrap_or_else(|| prompt_tokens.saturating_add(completion_tokens));
    Some(Usage { prompt_tokens, completion_tokens, total_tokens, ..Usage::default() })
}

fn number(json: &RawValue) -> Option<i64> {
    let text = scalar(json)?;
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let number = text.parse::<f64>().ok()?.round();
        // Token counts are far below 2^53; larger values are invalid.
        (0.0..=9_007_199_254_740_992.0).contains(&number).then(|| format!("{number:.0}").parse().ok())?
    })
}

#[cfg(test)]
mod tests;

//! Folds the bytes that a provider sent into one answer for the log.
//!
//! The fields of an answer that are not known here are kept as they are.

mod items;
mod output;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::fields::{finish_reason, merge, take, type_of, value};
use super::{error_of, usage_in};
use crate::Api;
use crate::openai::{FoldedAnswer, provider_error};
use crate::sse::Splitter;

pub use items::{ResponseItems, SeenItem, kind_of_piece, with_announced};
use output::Output;

/// Folds the bytes of a stream of `api`, which may be cut off at any byte.
#[must_use]
pub fn fold_stream(api: Api, raw: &Bytes) -> FoldedAnswer {
    let mut fold = StreamFold { api, ..StreamFold::default() };
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(raw.clone());
    while let Some(frame) = splitter.finish() {
        let Some(data) = frame.data() else { continue };
        let named = || frame.event().and_then(|name| std::str::from_utf8(name).ok().map(str::to_owned));
        let kind = type_of(&data).or_else(named).unwrap_or_default();
        let known = value(&data).is_some_and(|event| match api {
            Api::Messages => fold.add_message_event(&kind, event),
            Api::Responses | Api::Chat => fold.add_response_event(&kind, event),
        });
        if !known {
            fold.unread.push(String::from_utf8_lossy(&data).into_owned());
        }
    }
    fold.finish()
}

/// Reads a whole answer of `api`, or an error; `None` if it is neither.
#[must_use]
pub fn fold_answer(api: Api, raw: &[u8]) -> Option<FoldedAnswer> {
    let answer = value(raw)?;
    let is_answer = match api {
        Api::Messages => answer["type"] == "message",
        Api::Responses | Api::Chat => answer["object"] == "response",
    };
    if !is_answer {
        let error = provider_error(raw)?;
        return Some(FoldedAnswer { error: Some(error), json: Some(answer.to_string()), ..FoldedAnswer::default() });
    }
    let mut folded = of_answer(api, &answer);
    folded.json = crate::json::repaired(raw).map(std::borrow::Cow::into_owned);
    Some(folded)
}

/// Returns the parts of an answer that the log stores.
fn of_answer(api: Api, answer: &Value) -> FoldedAnswer {
    let (finish_reason, text) = match api {
        Api::Messages => (answer["stop_reason"].as_str().map(str::to_owned), message_text(&answer["content"])),
        Api::Responses | Api::Chat => {
            let is_ended = matches!(answer["status"].as_str(), Some("completed" | "incomplete"));
            let is_complete = answer["status"] == "completed";
            (is_ended.then(|| finish_reason(answer, is_complete)), response_text(&answer["output"]))
        }
    };
    let is_failed = api != Api::Messages && answer["status"] == "failed";
    FoldedAnswer {
        id: answer["id"].as_str().unwrap_or_default().to_owned(),
        text,
        finished: finish_reason.is_some(),
        done: finish_reason.is_some(),
        choices: 1,
        finish_reason,
        usage: usage_in(answer),
        error: is_failed.then(|| error_of(&json!({ "error": answer["error"] }))),
        json: Some(answer.to_string()),
    }
}

/// Returns the texts of a message, joined.
fn message_text(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let blocks = content.as_array().into_iter().flatten();
    blocks.filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str()).collect()
}

/// Returns the texts of the messages of a response, joined.
fn response_text(output: &Value) -> String {
    let items = output.as_array().into_iter().flatten().filter(|item| item["type"] == "message");
    let text = |item: &Value| match &item["content"] {
        Value::String(text) => text.clone(),
        content => content.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect(),
    };
    items.map(text).collect()
}

/// The answer so far.
#[derive(Debug)]
struct StreamFold {
    api: Api,
    answer: Value,
    /// Blocks of a message in their order.
    parts: BTreeMap<u64, Value>,
    /// Items of a response.
    output: Output,
    /// Positions of the newest blocks by their index, which some providers use twice.
    newest: BTreeMap<u64, u64>,
    /// Input of tool calls of a message, which arrives as pieces of JSON.
    inputs: BTreeMap<u64, String>,
    error: Option<Value>,
    /// Whether a message has counts other than those of its beginning, which are of an answer without any text.
    has_counts: bool,
    is_done: bool,
    unread: Vec<String>,
}

impl Default for StreamFold {
    fn default() -> Self {
        Self {
            api: Api::Messages,
            answer: Value::Object(Map::new()),
            parts: BTreeMap::new(),
            output: Output::default(),
            newest: BTreeMap::new(),
            inputs: BTreeMap::new(),
            error: None,
            has_counts: false,
            is_done: false,
            unread: Vec::new(),
        }
    }
}

// === impl StreamFold ===

impl StreamFold {
    /// Adds an event of Messages. Returns whether it is known.
    fn add_message_event(&mut self, kind: &str, mut event: Value) -> bool {
        let index = event["index"].as_u64().unwrap_or_default();
        match kind {
            // Nothing counts after the end.
            _ if self.is_done => {}
            "ping" => {}
            "message_start" => self.answer = object(take(&mut event, "message")),
            "content_block_start" => self.start_block(index, object(take(&mut event, "content_block"))),
            "content_block_delta" => return self.add_delta(index, &event["delta"]),
            "content_block_stop" => {
                if let Some(at) = self.newest.get(&index) {
                    self.end_block(*at);
                }
            }
            "message_delta" => {
                merge(&mut self.answer, &event["delta"]);
                merge(&mut self.answer["usage"], &event["usage"]);
                self.has_counts = true;
            }
            "message_stop" => self.is_done = true,
            "error" => self.error = Some(event),
            _ => return false,
        }
        true
    }

    fn start_block(&mut self, index: u64, block: Value) {
        let at = self.parts.keys().next_back().map_or(0, |last| last + 1);
        self.newest.insert(index, at);
        self.parts.insert(at, block);
    }

    fn add_delta(&mut self, index: u64, delta: &Value) -> bool {
        if !self.newest.contains_key(&index) {
            match delta["type"].as_str() {
                Some("text_delta") => self.start_block(index, json!({"type": "text", "text": ""})),
                Some("thinking_delta") => self.start_block(index, json!({"type": "thinking", "thinking": ""})),
                _ => return false,
            }
        }
        let Some(index) = self.newest.get(&index).copied() else { return false };
        let Some(block) = self.parts.get_mut(&index) else { return false };
        let field = match delta["type"].as_str() {
            Some("text_delta") => "text",
            Some("thinking_delta") => "thinking",
            Some("signature_delta") => "signature",
            Some("input_json_delta") => {
                let piece = delta["partial_json"].as_str().unwrap_or_default();
                self.inputs.entry(index).or_default().push_str(piece);
                return true;
            }
            Some("citations_delta") => {
                match &mut block["citations"] {
                    Value::Array(citations) => citations.push(delta["citation"].clone()),
                    none => *none = json!([delta["citation"]]),
                }
                return true;
            }
            _ => return false,
        };
        append(&mut block[field], delta[field].as_str().unwrap_or_default());
        true
    }

    /// Puts the input of a tool call in its place. Input that is not complete is kept as text.
    fn end_block(&mut self, index: u64) {
        if let (Some(block), Some(input)) = (self.parts.get_mut(&index), self.inputs.remove(&index))
            && !input.is_empty()
        {
            block["input"] = serde_json::from_str(&input).unwrap_or(Value::String(input));
        }
    }

    /// Adds an event of Responses. Returns whether it is known.
    fn add_response_event(&mut self, kind: &str, mut event: Value) -> bool {
        match kind {
            "response.created" | "response.queued" | "response.in_progress" => {
                self.answer = object(take(&mut event, "response"));
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.answer = object(take(&mut event, "response"));
                self.is_done = true;
            }
            "error" => self.error = Some(event),
            kind => {
                // Other events, such as the progress of built-in tools, leave their result in the item.
                let Some(kind) = kind.strip_prefix("response.") else { return false };
                self.output.add_event(kind, event);
            }
        }
        true
    }

    fn finish(mut self) -> FoldedAnswer {
        let open: Vec<u64> = self.inputs.keys().copied().collect();
        open.into_iter().for_each(|index| self.end_block(index));
        if !self.parts.is_empty() {
            self.answer["content"] = Value::Array(self.parts.into_values().collect());
        }
        if !self.output.is_empty() {
            // Some providers leave out items there that they streamed.
            let whole = take(&mut self.answer, "output");
            self.answer["output"] = Value::Array(self.output.merged(whole));
        }
        let has_content = self.answer.as_object().is_some_and(|answer| !answer.is_empty());
        if let Some(error) = &self.error {
            self.answer["error"] = error.get("error").unwrap_or(error).clone();
        }
        if !self.unread.is_empty() {
            self.answer["unread_events"] = json!(self.unread);
        }
        let mut folded = of_answer(self.api, &self.answer);
        folded.error = self.error.as_ref().map(error_of).or(folded.error);
        folded.done = self.is_done;
        if self.api == Api::Messages && !self.has_counts && !self.is_done {
            folded.usage = None;
        }
        if !has_content && folded.error.is_none() && self.unread.is_empty() {
            folded.json = None;
        }
        folded
    }
}

/// Returns a value that is an object; an empty one in place of any other.
fn object(value: Value) -> Value {
    if value.is_object() { value } else { json!({}) }
}

/// Appends to a text; anything else is replaced.
fn append(text: &mut Value, more: &str) {
    match text {
        Value::String(text) => text.push_str(more),
        other => *other = Value::String(more.to_owned()),
    }
}

#[cfg(test)]
mod tests;

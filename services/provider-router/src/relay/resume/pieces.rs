//! Additions of an event to an answer, for the comparison of two answers.

use serde_json::{Value, json};
use signalbox_core::{Api, json::Reader, sse::Frame};

/// A part of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// More text in the place that `channel` names.
    Text { channel: String, text: String },
    /// The begin or the end of a part of the answer.
    Mark(String),
    /// The signature of the thinking in the block of this number.
    Signature(String),
    /// A part of a tool call, or anything else that cannot be compared.
    Other,
    /// The answer is finished, and with which word.
    Finish,
}

/// An event and its parts.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) pieces: Vec<Piece>,
    pub(super) value: Value,
}

// === impl Piece ===

impl Piece {
    /// Returns whether it only announces a part of an item of Responses, which some providers leave out.
    pub(super) fn is_announcement(&self) -> bool {
        const ANNOUNCEMENTS: [&str; 2] = ["response.content_part.added:", "response.reasoning_summary_part.added:"];
        matches!(self, Self::Mark(mark) if ANNOUNCEMENTS.iter().any(|kind| mark.starts_with(kind)))
    }
}

// === impl Event ===

impl Event {
    /// Reads an event; `None` if it has no data. Data that cannot be read cannot be compared.
    pub(super) fn read(api: Api, frame: &Frame) -> Option<Self> {
        let data = frame.data()?;
        if data.trim_ascii() == b"[DONE]" {
            return Some(Self { pieces: vec![Piece::Finish], value: Value::Null });
        }
        let Some(value) = object(&data) else { return Some(Self { pieces: vec![Piece::Other], value: Value::Null }) };
        let pieces = match api {
            Api::Chat => of_chat(&value),
            Api::Messages => of_messages(&value),
            Api::Responses => of_responses(&value),
        };
        Some(Self { pieces, value })
    }

    /// Returns whether the data of an event can be read.
    pub(super) fn is_read(data: &[u8]) -> bool {
        data.trim_ascii() == b"[DONE]" || object(data).is_some()
    }

    /// Returns the event with `text` in place of the text of its part number `n`, and without the parts before it.
    pub(super) fn with_tail(mut self, api: Api, n: usize, text: &str) -> String {
        match api {
            Api::Chat => {
                let delta = &mut self.value["choices"][0]["delta"];
                for (m, piece) in self.pieces.iter().enumerate().take(n + 1) {
                    let Piece::Text { channel, .. } = piece else { continue };
                    if m == n {
                        delta[channel.as_str()] = text.into();
                    } else if let Some(fields) = delta.as_object_mut() {
                        fields.remove(channel.as_str());
                    }
                }
                if let Some(fields) = delta.as_object_mut() {
                    fields.remove("role");
                }
            }
            // The client has the begin of the block.
            Api::Messages if self.value["type"] == "content_block_start" => {
                let kind = if self.value["content_block"]["type"] == "thinking" { "thinking" } else { "text" };
                let delta = json!({"type": format!("{kind}_delta"), kind: text});
                self.value = json!({"type": "content_block_delta", "index": self.value["index"], "delta": delta});
            }
            Api::Messages => {
                let name = if self.value["delta"]["type"] == "thinking_delta" { "thinking" } else { "text" };
                self.value["delta"][name] = text.into();
            }
            Api::Responses => {
                self.value["delta"] = text.into();
                if let Some(fields) = self.value.as_object_mut() {
                    fields.remove("logprobs");
                }
            }
        }
        self.to_text(api)
    }

    /// Writes the event.
    pub(super) fn to_text(&self, api: Api) -> String {
        match self.value["type"].as_str().filter(|_| api != Api::Chat) {
            Some(name) => format!("event: {name}\ndata: {}\n\n", self.value),
            None => format!("data: {}\n\n", self.value),
        }
    }
}

/// Reads an object of JSON.
fn object(data: &[u8]) -> Option<Value> {
    let mut reader = Reader::lenient(data);
    let value = reader.value().filter(Value::is_object)?;
    reader.end()?;
    Some(value)
}

fn text(channel: impl Into<String>, value: &Value) -> Option<Piece> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    Some(Piece::Text { channel: channel.into(), text: text.to_owned() })
}

fn of_chat(chunk: &Value) -> Vec<Piece> {
    let Some(choice) = chunk["choices"].get(0) else { return Vec::new() };
    let mut pieces = Vec::new();
    // Several answers, or a whole one; or the probabilities of tokens, which no text shows.
    if chunk["choices"].get(1).is_some() || !choice["message"].is_null() || has_logprobs(&choice["logprobs"]) {
        pieces.push(Piece::Other);
    }
    for (name, value) in choice["delta"].as_object().into_iter().flatten() {
        match name.as_str() {
            "content" | "reasoning_content" | "reasoning" | "refusal" if value.is_string() => {
                pieces.extend(text(name, value));
            }
            "role" => {}
            "tool_calls" if value.as_array().is_some_and(Vec::is_empty) => {}
            _ if value.is_null() => {}
            _ => pieces.push(Piece::Other),
        }
    }
    if choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty()) {
        pieces.push(Piece::Finish);
    }
    pieces
}

/// Returns whether an event has probabilities of tokens: a list of them, or lists by the kind of text.
fn has_logprobs(value: &Value) -> bool {
    match value {
        Value::Array(tokens) => !tokens.is_empty(),
        Value::Object(lists) => lists.values().any(has_logprobs),
        _ => false,
    }
}

fn of_messages(event: &Value) -> Vec<Piece> {
    let (index, delta) = (&event["index"], &event["delta"]);
    match event["type"].as_str().unwrap_or_default() {
        "message_start" | "ping" => Vec::new(),
        "content_block_start" => {
            let block = &event["content_block"];
            match block["type"].as_str() {
                Some(kind @ ("text" | "thinking")) => {
                    let begun = text(format!("{kind}:{index}"), &block[kind]);
                    [Piece::Mark(format!("start:{index}:{kind}"))].into_iter().chain(begun).collect()
                }
                _ => vec![Piece::Other],
            }
        }
        "content_block_delta" => match delta["type"].as_str() {
            Some("text_delta") => text(format!("text:{index}"), &delta["text"]).into_iter().collect(),
            Some("thinking_delta") => text(format!("thinking:{index}"), &delta["thinking"]).into_iter().collect(),
            Some("signature_delta") => vec![Piece::Signature(index.to_string())],
            _ => vec![Piece::Other],
        },
        "content_block_stop" => vec![Piece::Mark(format!("stop:{index}"))],
        "message_delta" if delta["stop_reason"].is_null() => Vec::new(),
        "message_delta" | "message_stop" => vec![Piece::Finish],
        _ => vec![Piece::Other],
    }
}

fn of_responses(event: &Value) -> Vec<Piece> {
    let kind = event["type"].as_str().unwrap_or_default();
    let place = || {
        // Some providers leave out the index of the only part.
        let part = event.get("content_index").or_else(|| event.get("summary_index")).and_then(Value::as_u64);
        format!("{kind}:{}:{}", event["output_index"], part.unwrap_or_default())
    };
    match kind {
        "response.created" | "response.queued" | "response.in_progress" => Vec::new(),
        "response.output_text.delta"
        | "response.refusal.delta"
        | "response.reasoning_text.delta"
        | "response.reasoning_summary_text.delta" => {
            let other = has_logprobs(&event["logprobs"]).then_some(Piece::Other);
            other.into_iter().chain(text(place(), &event["delta"])).collect()
        }
        "response.output_item.added" | "response.output_item.done" => match event["item"]["type"].as_str() {
            Some("message" | "reasoning") => vec![Piece::Mark(place())],
            _ => vec![Piece::Other],
        },
        "response.content_part.added"
        | "response.content_part.done"
        | "response.output_text.done"
        | "response.refusal.done"
        | "response.reasoning_text.done"
        | "response.reasoning_summary_text.done"
        | "response.reasoning_summary_part.added"
        | "response.reasoning_summary_part.done" => vec![Piece::Mark(place())],
        "response.completed" | "response.incomplete" => vec![Piece::Finish],
        _ => vec![Piece::Other],
    }
}

//! Folding what a provider sent into one answer, for the log.
//!
//! This runs behind the traffic, never in it: the relay keeps the bytes, the journal's loader folds them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::chunk::lenient_error;
use super::{AssistantMessage, Choice, Chunk, Completion, ErrorObject, Usage};
use crate::json::Reader;
use crate::sse::Splitter;

/// What the log wants to know of an answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The provider's id for it; empty when there was none.
    pub id: String,
    /// The text of the first choice.
    pub text: String,
    /// Why the first choice ended; `None` when it did not.
    pub finish_reason: Option<String>,
    /// Token counts, when the provider gave them.
    pub usage: Option<Usage>,
    /// An error the provider reported inside its answer.
    pub error: Option<ErrorObject>,
    /// Whether a stream ended in `[DONE]`.
    pub done: bool,
    /// The answer as one `chat.completion` in JSON: rebuilt from a stream, or as it came.
    pub json: Option<String>,
}

/// Folds the bytes of a stream, complete or cut anywhere.
#[must_use]
pub fn fold_stream(raw: &Bytes) -> Answer {
    let mut fold = StreamFold::default();
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(raw.clone());
    while let Ok(Some(frame)) = splitter.next_frame() {
        fold.add(frame.data().as_deref());
    }
    if let Some(frame) = splitter.finish() {
        fold.add(frame.data().as_deref());
    }
    fold.finish()
}

/// Reads a whole JSON answer: a completion or an error. `None` when it is neither.
#[must_use]
pub fn fold_completion(raw: &[u8]) -> Option<Answer> {
    let mut answer = Answer::default();
    let (mut reader, mut choices) = (Reader::new(raw), 0);
    reader.object(|name, value| {
        match name {
            "id" => answer.id = value.string_or_null()?.unwrap_or_default().into_owned(),
            "choices" if value.peek()? == b'[' => value.array(|choice| {
                choices += 1;
                if choices == 1 { answer.read_choice(choice) } else { choice.skip() }
            })?,
            "usage" => answer.usage = serde_json::from_slice(value.raw()?).ok()?,
            "error" => answer.error = lenient_error(&mut serde_json::Deserializer::from_slice(value.raw()?)).ok()?,
            _ => value.skip()?,
        }
        Some(())
    })?;
    reader.end()?;
    if choices == 0 && answer.error.is_none() {
        return None;
    }
    answer.json = simdutf8::basic::from_utf8(raw).ok().map(str::to_owned);
    Some(answer)
}

#[derive(Default)]
struct StreamFold {
    head: Option<(String, i64, String)>,
    choices: BTreeMap<u32, ChoiceFold>,
    usage: Option<Usage>,
    error: Option<ErrorObject>,
    done: bool,
}

#[derive(Default)]
struct ChoiceFold {
    content: String,
    reasoning: String,
    tool_calls: BTreeMap<u32, ToolCall>,
    finish_reason: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct ToolCall {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    function: Function,
}

#[derive(Default, Serialize, Deserialize)]
struct Function {
    name: String,
    arguments: String,
}

impl Answer {
    /// Reads the first choice of a whole answer.
    fn read_choice(&mut self, choice: &mut Reader<'_>) -> Option<()> {
        choice.object(|name, value| {
            match name {
                "message" => value.object(|name, value| {
                    if name != "content" {
                        return value.skip();
                    }
                    self.text = value.string_or_null()?.unwrap_or_default().into_owned();
                    Some(())
                })?,
                "finish_reason" => self.finish_reason = value.string_or_null()?.map(Cow::into_owned),
                _ => value.skip()?,
            }
            Some(())
        })
    }
}

impl StreamFold {
    fn add(&mut self, data: Option<&[u8]>) {
        let Some(data) = data else { return };
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return;
        }
        // An event that is no chunk (a provider's own extension) is not an answer's part.
        let Ok(chunk) = serde_json::from_slice::<Chunk>(data) else { return };
        self.head.get_or_insert((chunk.id, chunk.created, chunk.model));
        self.usage = chunk.usage.or(self.usage);
        self.error = chunk.error.or_else(|| self.error.take());
        for piece in chunk.choices {
            let choice = self.choices.entry(piece.index).or_default();
            choice.content.push_str(piece.delta.content.as_deref().unwrap_or_default());
            choice.reasoning.push_str(piece.delta.reasoning_content.as_deref().unwrap_or_default());
            choice.finish_reason = piece.finish_reason.or_else(|| choice.finish_reason.take());
            for call in piece.delta.tool_calls.into_iter().flatten() {
                let whole = choice.tool_calls.entry(call.index).or_default();
                whole.id.push_str(call.id.as_deref().unwrap_or_default());
                if let Some(kind) = call.kind {
                    whole.kind = kind;
                }
                whole.function.name.push_str(call.function.name.as_deref().unwrap_or_default());
                whole.function.arguments.push_str(call.function.arguments.as_deref().unwrap_or_default());
            }
        }
    }

    fn finish(self) -> Answer {
        let first = self.choices.values().next();
        let (text, finish_reason) = first.map(|c| (c.content.clone(), c.finish_reason.clone())).unwrap_or_default();
        let (id, created, model) = self.head.unwrap_or_default();
        let choices: Vec<Choice> = self.choices.into_iter().map(|(index, choice)| choice.finish(index)).collect();
        let json = (!choices.is_empty()).then(|| {
            let object = "chat.completion".into();
            let whole = Completion { id: id.clone(), object, created, model, choices, usage: self.usage };
            serde_json::to_string(&whole).unwrap_or_default()
        });
        Answer { id, text, finish_reason, usage: self.usage, error: self.error, done: self.done, json }
    }
}

impl ChoiceFold {
    fn finish(self, index: u32) -> Choice {
        let calls: Vec<ToolCall> = self.tool_calls.into_values().collect();
        let tool_calls = (!calls.is_empty()).then(|| serde_json::value::to_raw_value(&calls).ok()).flatten();
        let some = |text: String| (!text.is_empty()).then_some(text);
        let content = if tool_calls.is_some() { some(self.content) } else { Some(self.content) };
        let message =
            AssistantMessage { role: "assistant".into(), content, reasoning_content: some(self.reasoning), tool_calls };
        Choice { index, message, finish_reason: self.finish_reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_becomes_one_completion() {
        let raw = Bytes::from_static(
            b"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n\
              data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"He\"}},{\"index\":1,\"delta\":{\"content\":\"other\"}}]}\n\n\
              : ping\n\n\
              data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"stop\"}]}\n\n\
              data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n\
              data: [DONE]\n\n",
        );
        let answer = fold_stream(&raw);
        assert_eq!((answer.text.as_str(), answer.finish_reason.as_deref(), answer.done), ("Hello", Some("stop"), true));
        assert_eq!(answer.usage.unwrap().total_tokens, 3);
        assert_eq!(
            answer.json.unwrap(),
            r#"{"id":"c1","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":"other"},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#
        );
    }

    #[test]
    fn tool_calls_are_joined_by_index() {
        let raw = Bytes::from_static(
            b"data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"read\",\"arguments\":\"\"}}]}}]}\n\n\
              data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n\
              data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
        );
        let json = fold_stream(&raw).json.unwrap();
        assert!(json.contains(r#""content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"read","arguments":"{\"a\":1}"}}]"#), "{json}");
    }

    #[test]
    fn an_error_inside_a_stream_is_seen_whatever_its_shape() {
        let error = |json: &str| fold_stream(&Bytes::from(format!("data: {json}\n\n"))).error.unwrap();
        assert_eq!(error(r#"{"error":{"message":"quota","code":"insufficient_quota"}}"#).message, "quota");
        assert_eq!(error(r#"{"error":"plain"}"#).message, "plain");
    }

    #[test]
    fn a_whole_answer_keeps_its_bytes() {
        let raw = br#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi","extra":1},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#;
        let answer = fold_completion(raw).unwrap();
        assert_eq!((answer.text.as_str(), answer.usage.unwrap().prompt_tokens), ("hi", 5));
        assert_eq!(answer.json.unwrap().as_bytes(), raw);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert!(fold_completion(b"<html>").is_none());
        assert!(fold_completion(b"{}").is_none());
        assert!(fold_completion(br#"{"error":{"message":"no"}}"#).unwrap().error.is_some());
    }
}

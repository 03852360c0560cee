//! Conversion of the upstream's events to an OpenAI response, as chunks and as one completion.

use serde::Serialize;
use serde_json::value::to_raw_value;
use signalbox_core::id;
use signalbox_core::openai::{
    self, AssistantMessage, Choice, Chunk, ChunkChoice, Delta, FunctionDelta, ToolCallDelta, Usage,
};
use uuid::Uuid;

use crate::{
    qwen::event::{Event, Phase},
    tools::{Call, Scanner, Segment, Tools},
};

/// Namespace of the ids of tool calls.
const NAMESPACE: Uuid = Uuid::from_u128(0x5169_6e61_6c62_6f78_0000_0000_0000_0003);

/// An answer being received. Its state always equals the sum of the emitted chunks.
#[derive(Debug)]
pub struct AnswerBuilder {
    id: String,
    created: i64,
    model: String,
    scanner: Scanner,
    /// Whether a chunk with the role has been emitted.
    begun: bool,
    text: String,
    reasoning: String,
    calls: Vec<Call>,
    usage: Option<Usage>,
    parent_id: Option<String>,
    response_id: Option<String>,
    finished: bool,
    /// Bytes of text received.
    bytes: usize,
}

/// A complete `chat.completion`.
#[derive(Debug, Serialize)]
pub struct Completion {
    /// Fields of OpenAI's API.
    #[serde(flatten)]
    pub completion: openai::Completion,
    /// Position of the answer in its chat at chat.qwen.ai.
    #[serde(rename = "_qwen_metadata")]
    pub metadata: Metadata,
}

/// The upstream's ids of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Id the next message must name as its parent.
    pub parent_id: Option<String>,
    /// Id of the answer itself.
    pub message_id: Option<String>,
}

/// A tool call in a complete answer.
#[derive(Serialize)]
struct ToolCall<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl AnswerBuilder {
    /// Creates an empty answer. `id` is the same in all chunks; `created` is in Unix seconds.
    #[must_use]
    pub fn new(id: String, created: i64, model: String, tools: &Tools) -> Self {
        Self {
            id,
            created,
            model,
            scanner: Scanner::new(tools),
            begun: false,
            text: String::new(),
            reasoning: String::new(),
            calls: Vec::new(),
            usage: None,
            parent_id: None,
            response_id: None,
            finished: false,
            bytes: 0,
        }
    }

    /// Processes the next event and appends the resulting chunks to `out`. A failure produces none; the caller has to
    /// handle it.
    pub fn push(&mut self, event: &Event, out: &mut Vec<Chunk>) {
        match event {
            Event::Created { parent_id, response_id, .. } => {
                let some = |id: &String| (!id.is_empty()).then(|| id.clone());
                (self.parent_id, self.response_id) = (some(parent_id), some(response_id));
            }
            Event::Delta { text, phase, usage } => {
                self.bytes = self.bytes.saturating_add(text.len());
                self.usage = usage.or(self.usage);
                match phase {
                    Phase::Answer => self.scan(text, out),
                    Phase::Thinking => self.think(text, out),
                }
            }
            Event::Finished { text, usage } => {
                self.usage = usage.or(self.usage);
                self.scan(text, out);
                self.finished = true;
            }
            Event::Failure(_) => {}
        }
    }

    /// Appends text that was held back to `out`, for an answer that breaks off: without the final chunks that would
    /// make it look complete.
    pub fn flush(&mut self, out: &mut Vec<Chunk>) {
        let mut pieces = Vec::new();
        self.scanner.finish(self.finished, &mut pieces);
        self.take(pieces, out);
    }

    /// Ends the answer: appends text that was held back, the finish reason, and the usage if the upstream reported it.
    pub fn finish(&mut self, out: &mut Vec<Chunk>) {
        self.flush(out);
        let finish_reason = Some(self.finish_reason().to_owned());
        out.push(self.framed(vec![ChunkChoice { finish_reason, ..ChunkChoice::default() }], None));
        if self.usage.is_some() {
            out.push(self.framed(Vec::new(), self.usage));
        }
    }

    /// Converts the answer to one completion. Call [`finish`](Self::finish) first.
    #[must_use]
    pub fn into_completion(self) -> Completion {
        let finish_reason = Some(self.finish_reason().to_owned());
        let calls: Vec<ToolCall<'_>> =
            (0..).zip(&self.calls).map(|(index, call)| self.tool_call(index, call)).collect();
        // Serialising strings never fails.
        let tool_calls = (!calls.is_empty()).then(|| to_raw_value(&calls).ok()).flatten();
        let message = AssistantMessage {
            role: "assistant".into(),
            // Never null, even with tool calls, because some clients would wait for ever.
            content: Some(self.text),
            reasoning_content: (!self.reasoning.is_empty()).then_some(self.reasoning),
            tool_calls,
        };
        Completion {
            completion: openai::Completion {
                id: self.id,
                object: "chat.completion".into(),
                created: self.created,
                model: self.model,
                choices: vec![Choice { index: 0, message, finish_reason }],
                usage: self.usage,
            },
            metadata: Metadata { parent_id: self.parent_id, message_id: self.response_id },
        }
    }

    /// Returns the bytes of text received, including thinking and tool calls.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the text emitted so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the tool calls so far.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Returns the ids of the tool calls so far, as sent to the client.
    #[must_use]
    pub fn call_ids(&self) -> Vec<String> {
        (0..).zip(&self.calls).map(|(index, _)| self.call_id(index)).collect()
    }

    /// Returns the token counts so far, if the upstream has reported them.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Returns `tool_calls` if there is one, otherwise `stop`.
    #[must_use]
    pub fn finish_reason(&self) -> &'static str {
        if self.calls.is_empty() { "stop" } else { "tool_calls" }
    }

    /// Returns `true` if the upstream has marked the answer as complete.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Returns `true` if nothing has been emitted: no text, no thinking, no call. Ending so is a failure.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.reasoning.is_empty() && self.calls.is_empty()
    }

    /// Returns the id the next message of the chat must name as its parent.
    #[must_use]
    pub fn parent_id(&self) -> Option<&str> {
        self.parent_id.as_deref()
    }

    /// Returns the upstream's id of the answer.
    #[must_use]
    pub fn response_id(&self) -> Option<&str> {
        self.response_id.as_deref()
    }

    fn scan(&mut self, text: &str, out: &mut Vec<Chunk>) {
        let mut pieces = Vec::new();
        self.scanner.push(text, &mut pieces);
        self.take(pieces, out);
    }

    fn think(&mut self, text: &str, out: &mut Vec<Chunk>) {
        if !text.is_empty() {
            self.reasoning.push_str(text);
            out.push(self.chunk(Delta { reasoning_content: Some(text.to_owned()), ..Delta::default() }));
        }
    }

    fn take(&mut self, pieces: Vec<Segment>, out: &mut Vec<Chunk>) {
        for piece in pieces {
            match piece {
                Segment::Text(text) => {
                    self.text.push_str(&text);
                    out.push(self.chunk(Delta { content: Some(text), ..Delta::default() }));
                }
                Segment::Call(call) => self.call(call, out),
            }
        }
    }

    /// Emits a tool call in two chunks, like OpenAI: id and name, then the arguments.
    fn call(&mut self, call: Call, out: &mut Vec<Chunk>) {
        let index = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        let head = ToolCallDelta {
            index,
            id: Some(self.call_id(index)),
            kind: Some("function".into()),
            function: FunctionDelta { name: Some(call.name.clone()), arguments: Some(String::new()) },
        };
        let arguments = FunctionDelta { name: None, arguments: Some(call.arguments.clone()) };
        let tail = ToolCallDelta { index, function: arguments, ..ToolCallDelta::default() };
        for delta in [head, tail] {
            out.push(self.chunk(Delta { tool_calls: Some(vec![delta]), ..Delta::default() }));
        }
        self.calls.push(call);
    }

    fn tool_call<'a>(&self, index: u32, call: &'a Call) -> ToolCall<'a> {
        let function = Function { name: &call.name, arguments: &call.arguments };
        ToolCall { id: self.call_id(index), kind: "function", function }
    }

    /// Returns the id of the call at `index`, which is derived from the answer's id and therefore stable.
    fn call_id(&self, index: u32) -> String {
        let id = id::hash(&NAMESPACE, &format!("{}/{index}", self.id));
        format!("call_{}", &id[..8])
    }

    /// Creates a chunk with a delta. The first chunk also carries the role.
    fn chunk(&mut self, delta: Delta) -> Chunk {
        let role = (!self.begun).then(|| "assistant".to_owned());
        self.begun = true;
        self.framed(vec![ChunkChoice { delta: Delta { role, ..delta }, ..ChunkChoice::default() }], None)
    }

    fn framed(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>) -> Chunk {
        Chunk {
            id: self.id.clone(),
            object: "chat.completion.chunk".into(),
            created: self.created,
            model: self.model.clone(),
            choices,
            usage,
            error: None,
        }
    }
}

#[cfg(test)]
mod tests;

//! The upstream's events as an OpenAI answer: chunk by chunk, and folded into one completion.

use serde::Serialize;
use serde_json::value::to_raw_value;
use signalbox_core::id;
use signalbox_core::openai::{
    self, AssistantMessage, Choice, Chunk, ChunkChoice, Delta, FunctionDelta, ToolCallDelta, Usage,
};
use uuid::Uuid;

use crate::{
    qwen::event::{Event, Phase},
    tools::{Call, Piece, Scanner, Tools},
};

/// Makes the ids of calls unlike those of anything else.
const NAMESPACE: Uuid = Uuid::from_u128(0x5169_6e61_6c62_6f78_0000_0000_0000_0003);

/// One answer as it comes in. What has been passed on as chunks and what is kept here are always the same.
#[derive(Debug)]
pub struct Answer {
    id: String,
    created: i64,
    model: String,
    scanner: Scanner,
    /// Whether a chunk has told whose answer this is.
    begun: bool,
    text: String,
    reasoning: String,
    calls: Vec<Call>,
    usage: Option<Usage>,
    parent_id: Option<String>,
    response_id: Option<String>,
    finished: bool,
    /// Bytes of text that have come in.
    bytes: usize,
}

/// A whole answer, `chat.completion`.
#[derive(Debug, Serialize)]
pub struct Completion {
    /// What OpenAI's clients know.
    #[serde(flatten)]
    pub completion: openai::Completion,
    /// Where the answer stands in its chat at chat.qwen.ai.
    #[serde(rename = "_qwen_metadata")]
    pub metadata: Metadata,
}

/// The upstream's ids of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// What the next message names as its parent.
    pub parent_id: Option<String>,
    /// The answer itself.
    pub message_id: Option<String>,
}

/// A call in a whole answer.
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

impl Answer {
    /// An answer that has not begun. `id` is the same in all chunks, `created` in Unix seconds.
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

    /// Takes the next event and adds the chunks that became certain to `out`. A failure adds none: what to do about it is
    /// the caller's to decide.
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

    /// Adds what was held back to `out`, for an answer that breaks off: without the chunks that would make it look whole.
    pub fn flush(&mut self, out: &mut Vec<Chunk>) {
        let mut pieces = Vec::new();
        self.scanner.finish(self.finished, &mut pieces);
        self.take(pieces, out);
    }

    /// Ends the answer: adds what was held back, the reason why it ended, and the usage where the upstream gave one.
    pub fn finish(&mut self, out: &mut Vec<Chunk>) {
        self.flush(out);
        let finish_reason = Some(self.finish_reason().to_owned());
        out.push(self.framed(vec![ChunkChoice { finish_reason, ..ChunkChoice::default() }], None));
        if self.usage.is_some() {
            out.push(self.framed(Vec::new(), self.usage));
        }
    }

    /// The whole answer as one body, after [`finish`](Self::finish).
    #[must_use]
    pub fn into_completion(self) -> Completion {
        let finish_reason = Some(self.finish_reason().to_owned());
        let calls: Vec<ToolCall<'_>> =
            (0..).zip(&self.calls).map(|(index, call)| self.tool_call(index, call)).collect();
        // Strings always become JSON.
        let tool_calls = (!calls.is_empty()).then(|| to_raw_value(&calls).ok()).flatten();
        let message = AssistantMessage {
            role: "assistant".into(),
            // Never null, also with calls: some clients wait for ever then.
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

    /// How many bytes of text have come in, thoughts and calls included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The text so far, as the client has it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The ids of the calls so far, as the client knows them.
    #[must_use]
    pub fn call_ids(&self) -> Vec<String> {
        (0..).zip(&self.calls).map(|(index, _)| self.call_id(index)).collect()
    }

    /// The token counts so far, when the upstream gave them.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// `tool_calls` when there is one, else `stop`.
    #[must_use]
    pub fn finish_reason(&self) -> &'static str {
        if self.calls.is_empty() { "stop" } else { "tool_calls" }
    }

    /// Whether the upstream has said that the answer is complete.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether nothing has been passed on: no text, no thinking, no call. An answer that ends so is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.reasoning.is_empty() && self.calls.is_empty()
    }

    /// What the next message of the chat must name as its parent.
    #[must_use]
    pub fn parent_id(&self) -> Option<&str> {
        self.parent_id.as_deref()
    }

    /// The upstream's id of the answer.
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

    fn take(&mut self, pieces: Vec<Piece>, out: &mut Vec<Chunk>) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    self.text.push_str(&text);
                    out.push(self.chunk(Delta { content: Some(text), ..Delta::default() }));
                }
                Piece::Call(call) => self.call(call, out),
            }
        }
    }

    /// A call leaves in two chunks, as OpenAI's do: id and name, then the arguments.
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

    /// The id of the call at `index`, the same whenever it is asked for.
    fn call_id(&self, index: u32) -> String {
        let id = id::hash(&NAMESPACE, &format!("{}/{index}", self.id));
        format!("call_{}", &id[..8])
    }

    /// A chunk that says something. The first one tells whose answer this is.
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

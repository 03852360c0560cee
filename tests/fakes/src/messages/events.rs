//! The events of a streamed message.

use serde_json::{Value, json};

use super::{Asked, end, usage};
use crate::{
    plan::{Plan, argument_pieces},
    script::{Chat, FaultKind, Tokens, Tool, Usage},
    sse::{Event, Events, Grammar, event},
};

/// State that a stream keeps after its text.
#[derive(Debug)]
pub(crate) struct Messages {
    /// Index of the block of the text, if the answer has any, otherwise of the next block.
    index: usize,
    has_text: bool,
    tools: Vec<(String, Tool)>,
    finish: String,
    tokens: Tokens,
    reports_usage: bool,
    done: bool,
}

/// Returns the events of an answer.
pub(super) fn stream(asked: &Asked, chat: &Chat) -> Events<Messages> {
    let mut plan = asked.plan(chat);
    let reports_usage = chat.usage != Usage::Never;
    let mut message = asked.message("");
    message["type"] = json!("message");
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    if reports_usage {
        // As by the real service, the count at the start is not the final one.
        message["usage"] = usage(&Tokens { reasoning: 0, ..plan.tokens }, 1);
    }
    let mut events = vec![event("message_start", json!({"message": message}))];
    let mut index = 0;
    if let Some(thinking) = asked.thinking(&plan) {
        events.push(start(index, &json!({"type": "thinking", "thinking": "", "signature": ""})));
        for word in thinking.shown.split_inclusive(' ') {
            events.push(delta(index, &json!({"type": "thinking_delta", "thinking": word})));
        }
        events.push(delta(index, &json!({"type": "signature_delta", "signature": thinking.signature})));
        events.push(stop(index));
        index += 1;
    }
    let words = std::mem::take(&mut plan.words);
    let has_text = !words.is_empty();
    if has_text {
        events.push(start(index, &json!({"type": "text", "text": ""})));
    }
    // The real service sends a ping after the start of the first block.
    events.insert(events.len().min(2), event("ping", json!({})));
    let tools = std::mem::take(&mut plan.tools).into_iter().enumerate();
    let tools = tools.map(|(number, tool)| (asked.call_id(number), tool)).collect();
    let Plan { finish, tokens, .. } = plan;
    let grammar = Messages { index, has_text, tools, finish, tokens, reports_usage, done: chat.done };
    Events::new(grammar, chat, events, words)
}

fn start(index: usize, block: &Value) -> Event {
    event("content_block_start", json!({"index": index, "content_block": block}))
}

fn delta(index: usize, delta: &Value) -> Event {
    event("content_block_delta", json!({"index": index, "delta": delta}))
}

fn stop(index: usize) -> Event {
    event("content_block_stop", json!({"index": index}))
}

impl Grammar for Messages {
    const ERROR_BODY: &'static str = r#"{"type":"error","error":{"type":"overloaded_error","message":"The fake provider failed."},"request_id":"req_fake"}"#;

    fn word(&self, text: &str) -> Event {
        delta(self.index, &json!({"type": "text_delta", "text": text}))
    }

    fn after(&mut self, _text: &str, words: u32) -> Vec<Event> {
        let (mut index, mut events) = (self.index, Vec::new());
        if self.has_text {
            events.push(stop(index));
            index += 1;
        }
        for (id, tool) in std::mem::take(&mut self.tools) {
            events.push(start(index, &json!({"type": "tool_use", "id": id, "name": tool.name, "input": {}})));
            events.push(delta(index, &json!({"type": "input_json_delta", "partial_json": ""})));
            for piece in argument_pieces(&tool.arguments) {
                events.push(delta(index, &json!({"type": "input_json_delta", "partial_json": piece})));
            }
            events.push(stop(index));
            index += 1;
        }
        let mut data = json!({"delta": end(&self.finish)});
        if self.reports_usage {
            data["usage"] = usage(&self.tokens, words);
        }
        events.push(event("message_delta", data));
        if self.done {
            events.push(event("message_stop", json!({})));
        }
        events
    }

    fn error(&mut self, _: FaultKind) -> Event {
        let message = "The fake provider failed in the middle of its answer.";
        event("error", json!({"error": {"type": "overloaded_error", "message": message}}))
    }
}

//! The events of a streamed response.

use serde_json::{Value, json};

use super::{
    Asked, finish,
    items::{self, Kind},
    usage,
};
use crate::{
    plan::{Plan, argument_pieces},
    script::{Chat, FaultKind, Tokens, Tool, Usage},
    sse::{Event, Events, Grammar, event},
};

/// State that a stream keeps after its beginning.
#[derive(Debug)]
pub(crate) struct Responses {
    asked: Asked,
    /// Id and index of the message.
    message: (String, usize),
    has_text: bool,
    tools: Vec<Tool>,
    finish: String,
    tokens: Tokens,
    reports_usage: bool,
    done: bool,
    /// Number of the next event.
    sequence_number: u64,
    /// The items that were sent completely.
    output: Vec<Value>,
}

/// Returns the events of an answer.
pub(super) fn stream(asked: Asked, chat: &Chat) -> Events<Responses> {
    let mut plan = asked.plan(chat);
    let words = std::mem::take(&mut plan.words);
    let has_text = !words.is_empty() || plan.tools.is_empty();
    let mut events = vec![
        event("response.created", json!({"response": asked.response()})),
        event("response.in_progress", json!({"response": asked.response()})),
    ];
    let mut index = 0;
    if let Some(item) = asked.reasoning(&plan) {
        reasoning(&item, &plan, &mut events);
        index += 1;
    }
    let message = (asked.id("msg", 0), index);
    if has_text {
        let (id, _) = &message;
        let item = json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []});
        events.push(event("response.output_item.added", json!({"output_index": index, "item": item})));
        events.push(event("response.content_part.added", at(&message, json!({"part": items::part("")}))));
    }
    let Plan { tools, finish, tokens, .. } = plan;
    let grammar = Responses {
        asked,
        message,
        has_text,
        tools,
        finish,
        tokens,
        reports_usage: chat.usage != Usage::Never,
        done: chat.done,
        sequence_number: 0,
        output: Vec::new(),
    };
    Events::new(grammar, chat, events, words)
}

/// Adds to an event the position of the text.
fn at((id, index): &(String, usize), mut data: Value) -> Value {
    data["item_id"] = json!(id);
    data["output_index"] = json!(index);
    data["content_index"] = json!(0);
    data
}

/// Appends the events of a reasoning item, which is the first of its answer.
fn reasoning(item: &Value, plan: &Plan, events: &mut Vec<Event>) {
    let mut begun = item.clone();
    begun["summary"] = json!([]);
    begun["encrypted_content"] = json!("");
    let summarised = item.get("content").is_none();
    let (index, kind) =
        if summarised { ("summary_index", "summary_text") } else { ("content_index", "reasoning_text") };
    if !summarised {
        begun["content"] = json!([]);
    }
    let place = |mut data: Value| {
        data["item_id"] = item["id"].clone();
        data["output_index"] = json!(0);
        data[index] = json!(0);
        data
    };
    let [added, delta, text_done, part_done] = if summarised {
        [
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
        ]
    } else {
        [
            "response.content_part.added",
            "response.reasoning_text.delta",
            "response.reasoning_text.done",
            "response.content_part.done",
        ]
    };
    events.push(event("response.output_item.added", json!({"output_index": 0, "item": begun})));
    events.push(event(added, place(json!({"part": {"type": kind, "text": ""}}))));
    events.extend(plan.thoughts().map(|word| event(delta, place(json!({"delta": word})))));
    events.push(event(text_done, place(json!({"text": plan.reasoning}))));
    events.push(event(part_done, place(json!({"part": {"type": kind, "text": plan.reasoning}}))));
    events.push(event("response.output_item.done", json!({"output_index": 0, "item": item})));
}

// === impl Responses ===

impl Responses {
    /// Returns the events of a tool call.
    fn call(&self, number: usize, output_index: usize, tool: &Tool) -> Vec<Event> {
        let kind = self.asked.kind(&tool.name);
        let item = items::call(kind, &self.asked.ids(number), tool);
        let mut begun = item.clone();
        begun["status"] = json!("in_progress");
        begun[kind.field()] = json!("");
        let (delta, done) = match kind {
            Kind::Function => ("response.function_call_arguments.delta", "response.function_call_arguments.done"),
            Kind::Custom => ("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"),
        };
        let place = |data: Value| {
            let mut data = data;
            data["item_id"] = item["id"].clone();
            data["output_index"] = json!(output_index);
            data
        };
        let mut events =
            vec![event("response.output_item.added", json!({"output_index": output_index, "item": begun}))];
        events
            .extend(argument_pieces(&tool.arguments).iter().map(|piece| event(delta, place(json!({"delta": piece})))));
        let mut all = place(json!({}));
        all[kind.field()] = json!(tool.arguments);
        if kind == Kind::Function {
            all["name"] = json!(tool.name);
        }
        events.push(event(done, all));
        events.push(event("response.output_item.done", json!({"output_index": output_index, "item": item})));
        events
    }

    /// Returns the terminal event. Its output is added when it is sent.
    fn terminal(&self, words: u32) -> Event {
        let mut response = self.asked.response();
        let reported = self.reports_usage.then(|| usage(&self.tokens, words));
        finish(&mut response, &self.finish, Vec::new(), reported);
        let completed = response["status"] == "completed";
        let name = if completed { "response.completed" } else { "response.incomplete" };
        event(name, json!({"response": response}))
    }
}

impl Grammar for Responses {
    const ERROR_BODY: &'static str =
        r#"{"error":{"message":"The fake provider failed.","type":"server_error","param":null,"code":"server_error"}}"#;

    fn word(&self, text: &str) -> Event {
        event("response.output_text.delta", at(&self.message, json!({"delta": text, "logprobs": []})))
    }

    fn after(&mut self, text: &str, words: u32) -> Vec<Event> {
        let (id, mut index) = self.message.clone();
        let mut events = Vec::new();
        if self.has_text {
            let done = json!({"text": text, "logprobs": []});
            events.push(event("response.output_text.done", at(&self.message, done)));
            events.push(event("response.content_part.done", at(&self.message, json!({"part": items::part(text)}))));
            let done = json!({"output_index": index, "item": items::message(&id, text)});
            events.push(event("response.output_item.done", done));
            index += 1;
        }
        for (number, tool) in self.tools.iter().enumerate() {
            events.extend(self.call(number, index + number, tool));
        }
        if self.done {
            events.push(self.terminal(words));
        }
        events
    }

    fn error(&mut self, kind: FaultKind) -> Event {
        let message = "The fake provider failed in the middle of its answer.";
        if kind == FaultKind::BareErrorEvent {
            return event("error", json!({"code": "server_error", "message": message, "param": null}));
        }
        let mut response = self.asked.response();
        response["status"] = json!("failed");
        response["error"] = json!({"code": "server_error", "message": message});
        event("response.failed", json!({"response": response}))
    }

    fn send(&mut self, event: &mut Event) {
        event.data["sequence_number"] = json!(self.sequence_number);
        self.sequence_number += 1;
        match event.name {
            "response.output_item.done" => self.output.push(event.data["item"].clone()),
            "response.completed" | "response.incomplete" | "response.failed" => {
                event.data["response"]["output"] = json!(self.output);
                if event.name != "response.failed" {
                    self.asked.keep(&event.data["response"]);
                }
            }
            _ => {}
        }
    }
}

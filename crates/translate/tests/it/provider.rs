//! A provider of Responses that numbers and names items in its own way.

use serde_json::{Value, json};

/// The way in which a provider gives ids to items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    Distinct,
    Equal,
    /// All items of the answer have ids of another type.
    Shared,
    Empty,
    Null,
    Absent,
    /// Another one in every event.
    Rotating,
    /// Others in the events that end an item.
    OtherInDone,
    /// Others in the final output.
    OtherInFinal,
}

pub(crate) const IDS: [Ids; 9] = [
    Ids::Distinct,
    Ids::Equal,
    Ids::Shared,
    Ids::Empty,
    Ids::Null,
    Ids::Absent,
    Ids::Rotating,
    Ids::OtherInDone,
    Ids::OtherInFinal,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Indices {
    Distinct,
    Equal,
    Absent,
    /// Each one greater than in the final output.
    Shifted,
}

pub(crate) const INDICES: [Indices; 4] = [Indices::Distinct, Indices::Equal, Indices::Absent, Indices::Shifted];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) ids: Ids,
    pub(crate) indices: Indices,
    /// Whether the final output has other ids of calls.
    pub(crate) has_new_calls: bool,
    pub(crate) has_added: bool,
    pub(crate) has_done: bool,
    pub(crate) has_text_done: bool,
    pub(crate) has_final: bool,
    /// Whether the announced item has its text already, and whether deltas repeat it.
    pub(crate) announced: Option<bool>,
}

pub(crate) const PLAIN: Form = Form {
    ids: Ids::Distinct,
    indices: Indices::Distinct,
    has_new_calls: false,
    has_added: true,
    has_done: true,
    has_text_done: true,
    has_final: true,
    announced: None,
};

#[derive(Clone, Debug)]
pub(crate) enum Item {
    Reasoning(String),
    Message(String),
    Call(String, String),
    Custom(String, String),
}

impl Item {
    pub(crate) fn json(&self, at: usize) -> Value {
        match self {
            Self::Reasoning(text) => {
                json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]})
            }
            Self::Message(text) => {
                json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]})
            }
            Self::Call(name, input) => {
                json!({"type": "function_call", "call_id": format!("call_{at}"), "name": name, "arguments": input})
            }
            Self::Custom(name, input) => {
                json!({"type": "custom_tool_call", "call_id": format!("call_{at}"), "name": name, "input": input})
            }
        }
    }

    /// The member that has the text, and the names of the events of its pieces.
    pub(crate) const fn names(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Reasoning(_) => ("summary", "reasoning_summary_text", "text"),
            Self::Message(_) => ("content", "output_text", "text"),
            Self::Call(..) => ("arguments", "function_call_arguments", "arguments"),
            Self::Custom(..) => ("input", "custom_tool_call_input", "input"),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Reasoning(text) | Self::Message(text) | Self::Call(_, text) | Self::Custom(_, text) => text,
        }
    }
}

/// Writes the events of an answer.
pub(crate) struct Provider {
    pub(crate) form: Form,
    pub(crate) events: Vec<Value>,
}

impl Provider {
    pub(crate) fn id(&self, at: usize, is_done: bool, is_final: bool) -> Value {
        match self.form.ids {
            Ids::Absent | Ids::Null => Value::Null,
            Ids::Empty => json!(""),
            Ids::Equal | Ids::Shared => json!("same"),
            Ids::Rotating => json!(format!("id_{}", self.events.len() * 100 + at)),
            Ids::OtherInDone if is_done => json!(format!("done_{at}")),
            Ids::OtherInFinal if is_final => json!(format!("final_{at}")),
            _ => json!(format!("id_{at}")),
        }
    }

    pub(crate) fn with_id(&self, mut item: Value, at: usize, is_done: bool, is_final: bool) -> Value {
        if self.form.ids != Ids::Absent {
            item["id"] = self.id(at, is_done, is_final);
        }
        if is_final && self.form.has_new_calls && item.get("call_id").is_some() {
            item["call_id"] = json!(format!("new_{at}"));
        }
        item
    }

    pub(crate) fn push(&mut self, kind: &str, at: usize, mut event: Value) {
        event["type"] = json!(format!("response.{kind}"));
        event["sequence_number"] = json!(self.events.len());
        match self.form.indices {
            Indices::Distinct => event["output_index"] = json!(at),
            Indices::Equal => event["output_index"] = json!(0),
            Indices::Shifted => event["output_index"] = json!(at + 1),
            Indices::Absent => {}
        }
        self.events.push(event);
    }

    pub(crate) fn piece(&mut self, kind: &str, at: usize, mut event: Value) {
        if self.form.ids != Ids::Absent {
            event["item_id"] = self.id(at, false, false);
        }
        event["content_index"] = json!(0);
        event["summary_index"] = json!(0);
        self.push(kind, at, event);
    }

    pub(crate) fn stream(form: Form, items: &[Item]) -> Vec<Value> {
        let mut own =
            Self { form, events: vec![json!({"type": "response.created", "response": {"id": "r", "model": "m"}})] };
        for (at, item) in items.iter().enumerate() {
            let (list, pieces, field) = item.names();
            let whole = item.json(at);
            // Calls need their names from somewhere.
            if form.has_added || (!form.has_done && !form.has_final && field != "text") {
                let mut begun = own.with_id(whole.clone(), at, false, false);
                if form.announced.is_none() {
                    begun[list] = if begun[list].is_array() { json!([]) } else { json!("") };
                }
                own.push("output_item.added", at, json!({"item": begun}));
            }
            if form.announced != Some(false) {
                let letters: Vec<char> = item.text().chars().collect();
                for piece in letters.chunks(2) {
                    own.piece(&format!("{pieces}.delta"), at, json!({"delta": piece.iter().collect::<String>()}));
                }
            }
            if form.has_text_done {
                own.piece(&format!("{pieces}.done"), at, json!({field: item.text()}));
            }
            if form.has_done {
                let item = own.with_id(whole, at, true, false);
                own.push("output_item.done", at, json!({"item": item}));
            }
        }
        let output = own.output(items);
        own.events.push(json!({"type": "response.completed", "response": body(&output)}));
        own.events
    }

    pub(crate) fn output(&self, items: &[Item]) -> Vec<Value> {
        if !self.form.has_final {
            return Vec::new();
        }
        items.iter().enumerate().map(|(at, item)| self.with_id(item.json(at), at, true, true)).collect()
    }
}

pub(crate) fn body(output: &[Value]) -> Value {
    json!({"id": "r", "object": "response", "model": "m", "status": "completed", "output": output,
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}})
}

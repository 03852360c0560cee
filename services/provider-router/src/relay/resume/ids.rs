//! Names of the parts of a response of Responses.

use std::collections::HashMap;

use serde_json::Value;

/// Names of the parts of a response of Responses as the client knows them.
#[derive(Debug, Default)]
pub(super) struct Ids {
    response: Option<Value>,
    items: HashMap<u64, Value>,
    sequence: Option<u64>,
    /// Whether the events come from another target than the first.
    pub(super) is_continued: bool,
}

// === impl Ids ===

impl Ids {
    /// Remembers the names in an event that the client receives. Names that are known stay.
    pub(super) fn read(&mut self, event: &Value) {
        if let Some(number) = event["sequence_number"].as_u64() {
            self.sequence = Some(number);
        }
        if self.response.is_none() {
            self.response = Some(event["response"]["id"].clone()).filter(Value::is_string);
        }
        if let (Some(index), true) = (event["output_index"].as_u64(), event["item"]["id"].is_string()) {
            self.items.entry(index).or_insert_with(|| event["item"]["id"].clone());
        }
    }

    /// Gives an event of another target the names that the client knows, and remembers those that are new.
    pub(super) fn rewrite(&mut self, event: &mut Value) {
        if let (Some(number), Some(last)) = (event.get_mut("sequence_number"), &mut self.sequence) {
            *last += 1;
            *number = (*last).into();
        }
        let item = event["output_index"].as_u64().and_then(|index| self.items.get(&index));
        if let Some(id) = item {
            for place in ["/item_id", "/item/id"] {
                if let Some(known) = event.pointer_mut(place) {
                    known.clone_from(id);
                }
            }
        }
        if let (Some(known), Some(id)) = (event.pointer_mut("/response/id"), &self.response) {
            known.clone_from(id);
        }
        for (index, id) in &self.items {
            if let Some(known) = event.pointer_mut(&format!("/response/output/{index}/id")) {
                known.clone_from(id);
            }
        }
        self.read(event);
    }
}

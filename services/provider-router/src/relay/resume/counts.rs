//! Token counts of a stream of Messages that continues another one.

use serde_json::{Map, Value, json};

/// Counts in events that are suppressed: `message_start` alone may have those of the prompt.
#[derive(Debug, Default)]
pub(super) struct Counts(Map<String, Value>);

// === impl Counts ===

impl Counts {
    /// Keeps the counts of an event that the client does not receive. Later counts replace earlier ones.
    pub(super) fn keep(&mut self, event: &Value) {
        let counts = match event["type"].as_str() {
            Some("message_start") => &event["message"]["usage"],
            Some("message_delta") => &event["usage"],
            _ => return,
        };
        let counts = counts.as_object().into_iter().flatten().filter(|(_, count)| !count.is_null());
        self.0.extend(counts.map(|(name, count)| (name.clone(), count.clone())));
    }

    /// Adds the kept counts to a `message_delta`, which clients add to those that they have. The counts of the event
    /// itself stay. Returns whether it was changed.
    pub(super) fn complete(&self, event: &mut Value) -> bool {
        if self.0.is_empty() || event["type"] != "message_delta" {
            return false;
        }
        if !event["usage"].is_object() {
            event["usage"] = json!({});
        }
        let Some(counts) = event["usage"].as_object_mut() else { return false };
        let mut is_changed = false;
        for (name, count) in &self.0 {
            if counts.get(name).is_none_or(Value::is_null) {
                counts.insert(name.clone(), count.clone());
                is_changed = true;
            }
        }
        is_changed
    }
}

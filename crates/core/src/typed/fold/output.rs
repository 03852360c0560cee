//! Merges the items that a response ends with and those that were streamed before.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;

/// Returns the items of a response: those of its last event, and before them, after them or among them those that only
/// were streamed.
///
/// Items are the same if their ids are, else if they have the same index and kind and their texts agree, else if they
/// have the same kind and what was streamed is the text or its beginning. The last event has the last word about an item, unless it leaves out its text.
pub(super) fn merged(streamed: BTreeMap<u64, Value>, whole: Value) -> Vec<Value> {
    let Value::Array(whole) = whole else { return streamed.into_values().collect() };
    let mut streamed: Vec<Item> = streamed.into_iter().map(|(index, value)| Item::new(index, value)).collect();
    let mut whole: Vec<Item> = (0..).zip(whole).map(|(index, value)| Item::new(index, value)).collect();
    find(&mut streamed, &whole, |item| item.text("id"), |_, _| true);
    find(&mut streamed, &whole, |item| item.text("call_id"), |_, _| true);
    find(&mut streamed, &whole, |item| item.index.to_string(), |one, other| agree(&one.said, &other.said));
    find(&mut streamed, &whole, |item| item.said.clone(), |_, _| true);
    let begins = |one: &Item, other: &Item| is_beginning(&one.said, &other.said);
    find(&mut streamed, &whole, |item| item.text("type"), begins);
    let lacks_id = |one: &Item, other: &Item| one.text("id").is_empty() || other.text("id").is_empty();
    find(&mut streamed, &whole, |item| item.index.to_string(), lacks_id);
    let (mut output, mut next) = (Vec::new(), 0);
    for item in streamed {
        let Some(at) = item.same else {
            output.push(item.value);
            continue;
        };
        if let Some(same) = whole.get_mut(at).filter(|same| same.said.is_empty() && !item.said.is_empty()) {
            same.value = item.value;
        }
        // Items of the last event keep their order.
        for same in whole.iter_mut().take(at + 1).skip(next) {
            output.push(same.value.take());
        }
        next = next.max(at + 1);
    }
    output.extend(whole.into_iter().skip(next).map(|item| item.value));
    output
}

struct Item {
    index: u64,
    value: Value,
    /// The text, or the input of a call.
    said: String,
    /// The position of the same item in the last event.
    same: Option<usize>,
}

// === impl Item ===

impl Item {
    fn new(index: u64, value: Value) -> Self {
        let texts = |name: &str| -> String {
            let parts = value[name].as_array().into_iter().flatten();
            parts.filter_map(|part| part["text"].as_str().or_else(|| part["refusal"].as_str())).collect()
        };
        let said = match value["type"].as_str() {
            Some("function_call") => value["arguments"].as_str().unwrap_or_default().to_owned(),
            Some("custom_tool_call") => value["input"].as_str().unwrap_or_default().to_owned(),
            _ => texts("summary") + &texts("content"),
        };
        Self { index, value, said, same: None }
    }

    fn text(&self, name: &str) -> String {
        self.value[name].as_str().unwrap_or_default().to_owned()
    }

    /// Returns whether two items may be the same by their kinds and their calls.
    fn may_be(&self, other: &Self) -> bool {
        let (call, others) = (&self.value["call_id"], &other.value["call_id"]);
        let kind = |item: &Self| item.value["type"].as_str().map(str::to_owned);
        let has_kind = kind(self).is_none() || kind(self) == kind(other);
        has_kind && (!call.is_string() || !others.is_string() || call == others)
    }
}

/// Finds items of the last event that have the same key, which is not empty, and for which `is_same` holds.
fn find(streamed: &mut [Item], whole: &[Item], key: impl Fn(&Item) -> String, is_same: impl Fn(&Item, &Item) -> bool) {
    let taken: Vec<usize> = streamed.iter().filter_map(|item| item.same).collect();
    let mut is_free = vec![true; whole.len()];
    taken.into_iter().filter_map(|at| is_free.get_mut(at).map(|free| *free = false)).for_each(drop);
    let mut by_key: HashMap<String, VecDeque<usize>> = HashMap::new();
    for (at, (item, _)) in whole.iter().zip(is_free).enumerate().filter(|(_, (_, is_free))| *is_free) {
        by_key.entry(key(item)).or_default().push_back(at);
    }
    by_key.remove("");
    for item in streamed.iter_mut().filter(|item| item.same.is_none()) {
        let Some(candidates) = by_key.get_mut(&key(item)) else { continue };
        let may_be = |at: &usize| whole.get(*at).is_some_and(|other| item.may_be(other) && is_same(item, other));
        // Few of many items with the same key are tried, so that the time is linear.
        item.same = candidates.iter().take(16).position(may_be).and_then(|at| candidates.remove(at));
    }
}

/// Returns whether a text that was streamed may be the beginning of the whole one, whatever spaces surround them.
fn agree(streamed: &str, whole: &str) -> bool {
    let (streamed, whole) = (streamed.trim(), whole.trim());
    streamed.is_empty() || whole.is_empty() || whole.starts_with(streamed) || streamed.starts_with(whole)
}

/// Returns whether a text that was streamed is the whole one or its beginning.
fn is_beginning(streamed: &str, whole: &str) -> bool {
    whole == streamed || (!streamed.is_empty() && whole.starts_with(streamed))
}

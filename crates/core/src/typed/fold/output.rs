//! Puts the items of a response together from its events and its final output.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::items::{ResponseItems, SeenItem, kind_of_piece, with_announced};
use super::{append, object, take};

/// The members of an item that have its text, or the input of a call.
const TEXTS: [&str; 4] = ["content", "summary", "arguments", "input"];

/// The items that were streamed.
#[derive(Debug, Default)]
pub(super) struct Output {
    items: ResponseItems,
    /// The items by their numbers.
    values: Vec<Value>,
    /// The texts that parts were announced with, by item, member and position. Deltas may repeat them.
    announced: BTreeMap<(usize, &'static str, usize), String>,
}

// === impl Output ===

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds an event, whose type is given without `response.`. Returns whether it is one about an item or a piece.
    pub(super) fn add_event(&mut self, kind: &str, mut event: Value) -> bool {
        let place = event["output_index"].as_u64().and_then(|place| u32::try_from(place).ok());
        match kind {
            "output_item.added" => self.announce(place, object(take(&mut event, "item"))),
            "output_item.done" => self.end(place, object(take(&mut event, "item"))),
            kind => return self.add_piece(kind, place, &mut event),
        }
        true
    }

    fn announce(&mut self, place: Option<u32>, item: Value) {
        let number = self.items.of_announcement(&seen(place, &item), said_in(&self.values));
        if self.items.is_done(number) {
            return;
        }
        let at = self.value(number, &json!({}));
        let Some(value) = self.values.get_mut(at) else { return };
        let before = std::mem::replace(value, item);
        for name in TEXTS {
            if let Some(texts) = before.get(name).filter(|texts| !texts.is_null()) {
                value[name] = texts.clone();
                continue;
            }
            match value.get_mut(name) {
                Some(Value::String(text)) if name != "content" && !text.is_empty() => {
                    self.announced.insert((at, name, 0), std::mem::take(text));
                }
                Some(Value::Array(parts)) => {
                    for (part, value) in parts.iter_mut().enumerate() {
                        Self::announce_part(&mut self.announced, (at, name, part), value);
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes the text of a part that is announced with one.
    fn announce_part(
        announced: &mut BTreeMap<(usize, &'static str, usize), String>,
        key: (usize, &'static str, usize),
        part: &mut Value,
    ) {
        for field in ["text", "refusal"] {
            if let Some(Value::String(text)) = part.get_mut(field)
                && !text.is_empty()
            {
                announced.insert(key, std::mem::take(text));
            }
        }
    }

    /// Ends an item: the event has the last word, unless it leaves out the text.
    fn end(&mut self, place: Option<u32>, item: Value) {
        let seen = seen(place, &item);
        let number = self.items.of_end(&seen, said_in(&self.values));
        if self.items.is_done(number) {
            return;
        }
        let at = self.value(number, &json!({}));
        self.items.end(number);
        self.complete(at..=at);
        let Some(value) = self.values.get_mut(at) else { return };
        if seen.said.is_empty() && !said(value).is_empty() {
            let before = std::mem::replace(value, item);
            TEXTS.into_iter().filter_map(|name| Some((name, before.get(name)?.clone()))).for_each(|(name, texts)| {
                value[name] = texts;
            });
        } else {
            *value = item;
        }
    }

    fn add_piece(&mut self, kind: &str, place: Option<u32>, event: &mut Value) -> bool {
        let Some(item) = kind_of_piece(kind, event["part"]["type"].as_str().unwrap_or_default()) else { return false };
        let id = event["item_id"].as_str().unwrap_or_default().to_owned();
        let number = self.items.of_piece(SeenItem { place, id, kind: item.to_owned(), ..SeenItem::default() });
        if self.items.is_done(number) {
            return true;
        }
        let begun = match item {
            "message" => json!({"type": item, "id": event["item_id"], "role": "assistant"}),
            _ => json!({"type": item, "id": event["item_id"]}),
        };
        let at = self.value(number, &begun);
        let index = |name: &str| usize::try_from(event[name].as_u64().unwrap_or_default()).unwrap_or(usize::MAX);
        let (content, summary) = (index("content_index"), index("summary_index"));
        let Some(value) = self.values.get_mut(at) else { return true };
        let (list, part) =
            if kind.starts_with("reasoning_summary") { ("summary", summary) } else { ("content", content) };
        match kind {
            "content_part.added" | "reasoning_summary_part.added" => {
                let mut new = object(take(event, "part"));
                if let Some((part, element)) = element(value, list, part) {
                    Self::announce_part(&mut self.announced, (at, list, part), &mut new);
                    let said = ["text", "refusal"]
                        .into_iter()
                        .any(|field| element[field].as_str().is_some_and(|text| !text.is_empty()));
                    if !said {
                        *element = new;
                    }
                }
            }
            "content_part.done" | "reasoning_summary_part.done" => {
                let new = object(take(event, "part"));
                if let Some((part, element)) = element(value, list, part) {
                    self.announced.remove(&(at, list, part));
                    *element = new;
                }
            }
            _ if kind.ends_with(".delta") => {
                let delta = event["delta"].as_str().unwrap_or_default();
                let (field, kind) = match kind {
                    "function_call_arguments.delta" => return append_to(value, "arguments", delta),
                    "custom_tool_call_input.delta" => return append_to(value, "input", delta),
                    "refusal.delta" => ("refusal", "refusal"),
                    "reasoning_text.delta" => ("text", "reasoning_text"),
                    "reasoning_summary_text.delta" => ("text", "summary_text"),
                    _ => ("text", "output_text"),
                };
                if let Some((_, element)) = element(value, list, part) {
                    if element.get("type").is_none() {
                        element["type"] = json!(kind);
                    }
                    append(&mut element[field], delta);
                }
            }
            // The events that end a text repeat what is known.
            _ => {}
        }
        true
    }

    /// Returns the position of an item, which is `begun` if it is new.
    fn value(&mut self, number: u32, begun: &Value) -> usize {
        let at = number as usize;
        while self.values.len() <= at {
            self.values.push(begun.clone());
        }
        at
    }

    /// Puts the texts that parts were announced with in their places.
    fn complete(&mut self, items: RangeInclusive<usize>) {
        let (announced, others) =
            std::mem::take(&mut self.announced).into_iter().partition(|((at, ..), _)| items.contains(at));
        self.announced = others;
        let announced: BTreeMap<_, String> = announced;
        for ((at, list, part), announced) in announced {
            let Some(value) = self.values.get_mut(at).and_then(|value| value.get_mut(list)) else { continue };
            let text = match value {
                Value::Array(parts) => {
                    let Some(part) = parts.get_mut(part) else { continue };
                    let field = if part["type"] == "refusal" { "refusal" } else { "text" };
                    &mut part[field]
                }
                text => text,
            };
            *text = json!(with_announced(&announced, text.as_str().unwrap_or_default()));
        }
    }

    /// Returns the items of the response: those of its last event, and before them, after them or among them those that
    /// only were streamed. The last event has the last word about an item, unless it leaves out its text.
    pub(super) fn merged(mut self, whole: Value) -> Vec<Value> {
        self.complete(0..=usize::MAX);
        let mut order: Vec<u32> = (0..).take(self.values.len()).collect();
        if order.iter().all(|number| self.items.place(*number).is_some()) {
            order.sort_by_key(|number| self.items.place(*number));
        }
        let Value::Array(mut whole) = whole else {
            return order
                .into_iter()
                .filter_map(|number| self.values.get_mut(number as usize).map(Value::take))
                .collect();
        };
        let all: Vec<SeenItem> = (0..).zip(&whole).map(|(place, item)| seen(Some(place), item)).collect();
        let found = self.items.of_response(&all, said_in(&self.values));
        let same: BTreeMap<u32, usize> =
            found.iter().enumerate().filter_map(|(at, number)| Some(((*number)?, at))).collect();
        // Items whose texts the last event has in items of other lengths.
        let regrouped: HashSet<&str> =
            found.iter().zip(&all).filter(|(number, _)| number.is_none()).map(|(_, item)| item.kind.as_str()).collect();
        let (mut output, mut next) = (Vec::new(), 0);
        for number in order {
            let Some(streamed) = self.values.get_mut(number as usize) else { continue };
            let Some(at) = same.get(&number).copied() else {
                if !streamed["type"].as_str().is_some_and(|kind| regrouped.contains(kind)) {
                    output.push(streamed.take());
                }
                continue;
            };
            let is_left_out = all.get(at).is_some_and(|item| item.said.is_empty()) && !said(streamed).is_empty();
            if let Some(item) = whole.get_mut(at).filter(|_| is_left_out) {
                *item = streamed.take();
            }
            // Items of the last event keep their order.
            for item in whole.iter_mut().take(at + 1).skip(next) {
                output.push(item.take());
            }
            next = next.max(at + 1);
        }
        output.extend(whole.into_iter().skip(next));
        output
    }
}

/// Returns an element of a list of an item and its position. An index that leaves a gap means the end.
fn element<'v>(item: &'v mut Value, list: &str, at: usize) -> Option<(usize, &'v mut Value)> {
    if !item.is_object() {
        return None;
    }
    let list = &mut item[list];
    if !list.is_array() {
        *list = json!([]);
    }
    let Value::Array(list) = list else { return None };
    let at = at.min(list.len());
    if at == list.len() {
        list.push(json!({}));
    }
    list.get_mut(at).filter(|element| element.is_object()).map(|element| (at, element))
}

fn append_to(object: &mut Value, field: &str, delta: &str) -> bool {
    if object.is_object() {
        append(&mut object[field], delta);
    }
    true
}

fn said_in(values: &[Value]) -> impl Fn(u32) -> String {
    |number| values.get(number as usize).map(said).unwrap_or_default()
}

/// Returns the text of an item, or the input of a call.
fn said(item: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let texts = |name: &str| match &item[name] {
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str().or_else(|| part["refusal"].as_str())).collect()
        }
        Value::String(text) => text.clone(),
        _ => String::new(),
    };
    match item["type"].as_str() {
        Some("function_call") => text(&item["arguments"]),
        Some("custom_tool_call") => text(&item["input"]),
        _ => texts("summary") + &texts("content"),
    }
}

fn seen(place: Option<u32>, item: &Value) -> SeenItem {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let kind = match text("type") {
        kind if kind.is_empty() && item["content"].is_array() => "message".to_owned(),
        kind => kind,
    };
    SeenItem { place, id: text("id"), call_id: text("call_id"), kind, name: text("name"), said: said(item) }
}

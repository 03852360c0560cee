//! Items as events, answers and requests have them.
//!
//! Which of them are the same is told by the rule of [`ResponseItems`](signalbox_core::typed::ResponseItems).

use signalbox_core::typed::SeenItem;

use crate::field::{Fields, Raw};

/// A part of the content of a message.
pub(super) struct Part {
    pub(super) is_refusal: bool,
    pub(super) text: String,
    pub(super) has_annotations: bool,
}

/// Returns what tells an item apart. `place` is its index.
pub(super) fn seen(place: Option<u32>, item: &Fields<'_>) -> SeenItem {
    let text = |name: &str| item.string(name).unwrap_or_default();
    let kind = match text("type") {
        kind if kind.is_empty() && item.get("content").is_some() => "message".to_owned(),
        kind => kind,
    };
    let said = match kind.as_str() {
        "function_call" => item.get("arguments").map(input).unwrap_or_default(),
        "custom_tool_call" => item.get("input").map(input).unwrap_or_default(),
        "reasoning" => texts(item, "summary").concat() + &texts(item, "content").concat(),
        _ => parts(item).into_iter().map(|part| part.text).collect(),
    };
    SeenItem { place, id: text("id"), call_id: text("call_id"), kind, name: text("name"), said }
}

/// Returns whether a client sends an item again, perhaps without its id.
pub(super) fn is_again(seen: &SeenItem, stored: &SeenItem) -> bool {
    let has_id = seen.id == stored.id || seen.id.is_empty() && !seen.call_id.is_empty();
    has_id && seen.kind == stored.kind && seen.call_id == stored.call_id && seen.said == stored.said
}

/// Returns the content of a message, which some providers write as a string.
pub(super) fn parts(item: &Fields<'_>) -> Vec<Part> {
    if let Some(text) = item.string("content") {
        return vec![Part { is_refusal: false, text, has_annotations: false }];
    }
    let part = |part: Raw<'_>| {
        let Some(fields) = part.fields() else {
            return part.str().map(|text| Part { is_refusal: false, text: text.into_owned(), has_annotations: false });
        };
        let refusal = fields.string("refusal");
        let is_refusal = refusal.is_some();
        let text = refusal.or_else(|| fields.string("text")).unwrap_or_default();
        Some(Part { is_refusal, text, has_annotations: !fields.elements("annotations").is_empty() })
    };
    // A part that cannot be read keeps its place.
    let none = || Part { is_refusal: false, text: String::new(), has_annotations: false };
    item.elements("content").into_iter().map(|value| part(value).unwrap_or_else(none)).collect()
}

/// Returns the texts of a reasoning item: of its summary or of its content, which may be strings.
pub(super) fn texts(item: &Fields<'_>, name: &str) -> Vec<String> {
    if let Some(text) = item.string(name) {
        return vec![text];
    }
    let text = |part: Raw<'_>| part.str().map(Into::into).or_else(|| part.fields()?.string("text")).unwrap_or_default();
    item.elements(name).into_iter().map(text).collect()
}

/// Returns the input of a call as text. Some providers write the arguments as an object.
pub(super) fn input(value: Raw<'_>) -> String {
    value.str().map_or_else(|| value.as_str().to_owned(), Into::into)
}

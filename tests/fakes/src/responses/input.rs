//! The conversation of a request: stored items, and those of the request.

use serde_json::{Value, json};

use super::Store;
use crate::surface::Refusal;

/// Returns all items of the conversation. Items that are only referred to are replaced by the stored ones.
pub(super) fn resolve(body: &Value, store: &Store) -> Result<Vec<Value>, Refusal> {
    let mut items = match body["previous_response_id"].as_str() {
        None => Vec::new(),
        Some(id) => store.conversation(id).ok_or_else(|| {
            Refusal::bad(format!("Previous response with id '{id}' not found."))
                .of("previous_response_id", "previous_response_not_found")
        })?,
    };
    match &body["input"] {
        Value::String(text) => items.push(json!({"type": "message", "role": "user", "content": text})),
        Value::Array(given) => {
            for item in given {
                items.push(if item["type"] == "item_reference" { referred(item, store)? } else { item.clone() });
            }
        }
        _ => {}
    }
    Ok(items)
}

fn referred(item: &Value, store: &Store) -> Result<Value, Refusal> {
    let id = item["id"].as_str().unwrap_or_default();
    store.item(id).ok_or_else(|| Refusal {
        status: 404,
        message: format!(
            "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with `store` \
             set to true, or remove this item from your input."
        ),
        param: Some("input".into()),
        code: None,
    })
}

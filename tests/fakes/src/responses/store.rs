//! The responses that the provider stores.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

/// Maximum number of stored responses; the oldest are dropped.
const MAX_STORED: usize = 256;

/// The newest responses.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<VecDeque<Stored>>);

/// A response and the conversation before it.
#[derive(Clone, Debug)]
struct Stored {
    response: Value,
    input: Vec<Value>,
}

// === impl Store ===

impl Store {
    pub(super) fn put(&self, response: Value, input: Vec<Value>) {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stored.push_back(Stored { response, input });
        while stored.len() > MAX_STORED {
            stored.pop_front();
        }
    }

    /// Returns a stored response.
    pub(crate) fn response(&self, id: &str) -> Option<Value> {
        self.find(id).map(|stored| stored.response)
    }

    /// Deletes a stored response and returns whether it existed.
    pub(crate) fn delete(&self, id: &str) -> bool {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = stored.len();
        stored.retain(|stored| stored.response["id"] != id);
        stored.len() < before
    }

    /// Returns all items of a conversation that ends with a stored response.
    pub(super) fn conversation(&self, id: &str) -> Option<Vec<Value>> {
        let Stored { response, mut input } = self.find(id)?;
        input.extend(response["output"].as_array().into_iter().flatten().cloned());
        Some(input)
    }

    /// Returns the output item with this id.
    pub(super) fn item(&self, id: &str) -> Option<Value> {
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut items = stored.iter().rev().flat_map(|stored| stored.response["output"].as_array()).flatten();
        items.find(|item| item["id"] == id).cloned()
    }

    fn find(&self, id: &str) -> Option<Stored> {
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stored.iter().rev().find(|stored| stored.response["id"] == id).cloned()
    }
}

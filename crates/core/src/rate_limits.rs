//! Reads and validates limits of the rate.

use serde_json::{Map, Value};

use crate::fields::Fields;
use crate::mistake::Mistake;
use crate::schema::{KeyLimits, LimitQueue};

/// Maximum requests per minute, and requests in flight.
pub const MAX_REQUESTS: u64 = 1_000_000_000;

/// Maximum tokens per minute.
pub const MAX_TOKENS: u64 = 1_000_000_000_000;

/// Maximum number of requests that wait for one limit. Each end of a request wakes all of them.
pub const MAX_WAITING: u64 = 1_000;

/// Maximum milliseconds for which a request waits: ten minutes.
pub const MAX_QUEUE_MS: u64 = 600_000;

/// Words of [`crate::schema::Priority`].
pub const PRIORITIES: [&str; 3] = ["high", "normal", "low"];

/// Reads limits with a queue.
pub(crate) fn read(mut fields: Fields<'_>) -> KeyLimits {
    let limits = rates(&mut fields);
    let queue = fields.nested("queue").and_then(queue);
    if queue.is_some() && limits.is_empty() {
        fields.mistake("queue", "needs a limit to wait for: rpm, tpm or concurrency");
    }
    fields.finish();
    KeyLimits { queue, ..limits }
}

/// Checks the limits of a provider, which have no queue: its requests go to other targets instead of waiting. Returns
/// them without the fields that are not set.
///
/// # Errors
/// Returns every mistake.
pub fn of_provider(path: String, given: Map<String, Value>) -> Result<Value, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut fields = Fields::new(path, given, &mut mistakes);
    let limits = rates(&mut fields);
    fields.finish();
    if mistakes.is_empty() { Ok(serde_json::to_value(limits).unwrap_or_default()) } else { Err(mistakes) }
}

fn rates(fields: &mut Fields<'_>) -> KeyLimits {
    let requests = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
    KeyLimits {
        rpm: requests(fields.integer("rpm", 1..=MAX_REQUESTS)),
        tpm: fields.integer("tpm", 1..=MAX_TOKENS),
        concurrency: requests(fields.integer("concurrency", 1..=MAX_REQUESTS)),
        queue: None,
    }
}

fn queue(mut fields: Fields<'_>) -> Option<LimitQueue> {
    let max_waiting = fields.required_integer("max_waiting", 1..=MAX_WAITING);
    let timeout_ms = fields.required_integer("timeout_ms", 1..=MAX_QUEUE_MS);
    fields.finish();
    Some(LimitQueue { max_waiting: u32::try_from(max_waiting?).ok()?, timeout_ms: timeout_ms? })
}

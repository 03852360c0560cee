//! Wall-clock time, for what people and chat.qwen.ai read. Everything that is measured uses tokio's monotonic clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds.
#[must_use]
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A span in milliseconds.
#[must_use]
pub(crate) fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

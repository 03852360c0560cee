//! `audit:new`: entries of the audit log, for subscribers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_core::schema::AuditEntry;
use signalbox_store::Page;
use signalbox_store::audit::{self, Filter};
use tokio::time::Instant;

use super::payload;
use super::room::Topic;
use crate::app::App;

/// The events.
pub(super) const AUDIT: Topic = Topic {
    subscribe: "audit:subscribe",
    unsubscribe: "audit:unsubscribe",
    event: "audit:new",
    error: "audit:error",
    path: "/api/audit",
    period: Duration::from_secs(1),
};

/// Maximum entries named in one event; its `count` has all.
const MAX_NAMED: i64 = 50;
/// Time after which the last look is forgotten, because there were no subscribers.
const MAX_GAP: Duration = Duration::from_secs(5);

/// The last look at the log.
#[derive(Debug, Default)]
pub(super) struct AuditWatch(Mutex<Option<Look>>);

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    /// The newest entry, and its time.
    newest: i64,
    time: i64,
}

// === impl AuditWatch ===

impl AuditWatch {
    /// Returns an event if there are entries since the last look.
    pub(super) async fn news(&self, app: App) -> Option<Value> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.filter(|last| last.at.elapsed() <= MAX_GAP);
        let filter = Filter { since: last.map(|last| last.time), ..Filter::default() };
        let limit = if last.is_some() { MAX_NAMED } else { 1 };
        let entries = match audit::list(&app.store, &filter, Page { limit, offset: 0 }).await {
            Ok(list) => list.items,
            Err(error) => {
                tracing::debug!(%error, "cannot watch the audit log");
                return None;
            }
        };
        let newest = entries.first().map_or((0, 0), |entry| (entry.id, entry.at));
        let known = last.map_or(newest, |last| (last.newest, last.time).max(newest));
        let look = Look { at: Instant::now(), newest: known.0, time: known.1 };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
        let last = last?;
        let new: Vec<AuditEntry> = entries.into_iter().filter(|entry| entry.id > last.newest).collect();
        let count = look.newest.saturating_sub(last.newest);
        (!new.is_empty()).then(|| json!({ "count": count, "entries": new, "timestamp": payload::timestamp() }))
    }
}

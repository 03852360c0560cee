//! Keeps the ledger and the sums in the database in agreement.

use std::sync::Arc;

use signalbox_store::{Store, exchanges::Exchange, usage};
use tokio::time::{Duration, Instant, timeout};

use crate::{clock::unix_ms, ledger::Ledger, metrics::Metrics};

/// Pause between two readings of the sums, which show what other processes have spent. It is at least
/// [`RECONCILE_PAUSE_FACTOR`] times as long as the last reading took.
const RECONCILE_PAUSE: Duration = Duration::from_secs(15);
const RECONCILE_PAUSE_FACTOR: u32 = 100;
/// Pause after a reading that failed; at least [`RETRY_FACTOR`] times as long as it took, because nothing is loaded
/// meanwhile.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_FACTOR: u32 = 10;
/// Timeout of a reading.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(30);

/// The ledger, as the loader serves it.
pub(super) struct Spending {
    ledger: Arc<Ledger>,
    /// Whether the rows that are written are of requests of this process.
    pub(super) is_own: bool,
    due: Option<Instant>,
    /// Whether the last reading failed.
    has_failed: bool,
}

// === impl Spending ===

impl Spending {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, is_own: false, due: None, has_failed: false }
    }

    /// Tells the ledger and the metrics which requests have been written.
    pub(super) fn note_loaded(&self, rows: &[Exchange], metrics: &Metrics) {
        for row in rows {
            let Some(ended) = &row.ended else { continue };
            let key = row.begun.key_id.as_deref();
            let nanos = ended.cost.as_ref().and_then(|cost| cost.nanos).unwrap_or_default();
            // Copies for mirrors reserve nothing: they count like what other processes have spent.
            let is_copy = ended.plan.as_deref().is_some_and(|plan| plan.contains("\"mirror_of\":\""));
            if self.is_own && !is_copy {
                self.ledger.note_loaded(key, row.begun.received_at, nanos);
            }
            if let Some(key) = key {
                metrics.of_key(self.ledger.name_of(key).as_deref().unwrap_or(key), nanos);
            }
        }
    }

    /// Reads the sums, if a budget needs them now. No row is written meanwhile, because the caller is the only writer of
    /// this process.
    pub(super) async fn reconcile_if_due(&mut self, store: &Store) {
        let is_stale = self.ledger.take_stale();
        if !self.ledger.has_budgets() {
            return;
        }
        let now = Instant::now();
        if !is_stale && self.due.is_some_and(|due| now < due) {
            return;
        }
        let now_ms = unix_ms();
        let pause = match timeout(RECONCILE_TIMEOUT, usage::spent_since(store, Ledger::period_starts(now_ms))).await {
            Ok(Ok(sums)) => {
                self.ledger.reconcile(now_ms, &sums);
                RECONCILE_PAUSE.max(now.elapsed() * RECONCILE_PAUSE_FACTOR)
            }
            failed => {
                let error = failed.map_or_else(
                    |_| format!("no answer within {} s", RECONCILE_TIMEOUT.as_secs()),
                    |read| read.err().map(|error| error.to_string()).unwrap_or_default(),
                );
                if !std::mem::replace(&mut self.has_failed, true) {
                    tracing::warn!(%error, "the sums of costs cannot be read, budgets go on with the last ones");
                }
                self.due = Some(Instant::now() + RETRY.max(now.elapsed() * RETRY_FACTOR));
                return;
            }
        };
        self.has_failed = false;
        self.due = Some(Instant::now() + pause);
    }
}

//! The audit log: records requests that changed no table, and deletes old entries.
//!
//! The changes themselves are recorded by the database, in the transaction that makes them. The other requests are
//! recorded by a separate task, so that commands to the children do not wait for the database.

use std::time::Duration;

use http::StatusCode;
use signalbox_store::Store;
use signalbox_store::audit::{self, Actor};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Maximum notes queued for a slow database.
const QUEUE: usize = 1024;
/// Interval between deletions of old entries.
const EVERY: Duration = Duration::from_secs(3600);
/// Maximum entries deleted by one statement, so that other writers can proceed in between.
const BATCH: i64 = 500;

/// Handle that queues notes. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Auditor(mpsc::Sender<Note>);

/// Task that writes queued notes to the database.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    notes: mpsc::Receiver<Note>,
    /// Retention of entries; zero: for ever.
    keep: Duration,
}

#[derive(Debug)]
struct Note {
    actor: Actor,
    status: StatusCode,
    at_ms: i64,
}

/// Creates an auditor, and the writer that has to be [run](Writer::run) for it.
#[must_use]
pub fn open(store: Store, keep: Duration) -> (Auditor, Writer) {
    let (sender, notes) = mpsc::channel(QUEUE);
    (Auditor(sender), Writer { store, notes, keep })
}

// === impl Auditor ===

impl Auditor {
    /// Queues the outcome of a request.
    pub(crate) fn note(&self, actor: Actor, status: StatusCode) {
        let note = Note { actor, status, at_ms: now_ms() };
        if let Err(error) = self.0.try_send(note) {
            tracing::warn!(%error, "a request is missing in the audit log; its table changes are recorded");
        }
    }
}

// === impl Writer ===

impl Writer {
    /// Writes notes until `closing`, then the remaining ones.
    pub async fn run(mut self, closing: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                note = self.notes.recv() => match note {
                    Some(note) => self.write(&note).await,
                    None => return,
                },
                _ = ticks.tick() => self.forget().await,
                () = closing.cancelled() => break,
            }
        }
        while let Ok(note) = self.notes.try_recv() {
            self.write(&note).await;
        }
    }

    async fn write(&self, note: &Note) {
        if let Err(error) = audit::note(&self.store, &note.actor, note.status.as_u16(), note.at_ms).await {
            tracing::warn!(%error, "a request is missing in the audit log; its table changes are recorded");
        }
    }

    async fn forget(&self) {
        let Ok(keep) = i64::try_from(self.keep.as_millis()) else { return };
        if keep == 0 {
            return;
        }
        loop {
            match audit::delete_before(&self.store, now_ms().saturating_sub(keep), BATCH).await {
                Ok(deleted) if deleted < BATCH.unsigned_abs() => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot delete old entries of the audit log, trying again in an hour");
                    return;
                }
            }
        }
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

//! The audit log: who asked for a change is known to whoever writes it down, what came of a request that changed no table is
//! noted, and what is old is forgotten.
//!
//! The changes themselves are written down by the database, in the transaction that makes them. Noting the rest is the
//! work of a task: commands to the children do not wait for the tables.

use std::time::Duration;

use http::StatusCode;
use signalbox_store::Store;
use signalbox_store::audit::{self, Actor};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How many notes may wait for a database that is slow.
const QUEUE: usize = 1024;
/// How often what is old is looked for.
const EVERY: Duration = Duration::from_secs(3600);
/// How many entries one statement deletes, so that other writers get their turn in between.
const BATCH: i64 = 500;

/// Takes notes. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Auditor(mpsc::Sender<Note>);

/// What writes them down.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    notes: mpsc::Receiver<Note>,
    /// How long entries are kept; zero: for ever.
    keep: Duration,
}

#[derive(Debug)]
struct Note {
    actor: Actor,
    status: StatusCode,
    at_ms: i64,
}

/// An auditor, and what has to be [run](Writer::run) for it.
#[must_use]
pub fn open(store: Store, keep: Duration) -> (Auditor, Writer) {
    let (sender, notes) = mpsc::channel(QUEUE);
    (Auditor(sender), Writer { store, notes, keep })
}

// === impl Auditor ===

impl Auditor {
    /// Notes what came of a request.
    pub(crate) fn note(&self, actor: Actor, status: StatusCode) {
        let note = Note { actor, status, at_ms: now_ms() };
        if let Err(error) = self.0.try_send(note) {
            tracing::warn!(%error, "a request is missing in the audit log; changes of tables are not");
        }
    }
}

// === impl Writer ===

impl Writer {
    /// Writes until `closing`, and then what is left.
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
            tracing::warn!(%error, "a request is missing in the audit log; changes of tables are not");
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
                    tracing::warn!(%error, "old entries of the audit log cannot be deleted; the next hour tries again");
                    return;
                }
            }
        }
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

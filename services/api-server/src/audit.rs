//! The audit log: records requests that changed no table, and deletes old entries.
//!
//! The changes themselves are recorded by the database, in the transaction that makes them. The other requests are
//! recorded by a separate task, so that commands to the children do not wait for the database.

use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use signalbox_daemon::WallClock;
use signalbox_daemon::clock::unix_ms;
use signalbox_store::audit::{self, Actor, Filter};
use signalbox_store::{Page, Store};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Maximum notes queued for a slow database.
const QUEUE_CAPACITY: usize = 1024;
/// Interval between deletions of old entries.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3600);
/// Maximum entries deleted by one statement, so that other writers can proceed in between.
const DELETE_BATCH: i64 = 500;
/// Name of the file that stores the last trusted time.
const CLOCK: &str = "audit.clock";

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
    /// Nothing is deleted while it is not trusted.
    clock: WallClock,
    /// Wall time at the start, in Unix milliseconds.
    started_ms: i64,
}

#[derive(Debug)]
struct Note {
    actor: Actor,
    status: StatusCode,
    at_ms: i64,
}

/// Creates an auditor, and the writer that has to be [run](Writer::run) for it. `data_dir` is the directory of the file
/// that stores the last trusted time.
#[must_use]
pub fn open(store: Store, keep: Duration, data_dir: &Path) -> (Auditor, Writer) {
    let (sender, notes) = mpsc::channel(QUEUE_CAPACITY);
    let clock = WallClock::new(Some(data_dir.join(CLOCK)));
    (Auditor(sender), Writer { store, notes, keep, clock, started_ms: unix_ms() })
}

// === impl Auditor ===

impl Auditor {
    /// Queues the outcome of a request.
    pub(crate) fn note(&self, actor: Actor, status: StatusCode) {
        let note = Note { actor, status, at_ms: unix_ms() };
        if let Err(error) = self.0.try_send(note) {
            tracing::warn!(%error, "a request is missing in the audit log; its table changes are recorded");
        }
    }
}

// === impl Writer ===

impl Writer {
    /// Writes notes until `closing`, then the remaining ones.
    pub async fn run(mut self, closing: CancellationToken) {
        let mut ticks = interval(CLEANUP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                note = self.notes.recv() => match note {
                    Some(note) => self.write(&note).await,
                    None => return,
                },
                _ = ticks.tick() => self.delete_old(unix_ms()).await,
                () = closing.cancelled() => break,
            }
        }
        while let Ok(note) = self.notes.try_recv() {
            self.write(&note).await;
        }
    }

    async fn write(&self, note: &Note) {
        if let Err(error) = audit::log_request(&self.store, &note.actor, note.status.as_u16(), note.at_ms).await {
            tracing::warn!(%error, "a request is missing in the audit log; its table changes are recorded");
        }
    }

    /// Deletes the entries that are too old at the wall time `now_ms`.
    async fn delete_old(&mut self, now_ms: i64) {
        let Ok(keep) = i64::try_from(self.keep.as_millis()) else { return };
        if keep == 0 || !self.believes(now_ms).await {
            return;
        }
        loop {
            match audit::delete_before(&self.store, now_ms.saturating_sub(keep), DELETE_BATCH).await {
                Ok(deleted) if deleted < DELETE_BATCH.unsigned_abs() => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot delete old entries of the audit log, trying again in an hour");
                    return;
                }
            }
        }
    }

    /// Returns whether the wall clock is trusted.
    async fn believes(&mut self, now_ms: i64) -> bool {
        // The entries of this run have the time of the clock that is to be checked.
        let newest = if self.clock.needs_newest() { newest(&self.store, self.started_ms).await } else { Ok(None) };
        let Ok(newest) = newest else { return false };
        self.clock.is_trusted(now_ms, newest, "the audit log")
    }
}

/// Returns the time of the newest entry before `until_ms`.
async fn newest(store: &Store, until_ms: i64) -> Result<Option<i64>, signalbox_store::Error> {
    let filter = Filter { until: Some(until_ms), ..Filter::default() };
    let listed = audit::list(store, &filter, Page { limit: 1, offset: 0 }).await?;
    Ok(listed.items.first().map(|entry| entry.at))
}

#[cfg(test)]
mod tests {
    use signalbox_store::audit::RequestLine;

    use super::*;

    const DAY: i64 = 24 * 3600 * 1000;

    async fn entries(store: &Store) -> u64 {
        audit::list(store, &Filter::default(), Page { limit: 1, offset: 0 }).await.unwrap().total.try_into().unwrap()
    }

    #[tokio::test]
    async fn a_clock_that_is_ahead_deletes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite::memory:").await.unwrap();
        let line = RequestLine { id: "x".to_owned(), method: "POST".to_owned(), path: "/".to_owned() };
        let actor = Actor { name: "cli:x".to_owned(), request: Some(line) };
        audit::log_request(&store, &actor, 200, unix_ms()).await.unwrap();
        let before = entries(&store).await;
        let keep = Duration::from_secs(365 * 24 * 3600);
        let writer = |started_ms: i64| {
            let (_, writer) = open(store.clone(), keep, directory.path());
            Writer { started_ms, ..writer }
        };
        // With and without a stored time, at the start and while it runs.
        for stored in [false, true] {
            let ahead = unix_ms() + 400 * DAY;
            writer(ahead).delete_old(ahead).await;
            assert_eq!(entries(&store).await, before, "{stored}");
            let mut running = writer(unix_ms() + 1);
            running.delete_old(unix_ms() + 1).await;
            running.delete_old(ahead).await;
            assert_eq!(entries(&store).await, before, "{stored}");
        }
        assert!(directory.path().join(CLOCK).exists());
        // A clock that is trusted deletes.
        std::fs::write(directory.path().join(CLOCK), (unix_ms() + 399 * DAY).to_string()).unwrap();
        let mut later = writer(unix_ms() + 400 * DAY);
        later.delete_old(unix_ms() + 400 * DAY).await;
        assert_eq!(entries(&store).await, 0);
    }
}

//! Loader thread: moves exchanges from the journal into the database.

mod abandoned;
mod prompt_cache;
mod spending;
mod status;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    thread::JoinHandle,
};

use signalbox_store::{Class, Store, exchanges};
use tokio::{
    runtime::Handle,
    time::{Duration, Instant},
};
use uuid::Uuid;

use super::{
    LoaderMessage, Status,
    assembler::{Assembler, MAX_BATCH},
    pool::Pool,
    record::End,
    recovery::{self, Survey},
    retention::{Retention, RetentionConfig},
};
use prompt_cache::PromptCaches;
use spending::Spending;
pub use status::LoaderStatus;

use crate::{ledger::Ledger, metrics::Metrics, prices::Prices};

/// Interval at which the segments are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Timeout of one transaction.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum unread bytes of the journal with which the loader still yields to requests.
const NEAR_BYTES: u64 = 16 << 20;
/// Maximum time for which a transaction yields to requests. Without a limit it would starve on a machine with other
/// load.
const YIELD_TIME: Duration = Duration::from_millis(250);
/// Time without requests after which the recent request bodies and the extra free segments are released.
const DEDUP_IDLE: Duration = Duration::from_secs(300);
/// Maximum number of refused requests remembered by id.
const MAX_TRACKED_REFUSED: usize = 10_000;
/// Pause between attempts while the database is unavailable.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Pause between surveys of left-behind and set-aside files. It doubles from this value …
const SURVEY_INTERVAL: Duration = Duration::from_secs(10);
/// … to this one.
const MAX_SURVEY_INTERVAL: Duration = Duration::from_secs(600);

/// The loader before its thread is spawned.
#[derive(Debug)]
pub struct Loader {
    dir: PathBuf,
    from_writers: Receiver<LoaderMessage>,
    status: Arc<Status>,
    /// Takes exhausted segments for reuse.
    pool: Arc<Pool>,
}

/// Handle to the running loader.
#[derive(Debug)]
pub struct Running {
    thread: JoinHandle<()>,
    give_up: Arc<AtomicBool>,
}

struct Work {
    loader: Loader,
    store: Store,
    metrics: Arc<Metrics>,
    runtime: Handle,
    give_up: Arc<AtomicBool>,
    /// Whether all writers have been dropped.
    writers_gone: bool,
    assembler: Assembler,
    /// Ends that could not be written to the journal. They are handled after the records of their requests have been
    /// read.
    lost: Vec<(Uuid, Box<End>)>,
    /// Time at which there was last something to write.
    busy: Instant,
    retention: Retention,
    survey: Survey,
    surveyed: Instant,
    /// Time until the next survey.
    pause: Duration,
    /// Ids of requests that the database refuses, so that each is counted once, however often it is retried.
    refused: HashSet<String>,
    spending: Spending,
    prompt_caches: PromptCaches,
}

/// The database is unavailable, and the loader has been told to stop waiting for it.
struct GaveUp;

// === impl Loader ===

impl Loader {
    pub(super) fn new(dir: &Path, from_writers: Receiver<LoaderMessage>, status: Arc<Status>, pool: Arc<Pool>) -> Self {
        Self { dir: dir.to_owned(), from_writers, status, pool }
    }

    /// Spawns the thread. It exits once every [`super::Journal`] and [`super::Entry`] is dropped and everything is
    /// loaded.
    ///
    /// # Errors
    /// Fails if the thread cannot be spawned.
    pub fn spawn(
        self,
        store: Store,
        keep: RetentionConfig,
        metrics: Arc<Metrics>,
        prices: Prices,
        ledger: Arc<Ledger>,
        runtime: Handle,
    ) -> std::io::Result<Running> {
        let give_up = Arc::new(AtomicBool::new(false));
        let retention = Retention::new(keep, self.dir.parent());
        let work = Work {
            loader: self,
            store,
            metrics,
            runtime,
            give_up: Arc::clone(&give_up),
            writers_gone: false,
            assembler: Assembler::new(prices),
            lost: Vec::new(),
            busy: Instant::now(),
            retention,
            survey: Survey::default(),
            surveyed: Instant::now(),
            pause: SURVEY_INTERVAL,
            refused: HashSet::new(),
            spending: Spending::new(ledger),
            prompt_caches: PromptCaches::default(),
        };
        let thread = std::thread::Builder::new().name("journal-loader".into()).spawn(move || work.run())?;
        Ok(Running { thread, give_up })
    }
}

impl Running {
    /// Waits until everything is loaded, at most `timeout_left`; the rest stays on disk for the next start. Every
    /// journal and entry must have been dropped before, because the thread is joined.
    pub async fn finish(self, timeout_left: Duration) {
        let Self { thread, give_up } = self;
        let deadline = Instant::now() + timeout_left;
        while !thread.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        give_up.store(true, Ordering::Relaxed);
        if tokio::task::spawn_blocking(|| thread.join()).await.is_err() {
            tracing::error!("cannot wait for the journal loader");
        }
    }
}

// === impl Work ===

impl Work {
    fn run(mut self) {
        if self.load_abandoned().is_err() {
            return;
        }
        self.surveyed = Instant::now();
        self.spending.is_own = true;
        loop {
            self.runtime.block_on(self.spending.reconcile_if_due(&self.store));
            self.receive();
            self.loader.pool.used.rescue(&self.loader.pool);
            let mut since = Instant::now();
            loop {
                self.assembler.yields = self.is_caught_up();
                let done = self.assembler.read();
                if done {
                    for (id, end) in self.lost.drain(..) {
                        self.assembler.lost(id, *end);
                    }
                }
                self.assembler.show_pending(Instant::now());
                // Large transactions cost much less per row, so collect rows for up to `POLL_INTERVAL`.
                if !done && !self.assembler.is_full() && since.elapsed() < POLL_INTERVAL {
                    continue;
                }
                if self.commit().is_err() {
                    return;
                }
                self.retire();
                if done {
                    break;
                }
                since = Instant::now();
            }
            let Self { runtime, retention, store, .. } = &mut self;
            runtime.block_on(retention.step(store));
            if self.surveyed.elapsed() >= self.pause {
                let pause = self.pause;
                self.spending.is_own = false;
                if self.load_abandoned().is_err() {
                    return;
                }
                self.spending.is_own = true;
                self.pause = (pause * 2).min(MAX_SURVEY_INTERVAL);
                self.surveyed = Instant::now();
            }
            if self.writers_gone {
                // No writer is left to end the open requests: their handlers died without writing an end.
                while !self.assembler.interrupt() {
                    if self.commit().is_err() {
                        return;
                    }
                }
                if self.commit().is_ok() {
                    self.retire();
                    self.loader.pool.clear();
                    recovery::remove(&self.loader.dir);
                }
                return;
            }
        }
    }

    /// Waits up to [`POLL_INTERVAL`] for a message, then takes in all messages that have arrived.
    fn receive(&mut self) {
        let mut message = self.loader.from_writers.recv_timeout(POLL_INTERVAL).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
        });
        loop {
            match message {
                Ok(LoaderMessage::Opened(segment)) => self.assembler.add(segment),
                Ok(LoaderMessage::Lost(id, end)) => {
                    self.status().lost.fetch_sub(1, Ordering::Relaxed);
                    self.lost.push((id, end));
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.writers_gone = true;
                    break;
                }
            }
            message = self.loader.from_writers.try_recv();
        }
    }

    /// Writes the batch, waiting for the database as long as necessary.
    fn commit(&mut self) -> Result<(), GaveUp> {
        let rows: Vec<exchanges::Exchange> = self.assembler.take_rows();
        if rows.is_empty() {
            if self.busy.elapsed() >= DEDUP_IDLE {
                self.assembler.clear_dedup_cache();
                self.loader.pool.trim();
            }
            return Ok(());
        }
        self.busy = Instant::now();
        let mut refused = Vec::new();
        for (n, chunk) in rows.chunks(MAX_BATCH).enumerate() {
            // A single row must not keep the others out of the database.
            if self.write(chunk)?.is_err() {
                for (m, row) in chunk.iter().enumerate() {
                    if !self.write_one(row)? {
                        refused.push(n * MAX_BATCH + m);
                    }
                }
            }
        }
        self.assembler.mark_written(&refused);
        Ok(())
    }

    /// Writes a single row. Returns false if the database refuses this row but accepts others; its segments are then
    /// set aside. If the database accepts no row at all, waits and retries.
    fn write_one(&mut self, row: &exchanges::Exchange) -> Result<bool, GaveUp> {
        loop {
            let error = match self.write(std::slice::from_ref(row))? {
                Ok(()) => {
                    self.refused.remove(&row.begun.request_id);
                    self.note_refused();
                    return Ok(true);
                }
                Err(error) => error,
            };
            let takes_others = error.class() == Class::Row
                || self.runtime.block_on(async {
                    matches!(tokio::time::timeout(COMMIT_TIMEOUT, exchanges::probe(&self.store)).await, Ok(Ok(())))
                });
            if takes_others {
                if self.refused.len() < MAX_TRACKED_REFUSED && self.refused.insert(row.begun.request_id.clone()) {
                    let id = &row.begun.request_id;
                    tracing::error!(%id, %error, "database rejected a request, it stays in the journal and is retried");
                    self.note_refused();
                }
                return Ok(false);
            }
            self.note_database(Some(&error.to_string()));
            self.wait()?;
        }
    }

    fn note_refused(&self) {
        self.status().loader.refused.store(self.refused.len() as u64, Ordering::Relaxed);
    }

    /// Writes the rows in one transaction. The inner error means that the database refused them. Waits while the
    /// database is unavailable.
    fn write(&mut self, rows: &[exchanges::Exchange]) -> Result<Result<(), signalbox_store::Error>, GaveUp> {
        loop {
            if self.is_caught_up() {
                self.store.yield_for(YIELD_TIME);
            }
            let result = self
                .runtime
                .block_on(async { tokio::time::timeout(COMMIT_TIMEOUT, exchanges::record(&self.store, rows)).await });
            let away = match result {
                Ok(Ok(())) => {
                    self.note_database(None);
                    self.count(rows);
                    return Ok(Ok(()));
                }
                Ok(Err(error)) if !error.is_transient() => return Ok(Err(error)),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", COMMIT_TIMEOUT.as_secs()),
            };
            self.note_database(Some(&away));
            self.wait()?;
        }
    }

    /// Waits [`RETRY_INTERVAL`] for the database, unless the loader has been told to stop.
    fn wait(&self) -> Result<(), GaveUp> {
        self.loader.pool.used.rescue(&self.loader.pool);
        if self.give_up.load(Ordering::Relaxed) {
            return Err(GaveUp);
        }
        self.runtime.block_on(async { tokio::time::sleep(RETRY_INTERVAL).await });
        Ok(())
    }

    fn count(&mut self, rows: &[exchanges::Exchange]) {
        self.spending.note_loaded(rows, &self.metrics);
        rows.iter().for_each(|row| self.prompt_caches.note(row, &self.metrics));
        for ended in rows.iter().filter_map(|row| row.ended.as_ref()) {
            self.status().loader.loaded.fetch_add(1, Ordering::Relaxed);
            if let (Some(provider), Some(usage)) = (&ended.provider_id, &ended.usage) {
                self.metrics.tokens(provider, usage);
            }
            if let (Some(provider), Some(cost)) = (&ended.provider_id, &ended.cost) {
                self.metrics.cost(provider, cost.nanos);
            }
        }
    }

    fn note_database(&self, away: Option<&str>) {
        let was_ok = self.status().loader.database_ok.swap(away.is_none(), Ordering::Relaxed);
        match away {
            Some(error) if was_ok => {
                tracing::warn!(error, "database is unavailable, the request log stays in the journal")
            }
            None if !was_ok => tracing::info!("database is available again, loading the journal"),
            _ => {}
        }
    }

    /// Returns whether the loader is close enough behind the writers to yield to requests. If it always yielded, it
    /// would never catch up after a burst.
    fn is_caught_up(&self) -> bool {
        // The backlog counts segments as a whole until they are released, and each writer holds one.
        self.status().backlog.load(Ordering::Relaxed).saturating_sub(self.assembler.passed()) <= NEAR_BYTES
    }

    fn retire(&mut self) {
        let before = self.assembler.set_aside();
        let freed = self.assembler.retire(&self.loader.pool);
        self.status().backlog.fetch_sub(freed, Ordering::Relaxed);
        let set_aside = self.assembler.set_aside() - before;
        if set_aside > 0 {
            self.status().loader.set_aside.fetch_add(set_aside, Ordering::Relaxed);
            self.pause = self.pause.min(SURVEY_INTERVAL);
        }
    }

    fn status(&self) -> &Status {
        &self.loader.status
    }
}

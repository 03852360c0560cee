//! The thread that moves exchanges from the journal into the database.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    thread::JoinHandle,
};

use signalbox_store::{Store, exchanges};
use tokio::{
    runtime::Handle,
    time::{Duration, Instant},
};
use uuid::Uuid;

use super::{
    Status, ToLoader,
    intake::{Intake, MAX_BATCH},
    pool::Pool,
    record::End,
    recovery,
    retention::{Retention, RetentionConfig},
};
use crate::metrics::Metrics;

/// How often the segments are looked at.
const POLL: Duration = Duration::from_millis(100);
/// How long one transaction may take.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);
/// So much of the journal may be unread while requests go first.
const NEAR: u64 = 16 << 20;
/// For so long of a transaction, requests go first. On a machine that is busy with other things it would take ages otherwise.
const COURTESY: Duration = Duration::from_millis(250);
/// Without requests for this long, what they might repeat is forgotten.
const REST_AFTER: Duration = Duration::from_secs(300);
/// Between attempts while the database is away.
const RETRY: Duration = Duration::from_millis(500);

/// How the loader is doing.
#[derive(Debug)]
pub struct LoaderStatus {
    database_ok: AtomicBool,
    loaded: AtomicU64,
    refused: AtomicU64,
}

/// The loader before it runs.
#[derive(Debug)]
pub struct Loader {
    dir: PathBuf,
    from_writers: Receiver<ToLoader>,
    status: Arc<Status>,
    /// Where segments go that have given everything.
    pool: Arc<Pool>,
}

/// The loader while it runs.
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
    /// All writers are gone.
    writers_gone: bool,
    intake: Intake,
    /// Ends that are not in the journal. What these requests do have in it comes first.
    lost: Vec<(Uuid, Box<End>)>,
    /// When there was last something to write.
    busy: Instant,
    retention: Retention,
}

/// The database is away and the loader has been told not to wait for it.
struct GaveUp;

// === impl LoaderStatus ===

impl Default for LoaderStatus {
    fn default() -> Self {
        Self { database_ok: AtomicBool::new(true), loaded: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }
}

impl LoaderStatus {
    /// Whether the last transaction went through.
    #[must_use]
    pub fn database_ok(&self) -> bool {
        self.database_ok.load(Ordering::Relaxed)
    }

    /// How many exchanges this process has put into the database.
    #[must_use]
    pub fn loaded(&self) -> u64 {
        self.loaded.load(Ordering::Relaxed)
    }

    /// How many exchanges the database refused for good; their segments are kept.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

// === impl Loader ===

impl Loader {
    pub(super) fn new(dir: &Path, from_writers: Receiver<ToLoader>, status: Arc<Status>, pool: Arc<Pool>) -> Self {
        Self { dir: dir.to_owned(), from_writers, status, pool }
    }

    /// Starts the thread. It ends by itself when every [`super::Journal`] and [`super::Entry`] is gone and all is loaded.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn spawn(
        self,
        store: Store,
        keep: RetentionConfig,
        metrics: Arc<Metrics>,
        runtime: Handle,
    ) -> std::io::Result<Running> {
        let give_up = Arc::new(AtomicBool::new(false));
        let work = Work {
            loader: self,
            store,
            metrics,
            runtime,
            give_up: Arc::clone(&give_up),
            writers_gone: false,
            intake: Intake::default(),
            lost: Vec::new(),
            busy: Instant::now(),
            retention: Retention::new(keep),
        };
        let thread = std::thread::Builder::new().name("journal-loader".into()).spawn(move || work.run())?;
        Ok(Running { thread, give_up })
    }
}

impl Running {
    /// Waits until everything is loaded, or `patience` is over; then the rest stays for the next start. Every journal and
    /// entry must have been dropped.
    pub async fn finish(self, patience: Duration) {
        let Self { thread, give_up } = self;
        let deadline = Instant::now() + patience;
        while !thread.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        give_up.store(true, Ordering::Relaxed);
        if tokio::task::spawn_blocking(|| thread.join()).await.is_err() {
            tracing::error!("the journal's loader could not be awaited");
        }
    }
}

// === impl Work ===

impl Work {
    fn run(mut self) {
        if self.inherit().is_err() {
            return;
        }
        loop {
            self.receive();
            let mut since = Instant::now();
            loop {
                self.intake.courteous = self.is_near();
                let done = self.intake.read();
                if done {
                    for (id, end) in self.lost.drain(..) {
                        self.intake.lost(id, *end);
                    }
                }
                self.intake.show_pending(Instant::now());
                // A transaction costs much less for each row when it has many.
                if !done && !self.intake.is_full() && since.elapsed() < POLL {
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
            if self.writers_gone {
                // Nobody is left to end what is open: a handler died with its entry.
                while !self.intake.interrupt() {
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

    /// Loads what dead processes left behind.
    fn inherit(&mut self) -> Result<(), GaveUp> {
        let estates = recovery::estates(&self.loader.dir).unwrap_or_else(|error| {
            tracing::error!(%error, "journals left behind cannot be listed");
            Vec::new()
        });
        for estate in estates {
            for segment in estate.segments {
                self.status().backlog.fetch_add(segment.len(), Ordering::Relaxed);
                self.intake.add(Arc::new(segment));
            }
            while !self.intake.read() {
                if self.intake.is_full() {
                    self.commit()?;
                }
            }
            let interrupted = self.intake.open();
            while !self.intake.interrupt() {
                self.commit()?;
            }
            self.commit()?;
            self.retire();
            recovery::remove(&estate.dir);
            tracing::info!(dir = %estate.dir.display(), interrupted, "a journal left behind is loaded");
        }
        Ok(())
    }

    /// Waits a moment, and takes in what the writers said meanwhile.
    fn receive(&mut self) {
        let mut message = self.loader.from_writers.recv_timeout(POLL).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
        });
        loop {
            match message {
                Ok(ToLoader::Opened(segment)) => self.intake.add(segment),
                Ok(ToLoader::Lost(id, end)) => self.lost.push((id, end)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.writers_gone = true;
                    break;
                }
            }
            message = self.loader.from_writers.try_recv();
        }
    }

    /// Writes the batch, however long the database is away.
    fn commit(&mut self) -> Result<(), GaveUp> {
        let rows: Vec<exchanges::Exchange> = self.intake.take_rows();
        if rows.is_empty() {
            if self.busy.elapsed() >= REST_AFTER {
                self.intake.rest();
                self.loader.pool.rest();
            }
            return Ok(());
        }
        self.busy = Instant::now();
        let mut refused = Vec::new();
        for (n, chunk) in rows.chunks(MAX_BATCH).enumerate() {
            match self.write(chunk)? {
                Ok(()) => {}
                // One row must not keep the others out.
                Err(_) => {
                    for (m, row) in chunk.iter().enumerate() {
                        if let Err(error) = self.write(std::slice::from_ref(row))? {
                            tracing::error!(id = %row.begun.request_id, %error, "the database refuses a request for good");
                            self.status().loader.refused.fetch_add(1, Ordering::Relaxed);
                            refused.push(n * MAX_BATCH + m);
                        }
                    }
                }
            }
        }
        self.intake.settle(&refused);
        Ok(())
    }

    /// One transaction: written, or refused for good. Waits while the database is away.
    fn write(&self, rows: &[exchanges::Exchange]) -> Result<Result<(), signalbox_store::Error>, GaveUp> {
        loop {
            if self.is_near() {
                self.store.give_way(COURTESY);
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
            if self.give_up.load(Ordering::Relaxed) {
                return Err(GaveUp);
            }
            self.runtime.block_on(async { tokio::time::sleep(RETRY).await });
        }
    }

    fn count(&self, rows: &[exchanges::Exchange]) {
        for ended in rows.iter().filter_map(|row| row.ended.as_ref()) {
            self.status().loader.loaded.fetch_add(1, Ordering::Relaxed);
            if let (Some(provider), Some(usage)) = (&ended.provider_id, &ended.usage) {
                self.metrics.tokens(provider, usage);
            }
        }
    }

    fn note_database(&self, away: Option<&str>) {
        let was_ok = self.status().loader.database_ok.swap(away.is_none(), Ordering::Relaxed);
        match away {
            Some(error) if was_ok => tracing::warn!(error, "the database is away; the journal keeps the request log"),
            None if !was_ok => tracing::info!("the database is back; the journal is being loaded"),
            _ => {}
        }
    }

    /// Whether the loader is close enough behind the writers to let requests go first. If it always did, it would never catch
    /// up with a rush.
    fn is_near(&self) -> bool {
        // Segments count as a whole until they are let go of, and each writer has one.
        self.status().backlog.load(Ordering::Relaxed).saturating_sub(self.intake.passed()) <= NEAR
    }

    fn retire(&mut self) {
        let freed = self.intake.retire(&self.loader.pool);
        self.status().backlog.fetch_sub(freed, Ordering::Relaxed);
    }

    fn status(&self) -> &Status {
        &self.loader.status
    }
}

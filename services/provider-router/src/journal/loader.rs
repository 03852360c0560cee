//! The thread that moves exchanges from the journal into the database.

mod inherit;
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
    Status, ToLoader,
    intake::{Intake, MAX_BATCH},
    pool::Pool,
    record::End,
    recovery::{self, Survey},
    retention::{Retention, RetentionConfig},
};
pub use status::LoaderStatus;

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
/// How many refused requests are known by name.
const MOST_REFUSED: usize = 10_000;
/// Between attempts while the database is away.
const RETRY: Duration = Duration::from_millis(500);
/// Between looks at what dead processes left behind and at what was set aside: at first, and in the long run.
const SURVEY: Duration = Duration::from_secs(10);
const SURVEY_LATER: Duration = Duration::from_secs(600);

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
    survey: Survey,
    surveyed: Instant,
    /// Until the next look.
    pause: Duration,
    /// Requests that the database refused, so that each counts once however often it is tried.
    refused: HashSet<String>,
}

/// The database is away and the loader has been told not to wait for it.
struct GaveUp;

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
        let retention = Retention::new(keep, self.dir.parent());
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
            retention,
            survey: Survey::default(),
            surveyed: Instant::now(),
            pause: SURVEY,
            refused: HashSet::new(),
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
        self.surveyed = Instant::now();
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
            if self.surveyed.elapsed() >= self.pause {
                let pause = self.pause;
                if self.inherit().is_err() {
                    return;
                }
                self.pause = (pause * 2).min(SURVEY_LATER);
                self.surveyed = Instant::now();
            }
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

    /// Waits a moment, and takes in what the writers said meanwhile.
    fn receive(&mut self) {
        let mut message = self.loader.from_writers.recv_timeout(POLL).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
        });
        loop {
            match message {
                Ok(ToLoader::Opened(segment)) => self.intake.add(segment),
                Ok(ToLoader::Lost(id, end)) => {
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
            // One row must not keep the others out.
            if self.write(chunk)?.is_err() {
                for (m, row) in chunk.iter().enumerate() {
                    if !self.write_one(row)? {
                        refused.push(n * MAX_BATCH + m);
                    }
                }
            }
        }
        self.intake.settle(&refused);
        Ok(())
    }

    /// Writes one row; answers whether the database has it. One that it refuses is set aside with its segments: where the
    /// database would take no row at all, it is waited for instead.
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
                if self.refused.len() < MOST_REFUSED && self.refused.insert(row.begun.request_id.clone()) {
                    let id = &row.begun.request_id;
                    tracing::error!(%id, %error, "the database refuses a request; it is kept in the journal and tried again");
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

    /// One transaction: written, or refused. Waits while the database is away.
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
            self.wait()?;
        }
    }

    /// Waits a moment for the database, unless the loader has been told to leave.
    fn wait(&self) -> Result<(), GaveUp> {
        if self.give_up.load(Ordering::Relaxed) {
            return Err(GaveUp);
        }
        self.runtime.block_on(async { tokio::time::sleep(RETRY).await });
        Ok(())
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
        let before = self.intake.set_aside();
        let freed = self.intake.retire(&self.loader.pool);
        self.status().backlog.fetch_sub(freed, Ordering::Relaxed);
        let set_aside = self.intake.set_aside() - before;
        if set_aside > 0 {
            self.status().loader.set_aside.fetch_add(set_aside, Ordering::Relaxed);
            self.pause = self.pause.min(SURVEY);
        }
    }

    fn status(&self) -> &Status {
        &self.loader.status
    }
}

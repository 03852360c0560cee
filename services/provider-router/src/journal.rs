//! The journal: every inference request is written down before a provider is called, and its end before the client sees
//! its last byte.
//!
//! # Theory
//! Records are appended to segment files ([`segment`]), framed and checksummed ([`record`]). An append is one `write` into
//! the page cache: it survives the death of the process, and costs a few microseconds. A thread of its own, the
//! [`loader`], reads behind the writers and moves whole exchanges into the database in batches; a segment is used
//! again ([`pool`]) only when everything in it is committed. The database may be away for hours: only the loader waits.
//!
//! Every process writes into a directory of its own, `journal/<instance>`, and holds the lock in it. A directory whose
//! lock is free belongs to a dead process: the next one loads what is left and marks what had not ended `interrupted`.
//!
//! A write survives the death of the process. Where it has to survive a power failure too, [`sync`] makes the last byte
//! wait for the disk, many requests at a time.
//!
//! # Invariants
//! - [`Journal::begin`] returns before any provider is called; [`Entry::end`] returns before the last byte is released.
//! - All records of a request are in one shard, in order; so they are read in order.
//! - Loading twice is the same as loading once: rows are keyed by request id.
//! - What cannot be written is counted exactly in [`Journal::unlogged`].

mod bodies;
mod intake;
mod loader;
mod lock;
mod pool;
mod recent;
mod record;
mod recovery;
mod retention;
mod segment;
mod sync;
mod tail;
mod transcript;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
};

pub use bodies::{Bodies, Kept};
pub use loader::{Loader, LoaderStatus, Running};
use pool::Pool;
pub use record::{Begin, End, Summary};
use record::{Kind, encode};
pub use retention::RetentionConfig;
use segment::{Segment, SegmentWriter};
use serde::Deserialize;
use signalbox_daemon::config::Size;
use sync::Syncer;
pub use sync::Written;
use uuid::Uuid;

/// Section `[journal]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// Whether there is a request log at all.
    pub enabled: bool,
    /// What an end that was written survives.
    pub durability: Durability,
    /// How much of requests and answers is kept; a provider may be stricter.
    pub bodies: Bodies,
    /// When a segment is left for a new one.
    pub segment_bytes: Size,
    /// How much may wait for the database before requests go unlogged (or are refused).
    pub max_bytes: Size,
    /// How much of an answer is kept.
    pub max_answer_bytes: Size,
    /// What to do when a request cannot be written down.
    pub on_failure: OnFailure,
}

/// What an end that was written survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The death of the process.
    Process,
    /// A power failure too: the last byte waits until the disk has the end of the request.
    Power,
}

/// What to do when a request cannot be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Serve it, count it, and say `degraded`.
    Serve,
    /// Answer 503 before any provider is called.
    Refuse,
}

/// The journal of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: JournalConfig,
    shards: Box<[Mutex<Shard>]>,
    to_loader: mpsc::Sender<ToLoader>,
    status: Arc<Status>,
    /// Makes what was written survive a power failure, where that is asked for.
    syncer: Option<Syncer>,
    /// Held as long as the process lives: it says whose directory this is.
    _lock: File,
}

#[derive(Debug)]
struct Shard {
    writer: SegmentWriter,
    scratch: Vec<u8>,
}

/// What the writers tell the loader.
#[derive(Debug)]
enum ToLoader {
    /// A new segment has its first record.
    Opened(Arc<Segment>),
    /// The end of a request that began in the journal could not be written to it.
    Lost(Uuid, Box<End>),
}

/// What writers, loader and `/health` share.
#[derive(Debug, Default)]
struct Status {
    /// Bytes in segments that are not in the database.
    backlog: AtomicU64,
    /// Requests that are not, or not wholly, in the journal.
    unlogged: AtomicU64,
    /// The last append failed.
    failing: AtomicBool,
    /// Messages about lost ends that the loader has not read.
    lost: AtomicUsize,
    loader: LoaderStatus,
}

/// The journal could not take a request, and is configured to refuse it then.
#[derive(Debug, thiserror::Error)]
#[error("the request log cannot be written: {0}")]
pub struct Refused(String);

/// A request that has begun. Exactly one [`Entry::end`] belongs to it.
#[derive(Debug)]
pub struct Entry {
    inner: Arc<Inner>,
    id: Uuid,
    shard: usize,
    logged: Logged,
}

/// How much of a request is in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logged {
    Nothing,
    /// Its beginning, and a gap later on.
    Partly,
    SoFar,
}

/// What was needed in a rush is kept for the next one, up to this part of what may wait for the database …
const KEPT_FREE: u64 = 8;
/// … and so many files, each of which is open twice.
const MOST_FREE: u64 = 64;

/// How many ends that could not be written are kept in memory for the loader: some 10 MB.
const MOST_LOST: usize = 16_384;

/// The directory of one process within the journal's.
pub(crate) fn instance_dir(data_dir: &Path, instance: &str) -> PathBuf {
    data_dir.join("journal").join(instance)
}

// === impl JournalConfig ===

impl JournalConfig {
    /// How many segments are kept to be written over, beside those that are kept anyway.
    fn free_segments(&self) -> usize {
        let most = self.max_bytes.bytes() / KEPT_FREE / self.segment_bytes.bytes().max(1);
        usize::try_from(most.min(MOST_FREE)).unwrap_or_default()
    }
}

// === impl Journal ===

impl Journal {
    /// Opens a journal for this process below `data_dir`, with `shards` independent writers, and the loader for it.
    ///
    /// # Errors
    /// When the directory cannot be made or locked.
    pub fn open(data_dir: &Path, instance: &str, shards: usize, config: JournalConfig) -> io::Result<(Self, Loader)> {
        let dir = instance_dir(data_dir, instance);
        let lock = lock::claim(&dir)?;
        let (to_loader, from_writers) = mpsc::channel();
        let status = Arc::new(Status::default());
        let spare = if config.enabled { shards.max(1) + 1 } else { 0 };
        let pool = Arc::new(Pool::new(&dir, config.free_segments(), spare)?);
        let loader = Loader::new(&dir, from_writers, Arc::clone(&status), Arc::clone(&pool));
        let writer = || SegmentWriter::new(config.segment_bytes.bytes(), Arc::clone(&pool));
        let shards = (0..shards.max(1)).map(|_| Mutex::new(Shard { writer: writer(), scratch: Vec::new() })).collect();
        let syncer = (config.enabled && config.durability == Durability::Power).then(Syncer::spawn).transpose()?;
        Ok((Self(Arc::new(Inner { config, shards, to_loader, status, syncer, _lock: lock })), loader))
    }

    /// Writes down that a request has arrived.
    ///
    /// # Errors
    /// [`Refused`] when it cannot be written and `on_failure` is `refuse`; the request must not be served then.
    pub fn begin(&self, id: Uuid, begin: &Begin, body: &[u8]) -> Result<Entry, Refused> {
        let inner = Arc::clone(&self.0);
        if !inner.config.enabled {
            return Ok(Entry { inner, id, shard: 0, logged: Logged::Nothing });
        }
        let shard = inner.shard_of_thread();
        let result = inner.append(shard, Kind::Begin, id, Some(begin), body);
        let logged = if result.is_ok() { Logged::SoFar } else { Logged::Nothing };
        if let Err(error) = result {
            inner.status.unlogged.fetch_add(1, Ordering::Relaxed);
            if inner.config.on_failure == OnFailure::Refuse {
                return Err(Refused(error.to_string()));
            }
        }
        Ok(Entry { inner, id, shard, logged })
    }

    /// How much of requests and answers is kept, where no provider is stricter.
    #[must_use]
    pub fn bodies(&self) -> Bodies {
        self.0.config.bodies
    }

    /// How many bytes of an answer are kept.
    #[must_use]
    pub fn max_answer_bytes(&self) -> u64 {
        self.0.config.max_answer_bytes.bytes()
    }

    /// How many requests are not, or not wholly, in the journal; exact.
    #[must_use]
    pub fn unlogged(&self) -> u64 {
        self.0.status.unlogged.load(Ordering::Relaxed)
    }

    /// How many bytes wait for the database.
    #[must_use]
    pub fn backlog_bytes(&self) -> u64 {
        self.0.status.backlog.load(Ordering::Relaxed)
    }

    /// Whether the last append failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.0.status.failing.load(Ordering::Relaxed)
    }

    /// How the loader is doing.
    #[must_use]
    pub fn loader_status(&self) -> &LoaderStatus {
        &self.0.status.loader
    }
}

// === impl Inner ===

impl Inner {
    /// Threads are spread over the shards, so that workers rarely meet at one lock.
    fn shard_of_thread(&self) -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed));
        MINE.with(|mine| mine % self.shards.len())
    }

    fn append(
        &self,
        shard: usize,
        kind: Kind,
        id: Uuid,
        head: Option<&impl serde::Serialize>,
        body: &[u8],
    ) -> io::Result<Arc<File>> {
        let result = self.try_append(shard, kind, id, head, body);
        let was_failing = self.status.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_failing => tracing::error!(%error, "the request log cannot be written"),
            Ok(_) if was_failing => tracing::info!("the request log can be written again"),
            _ => {}
        }
        result
    }

    fn try_append(
        &self,
        shard: usize,
        kind: Kind,
        id: Uuid,
        head: Option<&impl serde::Serialize>,
        body: &[u8],
    ) -> io::Result<Arc<File>> {
        // Ends are few bytes, and they free what the bound is about: only beginnings are held up by it.
        if kind == Kind::Begin && self.status.backlog.load(Ordering::Relaxed) >= self.config.max_bytes.bytes() {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "journal.max_bytes is reached"));
        }
        // A panic cannot leave the shard half changed: the writer keeps its books by whole records.
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let Shard { writer, scratch } = &mut *shard;
        encode(scratch, kind, id, head, body)?;
        let appended = writer.append(scratch, body)?;
        self.status.backlog.fetch_add((scratch.len() + body.len()) as u64, Ordering::Relaxed);
        if let Some(segment) = appended.opened {
            // A loader that is gone reads nothing more in this process; the next one finds the file.
            let _ = self.to_loader.send(ToLoader::Opened(segment));
        }
        Ok(appended.file)
    }

    /// Hands the end of a request to the loader in memory. While it waits for a database and the disk fails again and again,
    /// there would be ever more of them: beyond a bound the request stays pending, and is `interrupted` in the end.
    fn lose(&self, id: Uuid, end: End) {
        if self.status.lost.fetch_add(1, Ordering::Relaxed) >= MOST_LOST {
            self.status.lost.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let _ = self.to_loader.send(ToLoader::Lost(id, Box::new(end)));
    }
}

// === impl Entry ===

impl Entry {
    /// The request.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Writes down the next bytes of a long answer, so that they need not be kept in memory until its end.
    pub fn part(&mut self, body: &[u8]) {
        if self.logged == Logged::SoFar
            && self.inner.append(self.shard, Kind::Part, self.id, None::<&()>, body).is_err()
        {
            // Nothing may follow a gap: the row will have what came before it, and the end.
            self.logged = Logged::Partly;
            self.inner.status.unlogged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes down how the request ended; `body` is the answer, or what of it no [`Self::part`] has. The last byte may be
    /// released when [`Written`] says so.
    pub fn end(self, mut end: End, body: &[u8]) -> Written {
        let Self { inner, id, shard, logged } = self;
        match logged {
            Logged::Nothing => return Written::default(),
            Logged::Partly => {}
            Logged::SoFar => match inner.append(shard, Kind::End, id, Some(&end), body) {
                Ok(file) => return inner.syncer.as_ref().map_or_else(Written::default, |syncer| syncer.sync(file)),
                Err(_) => {
                    inner.status.unlogged.fetch_add(1, Ordering::Relaxed);
                }
            },
        }
        // The row must not look as if the client had got no more than it shows.
        end.truncated = true;
        end.error.get_or_insert_with(|| "the request log could not be written to its end".to_owned());
        inner.lose(id, end);
        Written::default()
    }
}

#[cfg(test)]
mod tests;

//! Request journal: writes every inference request to disk before a provider is called, and its end before the client
//! receives the last byte.
//!
//! # Theory
//! Records are appended to segment files ([`segment`]), framed and checksummed ([`record`]). An append is a single
//! `write` to the page cache: it survives the death of the process, and costs a few microseconds. A separate thread,
//! the [`loader`], reads behind the writers and moves complete exchanges into the database in batches; a segment is
//! reused ([`pool`]) only after everything in it is committed. The database may be unavailable for hours: only the
//! loader waits.
//!
//! Every process writes to its own directory, `journal/<instance>`, and holds the lock in it. A directory whose lock is
//! free belongs to a dead process: the next process to find it loads the remaining records and marks unfinished
//! requests as `interrupted`.
//!
//! An append survives the death of the process. If it has to survive a power failure as well, [`sync`] delays the last
//! byte until the file is synced to disk, for many requests at a time.
//!
//! # Invariants
//! - [`Journal::begin`] returns before any provider is called; [`Entry::end`] returns before the last byte is released.
//! - All records of a request are written to one shard, in order, and are therefore read in order.
//! - Loading is idempotent: rows are keyed by request id.
//! - Requests that cannot be written are counted exactly in [`Journal::unlogged`].

mod answer;
mod assembler;
mod bodies;
mod costs;
mod dedup_cache;
mod loader;
mod lock;
mod pool;
mod record;
mod recovery;
mod retention;
mod segment;
mod segment_file;
mod segment_reader;
mod segment_writer;
mod sync;
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

pub(crate) use answer::fold as fold_answer;
pub use bodies::{Bodies, BodyPolicy};
pub(crate) use costs::{Ended, cost, cost_of_whole, in_dollars};
pub use loader::{Loader, LoaderStatus, Running};
use pool::Pool;
pub(crate) use record::MAX_BODY;
pub use record::{Begin, CostEstimate, End, SentAs, Summary};
use record::{Kind, encode};
pub use retention::RetentionConfig;
use segment::Segment;
use segment_writer::SegmentWriter;
use serde::Deserialize;
use signalbox_daemon::config::Size;
use sync::Syncer;
pub use sync::Written;
use uuid::Uuid;

/// Section `[journal]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// Whether requests are logged at all.
    pub enabled: bool,
    /// Failures that a written end survives.
    pub durability: Durability,
    /// How much of requests and responses is kept; a provider may be stricter.
    pub bodies: Bodies,
    /// Size in bytes at which a new segment is started.
    pub segment_bytes: Size,
    /// Maximum bytes waiting for the database; beyond it requests go unlogged or are refused.
    pub max_bytes: Size,
    /// Maximum bytes of a response that are kept.
    pub max_answer_bytes: Size,
    /// How to handle a request that cannot be written.
    pub on_failure: OnFailure,
}

/// Failures that a written end survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Death of the process.
    Process,
    /// Power failure as well: the last byte is held back until the end of the request is synced to disk.
    Power,
}

/// How to handle a request that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Serve the request, count it, and report `degraded`.
    Serve,
    /// Respond with status 503 before any provider is called.
    Refuse,
}

/// Handle to the journal of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: JournalConfig,
    shards: Box<[Mutex<Shard>]>,
    to_loader: mpsc::Sender<LoaderMessage>,
    status: Arc<Status>,
    /// Syncs files to disk; present only with [`Durability::Power`].
    syncer: Option<Syncer>,
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Shard {
    writer: SegmentWriter,
    scratch: Vec<u8>,
}

/// Message from a writer to the loader.
#[derive(Debug)]
enum LoaderMessage {
    /// A new segment was opened and has its first record.
    Opened(Arc<Segment>),
    /// The end of a request whose beginning is in the journal, but which could not be written there itself.
    Lost(Uuid, Box<End>),
}

/// Counters and flags shared by the writers, the loader and `/health`.
#[derive(Debug, Default)]
struct Status {
    /// Bytes in segments that are not in the database yet.
    backlog: AtomicU64,
    /// Number of requests that are missing from the journal, wholly or in part.
    unlogged: AtomicU64,
    /// Whether the last append failed.
    failing: AtomicBool,
    /// Number of [`LoaderMessage::Lost`] messages that the loader has not received yet.
    lost: AtomicUsize,
    loader: LoaderStatus,
}

/// The request could not be written to the journal, and the configuration refuses such requests.
#[derive(Debug, thiserror::Error)]
#[error("the request log cannot be written: {0}")]
pub struct JournalUnavailable(String);

/// A request whose beginning has been recorded. Exactly one [`Entry::end`] follows.
#[derive(Debug)]
pub struct Entry {
    inner: Arc<Inner>,
    id: Uuid,
    shard: usize,
    logged: Logged,
    /// Number of parts written.
    parts: usize,
}

/// How much of a request is in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logged {
    Nothing,
    /// The beginning, with a gap after it.
    Partly,
    /// Everything so far, without a gap.
    SoFar,
}

/// Divisor of `max_bytes`: free segments from a burst of requests are kept for the next burst up to this share …
const FREE_FRACTION: u64 = 8;
/// … and up to this number of files, each of which is open twice.
const MAX_FREE_SEGMENTS: u64 = 64;

/// Maximum number of lost ends kept in memory for the loader, about 10 MB.
const MAX_LOST_ENDS: usize = 16_384;

/// Returns the directory of one process below the journal's directory.
pub(crate) fn instance_dir(data_dir: &Path, instance: &str) -> PathBuf {
    data_dir.join(lock::DIRECTORY).join(instance)
}

// === impl JournalConfig ===

impl JournalConfig {
    /// Returns how many free segments are kept for reuse, in addition to the spare ones.
    fn free_segments(&self) -> usize {
        let most = self.max_bytes.bytes() / FREE_FRACTION / self.segment_bytes.bytes().max(1);
        usize::try_from(most.min(MAX_FREE_SEGMENTS)).unwrap_or_default()
    }
}

// === impl Journal ===

impl Journal {
    /// Opens the journal of this process below `data_dir`, with `shards` independent writers. Returns it with its
    /// loader.
    ///
    /// # Errors
    /// Fails if the directory or a file in it cannot be created, if the directory is locked, or if the sync thread
    /// cannot be spawned.
    pub fn open(data_dir: &Path, instance: &str, shards: usize, config: JournalConfig) -> io::Result<(Self, Loader)> {
        let dir = instance_dir(data_dir, instance);
        let (to_loader, from_writers) = mpsc::channel();
        let status = Arc::new(Status::default());
        let spare = if config.enabled { shards.max(1) + 1 } else { 0 };
        // Takes the lock of the directory, which is held as long as the process lives.
        let pool = Arc::new(Pool::new(&dir, config.free_segments(), spare)?);
        let loader = Loader::new(&dir, from_writers, Arc::clone(&status), Arc::clone(&pool));
        let writer = || SegmentWriter::new(config.segment_bytes.bytes(), Arc::clone(&pool));
        let shards = (0..shards.max(1)).map(|_| Mutex::new(Shard { writer: writer(), scratch: Vec::new() })).collect();
        let syncer = (config.enabled && config.durability == Durability::Power).then(Syncer::spawn).transpose()?;
        Ok((Self(Arc::new(Inner { config, shards, to_loader, status, syncer, pool })), loader))
    }

    /// Records that a request has arrived.
    ///
    /// # Errors
    /// Returns [`JournalUnavailable`] if the record cannot be written and `on_failure` is `refuse`; the request must
    /// not be served then.
    pub fn begin(&self, id: Uuid, begin: &Begin, body: &[u8]) -> Result<Entry, JournalUnavailable> {
        let inner = Arc::clone(&self.0);
        if !inner.config.enabled {
            return Ok(Entry { inner, id, shard: 0, logged: Logged::Nothing, parts: 0 });
        }
        let shard = inner.shard_of_thread();
        let result = inner.append(shard, Kind::Begin, id, Some(begin), body);
        let logged = if result.is_ok() { Logged::SoFar } else { Logged::Nothing };
        if let Err(error) = result {
            inner.status.unlogged.fetch_add(1, Ordering::Relaxed);
            if inner.config.on_failure == OnFailure::Refuse {
                return Err(JournalUnavailable(error.to_string()));
            }
        }
        Ok(Entry { inner, id, shard, logged, parts: 0 })
    }

    /// Returns whether requests are logged.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.config.enabled
    }

    /// Returns how much of requests and responses is kept, unless a provider is stricter.
    #[must_use]
    pub fn bodies(&self) -> Bodies {
        self.0.config.bodies
    }

    /// Returns how many bytes of a response are kept.
    #[must_use]
    pub fn max_answer_bytes(&self) -> u64 {
        self.0.config.max_answer_bytes.bytes()
    }

    /// Returns the exact number of requests that are missing from the journal, wholly or in part.
    #[must_use]
    pub fn unlogged(&self) -> u64 {
        self.0.status.unlogged.load(Ordering::Relaxed)
    }

    /// Returns how many bytes wait for the database.
    #[must_use]
    pub fn backlog_bytes(&self) -> u64 {
        self.0.status.backlog.load(Ordering::Relaxed)
    }

    /// Returns whether the last append failed, or files of the journal were deleted and cannot be written again.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.0.status.failing.load(Ordering::Relaxed) || self.0.pool.used.is_failing()
    }

    /// Returns the status of the loader.
    #[must_use]
    pub fn loader_status(&self) -> &LoaderStatus {
        &self.0.status.loader
    }
}

// === impl Inner ===

impl Inner {
    /// Returns the shard of the calling thread. Threads are spread over the shards, so that workers rarely contend for
    /// a lock.
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
        // Parts and ends are written even beyond the limit: ends are small, and let the loader free segments.
        if kind == Kind::Begin && self.status.backlog.load(Ordering::Relaxed) >= self.config.max_bytes.bytes() {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "journal.max_bytes is reached"));
        }
        // A panic cannot leave the shard inconsistent, because the writer advances by whole records.
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let Shard { writer, scratch } = &mut *shard;
        encode(scratch, kind, id, head, body)?;
        let appended = writer.append(scratch, body)?;
        self.status.backlog.fetch_add((scratch.len() + body.len()) as u64, Ordering::Relaxed);
        if let Some(segment) = appended.opened {
            // If the loader has exited, the next process loads the segment.
            let _ = self.to_loader.send(LoaderMessage::Opened(segment));
        }
        Ok(appended.file)
    }

    /// Passes the end of a request to the loader in memory. At most [`MAX_LOST_ENDS`] ends are held, because their
    /// number would grow without limit if the disk kept failing while the database is unavailable. Beyond the limit,
    /// the request stays pending and becomes `interrupted` in the end.
    fn send_to_loader(&self, id: Uuid, end: End) {
        if self.status.lost.fetch_add(1, Ordering::Relaxed) >= MAX_LOST_ENDS {
            self.status.lost.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let _ = self.to_loader.send(LoaderMessage::Lost(id, Box::new(end)));
    }
}

// === impl Entry ===

impl Entry {
    /// Returns the request's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Appends the next bytes of a long response, so that they need not stay in memory until its end.
    pub fn part(&mut self, body: &[u8]) {
        if self.logged != Logged::SoFar {
            return;
        }
        self.parts += 1;
        if self.inner.append(self.shard, Kind::Part, self.id, None::<&()>, body).is_err() {
            // No part may follow a gap: the row gets the parts before it, and the end.
            self.logged = Logged::Partly;
            self.inner.status.unlogged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes the end of the request. `body` is the response, or the bytes of it that were not passed to
    /// [`Self::part`]. The last byte may be released once [`Written`] is ready.
    pub fn end(self, mut end: End, body: &[u8]) -> Written {
        let Self { inner, id, shard, logged, parts } = self;
        end.parts = parts;
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
        // Mark the row as incomplete: the client may have received more than the row contains.
        end.truncated = true;
        end.error.get_or_insert_with(|| "request log could not be written completely".to_owned());
        inner.send_to_loader(id, end);
        Written::default()
    }
}

#[cfg(test)]
mod tests;

//! Opening a SQLite file.
//!
//! Three processes share the file, so it is opened with care: the first one makes it private, one at a time brings it up
//! to date, and a file that is not ours is only looked at.

mod backup;
mod courtesy;
mod database;
mod file;
mod linked;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{Executor as _, Sqlite};
use tokio::time::timeout;

use self::courtesy::Courtesy;
pub(super) use self::database::Database;
pub(crate) use self::linked::Linked;
use self::linked::Lost;
use super::{PATIENCE, release};
use crate::original::{self, Original};
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, migrations, seed};

/// Connections that read.
const READERS: u32 = 4;

/// Versions before 3.51.3 can lose committed writes when one process checkpoints while another commits ("WAL reset"),
/// and that is exactly how the three services use the file.
const OLDEST: (i64, i64, i64) = (3, 51, 3);
const _: () = assert!(libsqlite3_sys::SQLITE_VERSION_NUMBER >= 3_051_003, "this SQLite can lose committed writes");

/// Bytes of a page in a new file; one that exists keeps its own. Rows of the log have about two kilobytes: in pages of 4096
/// most of them spill over or leave a gap, and half as many large pages cost less to check, to log and to fold in.
const PAGE: u32 = 8192;

/// SQLite has one writer at a time anyway. Two connections write, so that each kind of write gets the durability it
/// needs; `BEGIN IMMEDIATE` and the busy timeout make them take turns.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(super) read: SqlitePool,
    /// Configuration: an acknowledged write survives a power cut.
    pub(super) write: SqlitePool,
    /// The request log: an acknowledged write survives the end of the process, and costs no sync.
    pub(super) log: SqlitePool,
    /// The file; `None` in memory.
    linked: Option<Arc<Linked>>,
    /// Another number for each file that was opened.
    pub(super) generation: u64,
}

struct Version(String);

pub(super) async fn open(url: &str) -> Result<Database, Error> {
    if url.contains('?') {
        return Err(Error::Invalid("a SQLite URL takes no parameters".to_owned()));
    }
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .pragma("trusted_schema", "OFF");
    // What `from_str` makes of `sqlite::memory:` shares its pages between connections, whose locks know no busy timeout.
    if matches!(url, "sqlite::memory:" | "sqlite://:memory:") {
        return open_memory(options.shared_cache(false)).await;
    }
    let options = match options.get_filename().to_str().and_then(on_drive).filter(|_| cfg!(windows)).map(PathBuf::from)
    {
        Some(path) => options.filename(path),
        None => options,
    };
    let courtesy = Courtesy::new();
    let pools = open_file(options.clone(), &courtesy, None).await?;
    Ok(Database::new(Some(options), pools, courtesy))
}

/// The path of Windows in `sqlite:///C:/…`: the slash before the drive belongs to the URL.
fn on_drive(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    let mut start = path.chars();
    let is_drive = start.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && start.next() == Some(':');
    is_drive.then_some(path)
}

/// `BEGIN IMMEDIATE` waits for other writers here, where the busy timeout is honoured. A transaction that began by
/// reading fails at once when it comes to write after somebody else did.
async fn begin(pool: &SqlitePool) -> Result<Transaction, Error> {
    Ok(Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?.into()))
}

/// One connection for everything: another one would be another database, so it is kept whatever happens.
async fn open_memory(options: SqliteConnectOptions) -> Result<Database, Error> {
    let pool = pool(1).connect_with(options.in_memory(true)).await?;
    migrate(&pool, None).await?;
    let pools =
        Pools { read: pool.clone(), write: pool.clone(), log: pool, linked: None, generation: next_generation() };
    Ok(Database::new(None, pools, Courtesy::new()))
}

/// Opens the file, and brings it up to date. `instead_of` has been open under this name until now.
async fn open_file(
    options: SqliteConnectOptions,
    courtesy: &Courtesy,
    instead_of: Option<(&Pools, Lost)>,
) -> Result<Pools, Error> {
    let path = options.get_filename().to_owned();
    if path.as_os_str().is_empty() {
        return Err(Error::Invalid("the SQLite URL names no file".to_owned()));
    }
    if instead_of.is_none() {
        file::create_private(&path)?;
    }
    let lock = file::lock(&path).await?;
    if let Some((old, lost)) = instead_of {
        old.make_way(lost).await?;
    }
    let linked = Arc::new(Linked::new(&path)?);
    let original = look(&options, &path).await?;

    let options = options.page_size(PAGE).journal_mode(SqliteJournalMode::Wal).pragma("journal_size_limit", "67108864");
    // On macOS only `fullfsync` reaches the disk; elsewhere it does nothing.
    let durable = options.clone().synchronous(SqliteSynchronous::Full).pragma("fullfsync", "ON");
    // What was a secret before it was sealed, or deleted, is overwritten.
    let write = file_pool(1, &linked, None).connect_with(durable.pragma("secure_delete", "ON")).await?;
    migrate(&write, original.as_ref()).await?;
    drop(lock);
    // A batch of the log changes the same few index pages as the one before: the rarer the log is folded into the file,
    // the fewer times they are written. 16 MiB of it, and 8 MiB of memory for what a batch touches.
    let log = options.clone().synchronous(SqliteSynchronous::Normal);
    let log = log.pragma("wal_autocheckpoint", "2048").pragma("cache_size", "-8192");
    let log = file_pool(1, &linked, Some(courtesy)).connect_with(log).await?;
    let read = options.synchronous(SqliteSynchronous::Normal).read_only(true);
    let read = file_pool(READERS, &linked, None).connect_with(read).await?;
    linked.note_log();
    linked.verify()?;
    Ok(Pools { read, write, log, linked: Some(linked), generation: next_generation() })
}

/// Finds out what the file is, and copies it where it is the original's. Opening it for writing would already change the
/// journal mode of somebody else's file.
async fn look(options: &SqliteConnectOptions, path: &Path) -> Result<Option<Original>, Error> {
    let look = pool(1).connect_with(options.clone().read_only(true)).await?;
    let mut tx = Transaction::Sqlite(look.begin().await?.into());
    let original = match recognise(&mut tx).await {
        Ok(original) => original,
        Err(Error::Corrupt(why)) => {
            let why = format!(
                "{why}; {} was left as it is: bring back a copy of it, or let `sqlite3 FILE .recover` save what can be read",
                path.display()
            );
            return Err(Error::Corrupt(why.into()));
        }
        Err(other) => return Err(other),
    };
    if original.is_some() {
        let mut copy = path.to_owned().into_os_string();
        copy.push(Original::copy_suffix(&mut tx).await?);
        drop(tx);
        tracing::info!(copy = %copy.display(), "this is a database of the original: copying it, then taking it over");
        backup::backup(&look, Path::new(&copy)).await?;
    } else {
        drop(tx);
    }
    look.close().await;
    Ok(original)
}

fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A pool that keeps its connections: opening a file again costs more than an idle descriptor, and while one writer is
/// open, the readers never have to recover the log.
fn pool(connections: u32) -> PoolOptions<Sqlite> {
    PoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// A pool whose connections all lead to the same file, whatever happens to its name.
fn file_pool(connections: u32, linked: &Arc<Linked>, courtesy: Option<&Courtesy>) -> PoolOptions<Sqlite> {
    let (linked, courtesy) = (Arc::clone(linked), courtesy.cloned());
    release::sqlite(pool(connections)).after_connect(move |connection, _| {
        let (linked, courtesy) = (Arc::clone(&linked), courtesy.clone());
        Box::pin(async move {
            linked.verify().map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))?;
            // The first statement opens the log, which may have lost its name later on.
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").await?;
            match courtesy {
                Some(courtesy) => courtesy.teach(connection).await,
                None => Ok(()),
            }
        })
    })
}

/// What the file is, if it may be opened at all. Only reads.
async fn recognise(tx: &mut Transaction) -> Result<Option<Original>, Error> {
    let original = original::recognise(tx).await?;
    if original.is_none() {
        migrations::check(tx).await?;
    }
    Ok(original)
}

async fn migrate(pool: &SqlitePool, original: Option<&Original>) -> Result<(), Error> {
    let mut tx = begin(pool).await?;
    let version = tx.one::<Version>(Statement::new("SELECT sqlite_version() AS version"), "version").await?;
    version.check()?;
    match original {
        None => migrations::run(&mut tx).await?,
        Some(original) => {
            original.set_aside(&mut tx).await?;
            migrations::run_beside(&mut tx).await?;
            original.take_over(&mut tx).await?;
        }
    }
    seed::run(&mut tx).await?;
    tx.commit().await
}

// === impl Pools ===

impl Pools {
    /// Begins to write what must survive a power cut.
    pub(super) async fn begin_write(&self) -> Result<Transaction, Error> {
        self.watched(begin(&self.write).await?)
    }

    /// Begins to write the request log.
    pub(super) async fn begin_log(&self) -> Result<Transaction, Error> {
        self.watched(begin(&self.log).await?)
    }

    /// The writer goes last: the last one to leave folds the log into the file.
    pub(super) async fn close(&self) {
        self.read.close().await;
        self.log.close().await;
        self.write.close().await;
    }

    /// A transaction that is not committed unless the file is still the one of its name.
    fn watched(&self, mut tx: Transaction) -> Result<Transaction, Error> {
        if let (Transaction::Sqlite(tx), Some(linked)) = (&mut tx, &self.linked) {
            linked.note_log();
            tx.watch(Arc::clone(linked), self.generation);
        }
        Ok(tx)
    }

    /// Leaves the name to another file. What has been lost of this one is in no danger then.
    async fn make_way(&self, lost: Lost) -> Result<(), Error> {
        let Some(linked) = &self.linked else { return Ok(()) };
        match lost {
            Lost::Deleted | Lost::Replaced => linked.move_log_aside()?,
            Lost::LogDeleted => {
                // What is only in the log goes into the file; nobody else writes, because nobody else has the log either.
                if !self.write.is_closed() {
                    self.fold_in().await?;
                }
                self.leave().await?;
            }
            // Somebody else has done that.
            Lost::LogReplaced => self.leave().await?,
        }
        Ok(())
    }

    async fn fold_in(&self) -> Result<(), Error> {
        let (busy, ..): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.write).await?;
        if busy != 0 {
            return Err(Error::Unavailable("the log is in use".into()));
        }
        Ok(())
    }

    /// Two logs at once would share one index.
    async fn leave(&self) -> Result<(), Error> {
        let closed = timeout(PATIENCE, self.close()).await;
        closed.map_err(|_| Error::Unavailable("calls on the old connections do not end".into()))
    }
}

// === impl Version ===

impl Version {
    /// The library could be another one than the headers we were built with.
    fn check(&self) -> Result<(), Error> {
        let mut parts = self.0.split('.').map(|part| part.parse::<i64>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        if (next(), next(), next()) < OLDEST {
            return Err(Error::Incompatible(format!(
                "SQLite {} can lose committed writes; 3.51.3 or newer is needed",
                self.0
            )));
        }
        Ok(())
    }
}

impl FromRow for Version {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.text("version").map(Self)
    }
}

#[cfg(test)]
mod tests;

//! Opens a SQLite file.
//!
//! Three processes share the file: the first one creates it as a private file, one process at a time migrates it, and a
//! file of another program is only read.

mod backup;
mod database;
mod file;
mod yielder;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{Executor as _, Sqlite};
use tokio::time::timeout;

pub(super) use self::database::Database;
use self::yielder::Yielder;
use super::{ACQUIRE_TIMEOUT, release};
use crate::legacy::{self, LegacyDatabase};
use crate::linked_file::{Linked, Lost};
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, migrations, seed};

/// Number of read connections.
const READ_CONNECTIONS: u32 = 4;

/// Minimum version. Earlier versions can lose committed writes if one process checkpoints while another one commits
/// ("WAL reset"), which is exactly how the three services use the file.
const MIN_VERSION: (i64, i64, i64) = (3, 51, 3);
const _: () =
    assert!(libsqlite3_sys::SQLITE_VERSION_NUMBER >= 3_051_003, "this version of SQLite can lose committed writes");

/// Page size of a new file in bytes; an existing file keeps its own. Rows of the log have about two kilobytes: in pages
/// of 4096 bytes most of them would overflow or leave a gap, and half as many large pages cost less to verify, to log
/// and to checkpoint.
const PAGE_SIZE: u32 = 8192;

/// The connection pools. SQLite has only one writer at a time; two connections write so that each kind of write gets
/// the durability it needs. `BEGIN IMMEDIATE` and the busy timeout serialise them.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(super) read: SqlitePool,
    /// For the configuration: a committed write survives a power failure.
    pub(super) write: SqlitePool,
    /// For the request log: a committed write survives the termination of the process, and costs no sync.
    pub(super) log: SqlitePool,
    /// The open file; `None` for a database in memory.
    linked: Option<Arc<Linked>>,
    /// A number that differs for each file that was opened.
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
        .busy_timeout(ACQUIRE_TIMEOUT)
        .pragma("trusted_schema", "OFF");
    // `from_str` opens `sqlite::memory:` with a shared cache, whose locks ignore the busy timeout.
    if matches!(url, "sqlite::memory:" | "sqlite://:memory:") {
        return open_memory(options.shared_cache(false)).await;
    }
    let options = match options.get_filename().to_str().and_then(on_drive).filter(|_| cfg!(windows)).map(PathBuf::from)
    {
        Some(path) => options.filename(path),
        None => options,
    };
    let yielder = Yielder::new();
    let pools = open_file(options.clone(), &yielder, None).await?;
    Ok(Database::new(Some(options), pools, yielder))
}

/// Returns the Windows path of `sqlite:///C:/…`, without the slash before the drive, which belongs to the URL.
fn on_drive(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    let mut start = path.chars();
    let is_drive = start.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && start.next() == Some(':');
    is_drive.then_some(path)
}

/// Returns the version of the schema; `None` if there is no such file. Only reads.
pub(super) async fn applied(url: &str) -> Result<Option<i64>, Error> {
    let options = SqliteConnectOptions::from_str(url)?.create_if_missing(false).read_only(true);
    let options = match options.get_filename().to_str().and_then(on_drive).filter(|_| cfg!(windows)).map(PathBuf::from)
    {
        Some(path) => options.filename(path),
        None => options,
    };
    if !options.get_filename().exists() {
        return Ok(None);
    }
    let pool = pool(1).connect_with(options.busy_timeout(ACQUIRE_TIMEOUT)).await?;
    let mut tx = Transaction::Sqlite(pool.begin().await?.into());
    let applied = migrations::applied(&mut tx).await;
    drop(tx);
    pool.close().await;
    applied
}

/// Begins a write transaction. `BEGIN IMMEDIATE` waits for other writers, as the busy timeout applies to it. A
/// transaction that began with a read would fail at once on its first write if another writer has committed in between.
async fn begin(pool: &SqlitePool) -> Result<Transaction, Error> {
    Ok(Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?.into()))
}

/// Opens a database in memory with a single connection, which is never closed: a second connection would be another
/// database.
async fn open_memory(options: SqliteConnectOptions) -> Result<Database, Error> {
    let pool = pool(1).connect_with(options.in_memory(true)).await?;
    migrate(&pool, None).await?;
    let pools =
        Pools { read: pool.clone(), write: pool.clone(), log: pool, linked: None, generation: next_generation() };
    Ok(Database::new(None, pools, Yielder::new()))
}

/// Opens the file and migrates it. `instead_of` has been open under this name until now.
async fn open_file(
    options: SqliteConnectOptions,
    yielder: &Yielder,
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
        old.release_name(lost).await?;
    }
    let linked = Arc::new(Linked::new(&path)?);
    let original = inspect_file(&options, &path).await?;

    let options =
        options.page_size(PAGE_SIZE).journal_mode(SqliteJournalMode::Wal).pragma("journal_size_limit", "67108864");
    // On macOS only `fullfsync` reaches the disk; elsewhere it does nothing.
    let durable = options.clone().synchronous(SqliteSynchronous::Full).pragma("fullfsync", "ON");
    // Old values of secrets are overwritten when they are sealed or deleted, and so are the texts that a user deletes.
    let write = file_pool(1, &linked, None).connect_with(durable.pragma("secure_delete", "ON")).await?;
    migrate(&write, original.as_ref()).await?;
    drop(lock);
    // Consecutive batches of the log change the same few index pages, so rarer checkpoints write them less often: after
    // 16 MiB of log, with a cache of 8 MiB for the pages of a batch.
    let log = options.clone().synchronous(SqliteSynchronous::Normal);
    let log = log.pragma("wal_autocheckpoint", "2048").pragma("cache_size", "-8192");
    // Rows that are moved within a page leave no copy behind, which a later deletion would not overwrite. FAST does not
    // write the pages that retention frees.
    let log = log.pragma("secure_delete", "FAST");
    let log = file_pool(1, &linked, Some(yielder)).connect_with(log).await?;
    let read = options.synchronous(SqliteSynchronous::Normal).read_only(true);
    let read = file_pool(READ_CONNECTIONS, &linked, None).connect_with(read).await?;
    linked.note_log();
    linked.verify()?;
    Ok(Pools { read, write, log, linked: Some(linked), generation: next_generation() })
}

/// Determines what the file is, and copies it if it belongs to the Node.js version. Opens it read-only, because opening
/// another program's file for writing would change its journal mode.
async fn inspect_file(options: &SqliteConnectOptions, path: &Path) -> Result<Option<LegacyDatabase>, Error> {
    let look = pool(1).connect_with(options.clone().read_only(true)).await?;
    let mut tx = Transaction::Sqlite(look.begin().await?.into());
    let original = match recognise(&mut tx).await {
        Ok(original) => original,
        Err(Error::Corrupt(why)) => {
            let why = format!(
                "{why}; {} was not changed: restore a backup, or save the readable rows with `sqlite3 FILE .recover`",
                path.display()
            );
            return Err(Error::Corrupt(why.into()));
        }
        Err(other) => return Err(other),
    };
    if original.is_some() {
        let mut copy = path.to_owned().into_os_string();
        copy.push(LegacyDatabase::copy_suffix(&mut tx).await?);
        drop(tx);
        tracing::info!(copy = %copy.display(), "database of the Node.js version found, backing it up and importing it");
        backup::backup(&look, Path::new(&copy)).await?;
    } else {
        drop(tx);
    }
    look.close().await;
    Ok(original)
}

fn next_generation() -> u64 {
    static NEXT_GENERATION: AtomicU64 = AtomicU64::new(0);
    NEXT_GENERATION.fetch_add(1, Ordering::Relaxed)
}

/// Configures a pool that keeps its connections open: reopening a file costs more than an idle descriptor, and as long
/// as a writer is open, readers never have to recover the log.
fn pool(connections: u32) -> PoolOptions<Sqlite> {
    PoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A caller that waits longer gets an error; a warning for each one that waits almost as long adds nothing.
        .acquire_slow_threshold(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Configures a pool whose connections all refer to the same file, even if the name changes.
fn file_pool(connections: u32, linked: &Arc<Linked>, yielder: Option<&Yielder>) -> PoolOptions<Sqlite> {
    let (linked, yielder) = (Arc::clone(linked), yielder.cloned());
    release::sqlite(pool(connections)).after_connect(move |connection, _| {
        let (linked, yielder) = (Arc::clone(&linked), yielder.clone());
        Box::pin(async move {
            linked.verify().map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))?;
            // The first statement opens the log, whose name may be removed later.
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").await?;
            match yielder {
                Some(yielder) => yielder.install(connection).await,
                None => Ok(()),
            }
        })
    })
}

/// Recognises a file of the Node.js version, and refuses files that may not be opened. Only reads.
async fn recognise(tx: &mut Transaction) -> Result<Option<LegacyDatabase>, Error> {
    let original = legacy::recognise(tx).await?;
    if original.is_none() {
        migrations::check(tx).await?;
    }
    Ok(original)
}

async fn migrate(pool: &SqlitePool, original: Option<&LegacyDatabase>) -> Result<(), Error> {
    let mut tx = begin(pool).await?;
    let version = tx.one::<Version>(Statement::new("SELECT sqlite_version() AS version"), "version").await?;
    version.check()?;
    match original {
        None => migrations::run(&mut tx).await?,
        Some(original) => {
            original.rename_tables(&mut tx).await?;
            migrations::run_beside(&mut tx).await?;
            original.copy_rows(&mut tx).await?;
        }
    }
    seed::run(&mut tx).await?;
    tx.commit().await
}

// === impl Pools ===

impl Pools {
    /// Begins a durable write transaction.
    pub(super) async fn begin_write(&self) -> Result<Transaction, Error> {
        self.guard_commit(begin(&self.write).await?)
    }

    /// Begins a transaction that writes the request log.
    pub(super) async fn begin_log(&self) -> Result<Transaction, Error> {
        self.guard_commit(begin(&self.log).await?)
    }

    /// Closes the write connection last, because the last connection to close runs a checkpoint.
    pub(super) async fn close(&self) {
        self.read.close().await;
        self.log.close().await;
        self.write.close().await;
    }

    /// Prepares a transaction that only commits if the file still has its name.
    fn guard_commit(&self, mut tx: Transaction) -> Result<Transaction, Error> {
        if let (Transaction::Sqlite(tx), Some(linked)) = (&mut tx, &self.linked) {
            linked.note_log();
            tx.watch(Arc::clone(linked), self.generation);
        }
        Ok(tx)
    }

    /// Releases the name for another file, without losing data of this one.
    async fn release_name(&self, lost: Lost) -> Result<(), Error> {
        let Some(linked) = &self.linked else { return Ok(()) };
        match lost {
            Lost::Deleted | Lost::Replaced => {
                // The connections still reach the old file, wherever it was moved: what is only in the log goes there.
                if !self.write.is_closed()
                    && let Err(error) = timeout(ACQUIRE_TIMEOUT, self.checkpoint())
                        .await
                        .unwrap_or_else(|_| Err(Error::Unavailable("the log is in use".into())))
                {
                    tracing::warn!(
                        %error, path = %linked.path().display(),
                        "the newest rows of the replaced database stay in its WAL file, which is moved aside"
                    );
                }
                linked.move_log_aside()?;
            }
            Lost::LogDeleted => {
                // Data that are only in the log are checkpointed into the file. No other process writes, because none
                // has the log either.
                if !self.write.is_closed() {
                    self.checkpoint().await?;
                }
                within(self.close()).await?;
            }
            // Another process has already checkpointed, or may be about to.
            Lost::LogReplaced | Lost::IndexDeleted | Lost::IndexReplaced => within(self.abandon()).await?,
        }
        Ok(())
    }

    async fn checkpoint(&self) -> Result<(), Error> {
        let (busy, ..): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.write).await?;
        if busy != 0 {
            return Err(Error::Unavailable("the log is in use".into()));
        }
        Ok(())
    }

    /// Closes all connections without a checkpoint, because their index of the log may be outdated. The last connection
    /// to close runs one, unless it is read-only: SQLite cannot lock the file exclusively then.
    pub(super) async fn abandon(&self) {
        // Keeps a reader open. Without any, for instance because all are closed already, there is nothing to keep.
        let reader = self.read.acquire().await;
        self.log.close().await;
        self.write.close().await;
        drop(reader);
        self.read.close().await;
    }
}

/// Waits for connections to close before the file is reopened, because two logs at once would share one index.
async fn within(closing: impl Future<Output = ()>) -> Result<(), Error> {
    let closed = timeout(ACQUIRE_TIMEOUT, closing).await;
    closed.map_err(|_| Error::Unavailable("calls on the old connections did not end".into()))
}

// === impl Version ===

impl Version {
    /// Checks the version at run time: the loaded library may differ from the headers of the build.
    fn check(&self) -> Result<(), Error> {
        let mut parts = self.0.split('.').map(|part| part.parse::<i64>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        if (next(), next(), next()) < MIN_VERSION {
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

//! Opening a SQLite file.
//!
//! Three processes share the file, so it is opened with care: the first one makes it private, one at a time brings it up
//! to date, and a file that is not ours is only looked at.

mod backup;
mod courtesy;
mod file;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::Sqlite;
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};

use self::courtesy::Courtesy;
use super::PATIENCE;
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
#[derive(Clone, Debug)]
pub(super) struct Pools {
    pub(super) read: SqlitePool,
    /// Configuration: an acknowledged write survives a power cut.
    pub(super) write: SqlitePool,
    /// The request log: an acknowledged write survives the end of the process, and costs no sync.
    pub(super) log: SqlitePool,
    courtesy: Courtesy,
}

struct Version(String);

pub(super) async fn open(url: &str) -> Result<Pools, Error> {
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
    match options.get_filename().to_str().and_then(on_drive).filter(|_| cfg!(windows)).map(PathBuf::from) {
        Some(path) => open_file(options.filename(path)).await,
        None => open_file(options).await,
    }
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
pub(super) async fn begin(pool: &SqlitePool) -> Result<Transaction, Error> {
    Ok(Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?))
}

/// One connection for everything: another one would be another database.
async fn open_memory(options: SqliteConnectOptions) -> Result<Pools, Error> {
    let pool = connect(1, options.in_memory(true)).await?;
    migrate(&pool, None).await?;
    Ok(Pools { read: pool.clone(), write: pool.clone(), log: pool, courtesy: Courtesy::new() })
}

async fn open_file(options: SqliteConnectOptions) -> Result<Pools, Error> {
    let path = options.get_filename().to_owned();
    if path.as_os_str().is_empty() {
        return Err(Error::Invalid("the SQLite URL names no file".to_owned()));
    }
    file::create_private(&path)?;
    let lock = file::lock(&path).await?;
    // Opening for writing would already change the journal mode of somebody else's file.
    let look = connect(1, options.clone().read_only(true)).await?;
    let mut tx = Transaction::Sqlite(look.begin().await?);
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
        let mut copy = path.clone().into_os_string();
        copy.push(Original::copy_suffix(&mut tx).await?);
        drop(tx);
        tracing::info!(copy = %copy.display(), "this is a database of the original: copying it, then taking it over");
        backup::backup(&look, Path::new(&copy)).await?;
    } else {
        drop(tx);
    }
    look.close().await;

    let options = options.page_size(PAGE).journal_mode(SqliteJournalMode::Wal).pragma("journal_size_limit", "67108864");
    // On macOS only `fullfsync` reaches the disk; elsewhere it does nothing.
    let durable = options.clone().synchronous(SqliteSynchronous::Full).pragma("fullfsync", "ON");
    // What was a secret before it was sealed, or deleted, is overwritten.
    let write = connect(1, durable.pragma("secure_delete", "ON")).await?;
    migrate(&write, original.as_ref()).await?;
    drop(lock);
    // A batch of the log changes the same few index pages as the one before: the rarer the log is folded into the file,
    // the fewer times they are written. 16 MiB of it, and 8 MiB of memory for what a batch touches.
    let log = options.clone().synchronous(SqliteSynchronous::Normal);
    let log = log.pragma("wal_autocheckpoint", "2048").pragma("cache_size", "-8192");
    let courtesy = Courtesy::new();
    let log = courtesy.teach(pool(1)).connect_with(log).await?;
    let read = connect(READERS, options.synchronous(SqliteSynchronous::Normal).read_only(true)).await?;
    Ok(Pools { read, write, log, courtesy })
}

async fn connect(connections: u32, options: SqliteConnectOptions) -> Result<SqlitePool, Error> {
    Ok(pool(connections).connect_with(options).await?)
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
    /// See [`crate::Store::give_way`].
    pub(super) fn give_way(&self, span: Duration) {
        self.courtesy.last(span);
    }

    /// See [`crate::Store::backup`].
    pub(super) async fn backup(&self, path: &Path) -> Result<(), Error> {
        backup::backup(&self.read, path).await
    }

    /// The writer goes last: the last one to leave folds the log into the file.
    pub(super) async fn close(&self) {
        self.read.close().await;
        self.log.close().await;
        self.write.close().await;
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

//! The open database and its connections.

mod postgres;
mod release;
mod sqlite;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgPool;
use tokio::sync::{Mutex, MutexGuard};

use crate::exchanges::openings::Openings;
use crate::migrations;
use crate::row::FromRow;
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, catalog, condition};

/// Maximum time a caller waits for a connection, or for another writer, before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The open database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    openings: Arc<Mutex<Openings>>,
}

/// The kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SQLite: a local file, or memory.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// The version of the schema of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaVersion {
    /// Version that the database has; `None` if it does not exist or has no tables of this program.
    pub applied: Option<i64>,
    /// Version that this program applies when it opens a database.
    pub known: i64,
}

#[derive(Clone, Debug)]
enum Pool {
    Sqlite(sqlite::Database),
    Postgres(PgPool),
}

// === impl Store ===

impl Store {
    /// Opens the database at `url`, creates it if it is a file that does not exist, and brings its schema up to date.
    /// Any number of processes may do that concurrently.
    ///
    /// `url` is `sqlite:///absolute/file.db`, `sqlite://relative/file.db`, `sqlite::memory:` (for tests: discarded with
    /// the store) or `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other URLs, [`Error::Incompatible`] if the database belongs to another program or to a
    /// newer version, [`Error::Unavailable`] if it cannot be reached or written within a few seconds.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let pool = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Pool::Sqlite(sqlite::open(url).await?),
            Some("postgres" | "postgresql") => Pool::Postgres(postgres::open(url).await?),
            // The URL may contain a password, so the message does not repeat it.
            _ => return Err(Error::Invalid("the database URL must begin with sqlite: or postgres:".to_owned())),
        };
        Ok(Self { pool, openings: Arc::default() })
    }

    /// Reads the version of the schema of the database at `url`, which is neither created nor changed.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other URLs than those of [`Self::open`], [`Error::Unavailable`] if it cannot be reached or
    /// read.
    pub async fn schema_version(url: &str) -> Result<SchemaVersion, Error> {
        let applied = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => sqlite::applied(url).await?,
            Some("postgres" | "postgresql") => postgres::applied(url).await?,
            _ => return Err(Error::Invalid("the database URL must begin with sqlite: or postgres:".to_owned())),
        };
        Ok(SchemaVersion { applied, known: migrations::known() })
    }

    /// Checks that the database responds.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.first::<()>(Statement::new("SELECT 1 AS one")).await.map(drop)
    }

    /// Closes all connections, after the statements running on them have ended. Later calls fail with
    /// [`Error::Unavailable`].
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(database) => database.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// Copies a SQLite database to a new file at `path` that only this user can access, while other processes may use
    /// the database. The copy is durable when this returns.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the database is not a file, or `path` exists; [`Error::Unavailable`] if the copy cannot be
    /// written.
    pub async fn backup(&self, path: &Path) -> Result<(), Error> {
        match &self.pool {
            Pool::Sqlite(database) => database.backup(path).await,
            Pool::Postgres(_) => {
                Err(Error::Invalid("only a SQLite database in a file can be backed up here".to_owned()))
            }
        }
    }

    /// Makes log writes on SQLite yield the CPU core between short steps for this time span; afterwards they run
    /// normally. Does nothing on PostgreSQL, which works in other processes.
    pub fn yield_for(&self, span: Duration) {
        match &self.pool {
            Pool::Sqlite(database) => database.yield_for(span),
            Pool::Postgres(_) => {}
        }
    }

    /// Returns the reason why nothing can be written, if the SQLite file was deleted or replaced while it was in use.
    /// The result is as of the last use of the database, at most a second ago if [`crate::settings::watch`] is running.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        match &self.pool {
            Pool::Sqlite(database) => database.is_lost().then_some("db_replaced"),
            Pool::Postgres(_) => None,
        }
    }

    /// Returns a number that differs for each file that was opened in place of a replaced one. Cached data of another
    /// generation must be discarded.
    pub(crate) fn generation(&self) -> u64 {
        match &self.pool {
            Pool::Sqlite(database) => database.reopened(),
            Pool::Postgres(_) => 0,
        }
    }

    /// Returns the bytes of the database.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn bytes(&self) -> Result<i64, Error> {
        let text = match self.kind() {
            Kind::Sqlite => "SELECT page_count * page_size AS total FROM pragma_page_count(), pragma_page_size()",
            Kind::Postgres => "SELECT pg_database_size(current_database()) AS total",
        };
        self.read().await?.total(Statement::new(text)).await
    }

    /// Returns the kind of database.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match &self.pool {
            Pool::Sqlite(_) => Kind::Sqlite,
            Pool::Postgres(_) => Kind::Postgres,
        }
    }

    /// Begins a read transaction, in which all statements see the same state.
    pub(crate) async fn read(&self) -> Result<Transaction, Error> {
        match &self.pool {
            Pool::Sqlite(database) => Ok(Transaction::Sqlite(database.for_reading().await.read.begin().await?.into())),
            Pool::Postgres(pool) => {
                // By default, every statement would see a state of its own.
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Ok(Transaction::Postgres(pool.begin_with(begin).await?))
            }
        }
    }

    /// Begins a write transaction that is durable: once committed, it survives a power failure. Fails if the task may
    /// write only to [another version](catalog::only_at) of the catalogue.
    pub(crate) async fn write(&self) -> Result<Transaction, Error> {
        let mut tx = match &self.pool {
            Pool::Sqlite(database) => database.for_writing().await?.begin_write().await?,
            Pool::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
        };
        tx.sign().await?;
        if let Some(version) = condition::expected()
            && catalog::hold(self, &mut tx).await? != version
        {
            return Err(Error::Stale);
        }
        Ok(tx)
    }

    /// Begins a durable transaction that deletes entries of the request log on behalf of a user. Like
    /// [`Self::write_log`] it is serialised with all writers of the log. SQLite overwrites the deleted texts with
    /// zeros.
    pub(crate) async fn write_erasure(&self) -> Result<Transaction, Error> {
        let mut tx = match &self.pool {
            Pool::Sqlite(database) => database.for_writing().await?.begin_write().await?,
            Pool::Postgres(pool) => postgres::begin_log(pool).await?,
        };
        tx.sign().await?;
        Ok(tx)
    }

    /// Begins a transaction that writes the request log.
    pub(crate) async fn write_log(&self) -> Result<Transaction, Error> {
        match &self.pool {
            Pool::Sqlite(database) => database.for_writing().await?.begin_log().await,
            Pool::Postgres(pool) => postgres::begin_log(pool).await,
        }
    }

    /// Returns the cached openings for the database of this transaction. Only called within a transaction that writes
    /// the log; these are serialised, so the lock is not contended.
    pub(crate) async fn openings(&self, tx: &Transaction) -> MutexGuard<'_, Openings> {
        let mut openings = self.openings.lock().await;
        openings.reset_if_replaced(tx.generation());
        openings
    }

    /// Runs a read-only statement and returns its first row, if any.
    pub(crate) async fn first<T: FromRow>(&self, statement: Statement<'_>) -> Result<Option<T>, Error> {
        statement.check()?;
        match &self.pool {
            Pool::Sqlite(database) => {
                let pools = database.for_reading().await;
                statement.for_sqlite()?.fetch_optional(&pools.read).await?.map(|row| T::from_row(&row)).transpose()
            }
            Pool::Postgres(pool) => {
                statement.for_postgres()?.fetch_optional(pool).await?.map(|row| T::from_row(&row)).transpose()
            }
        }
    }

    /// Runs a read-only statement and returns its row, which must exist.
    pub(crate) async fn one<T: FromRow>(&self, statement: Statement<'_>, entity: &'static str) -> Result<T, Error> {
        self.first(statement).await?.ok_or(Error::NotFound { entity })
    }

    /// Runs a read-only statement and returns all rows.
    pub(crate) async fn all<T: FromRow>(&self, statement: Statement<'_>) -> Result<Vec<T>, Error> {
        statement.check()?;
        match &self.pool {
            Pool::Sqlite(database) => {
                let pools = database.for_reading().await;
                statement.for_sqlite()?.fetch_all(&pools.read).await?.iter().map(|row| T::from_row(row)).collect()
            }
            Pool::Postgres(pool) => {
                statement.for_postgres()?.fetch_all(pool).await?.iter().map(|row| T::from_row(row)).collect()
            }
        }
    }

    /// Runs a statement that must change a row; `entity` names the row in errors.
    pub(crate) async fn change(&self, statement: Statement<'_>, entity: &'static str) -> Result<(), Error> {
        let mut tx = self.write().await?;
        if tx.execute(statement).await? == 0 {
            return Err(Error::NotFound { entity });
        }
        tx.commit().await
    }

    /// Runs a statement that writes and returns the changed row.
    pub(crate) async fn change_returning<T: FromRow>(
        &self,
        statement: Statement<'_>,
        entity: &'static str,
    ) -> Result<T, Error> {
        let mut tx = self.write().await?;
        let row = tx.one(statement, entity).await?;
        tx.commit().await?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    #[tokio::test]
    async fn store_futures_are_send() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        is_send(&store.read());
        is_send(&store.write());
        is_send(&store.write_log());
        is_send(&store.close());
    }
}

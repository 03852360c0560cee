//! The open database.

mod postgres;
mod release;
mod sqlite;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgPool;
use tokio::sync::{Mutex, MutexGuard};

use crate::exchanges::Openings;
use crate::row::FromRow;
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, audit};
pub(crate) use sqlite::Linked;

/// How long a caller waits for a connection, or for another writer, before the database counts as unavailable.
const PATIENCE: Duration = Duration::from_secs(5);

/// The open database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    openings: Arc<Mutex<Openings>>,
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of this machine, or memory.
    Sqlite,
    /// A server.
    Postgres,
}

#[derive(Clone, Debug)]
enum Pool {
    Sqlite(sqlite::Database),
    Postgres(PgPool),
}

// === impl Store ===

impl Store {
    /// Opens the database at `url`, makes it if it is a file that does not exist, and brings its schema up to date. Any
    /// number of processes may do that at once.
    ///
    /// `url` is `sqlite:///absolute/file.db`, `sqlite://relative/file.db`, `sqlite::memory:` (for tests: gone with the
    /// store) or `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other URLs, [`Error::Incompatible`] if the database belongs to another program or to a
    /// newer version, [`Error::Unavailable`] if it cannot be reached or written within a few seconds.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let pool = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Pool::Sqlite(sqlite::open(url).await?),
            Some("postgres" | "postgresql") => Pool::Postgres(postgres::open(url).await?),
            // The URL may hold a password, so it is not repeated.
            _ => return Err(Error::Invalid("the database URL must begin with sqlite: or postgres:".to_owned())),
        };
        Ok(Self { pool, openings: Arc::default() })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.first::<()>(Statement::new("SELECT 1 AS one")).await.map(drop)
    }

    /// Closes all connections, once what runs on them has ended. Later calls fail with [`Error::Unavailable`].
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(database) => database.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// Copies a SQLite database to a new file at `path`, for this user only, while others may use it. The copy survives a power
    /// cut when this returns.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the database is no file, or `path` exists; [`Error::Unavailable`] if it cannot be written.
    pub async fn backup(&self, path: &Path) -> Result<(), Error> {
        match &self.pool {
            Pool::Sqlite(database) => database.backup(path).await,
            Pool::Postgres(_) => Err(Error::Invalid("only a database in a file is copied here".to_owned())),
        }
    }

    /// For so long, lets others have the core between two steps of what is written to the log; afterwards, it takes what the
    /// scheduler gives it. PostgreSQL does its work elsewhere.
    pub fn give_way(&self, span: Duration) {
        match &self.pool {
            Pool::Sqlite(database) => database.give_way(span),
            Pool::Postgres(_) => {}
        }
    }

    /// Why nothing is written, where the reason is that the SQLite file was deleted or replaced while it was in use. As it
    /// was when somebody used the database last, which is at most a second ago where [`crate::settings::watch`] runs.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        match &self.pool {
            Pool::Sqlite(database) => database.is_lost().then_some("db_replaced"),
            Pool::Postgres(_) => None,
        }
    }

    /// Another number for each file that was opened instead of a replaced one: what was read before has to be read again.
    pub(crate) fn generation(&self) -> u64 {
        match &self.pool {
            Pool::Sqlite(database) => database.reopened(),
            Pool::Postgres(_) => 0,
        }
    }

    /// Which database it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match &self.pool {
            Pool::Sqlite(_) => Kind::Sqlite,
            Pool::Postgres(_) => Kind::Postgres,
        }
    }

    /// Begins to read: all statements see the same state.
    pub(crate) async fn read(&self) -> Result<Transaction, Error> {
        match &self.pool {
            Pool::Sqlite(database) => Ok(Transaction::Sqlite(database.for_reading().await.read.begin().await?.into())),
            Pool::Postgres(pool) => {
                // By default every statement would see a state of its own.
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Ok(Transaction::Postgres(pool.begin_with(begin).await?))
            }
        }
    }

    /// Begins to write what must survive a power cut.
    pub(crate) async fn write(&self) -> Result<Transaction, Error> {
        let mut tx = match &self.pool {
            Pool::Sqlite(database) => database.for_writing().await?.begin_write().await?,
            Pool::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
        };
        audit::sign(&mut tx).await?;
        Ok(tx)
    }

    /// Begins to write the request log.
    pub(crate) async fn write_log(&self) -> Result<Transaction, Error> {
        match &self.pool {
            Pool::Sqlite(database) => database.for_writing().await?.begin_log().await,
            Pool::Postgres(pool) => postgres::begin_log(pool).await,
        }
    }

    /// What is remembered of how conversations began in the database of this transaction. For whoever has begun to write
    /// the request log, so nobody waits.
    pub(crate) async fn openings(&self, tx: &Transaction) -> MutexGuard<'_, Openings> {
        let mut openings = self.openings.lock().await;
        openings.belong_to(tx.generation());
        openings
    }

    /// One statement that only reads: the first row.
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

    /// One statement that only reads: the row, which has to be there.
    pub(crate) async fn one<T: FromRow>(&self, statement: Statement<'_>, what: &'static str) -> Result<T, Error> {
        self.first(statement).await?.ok_or(Error::NotFound { what })
    }

    /// One statement that only reads: all rows.
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

    /// One statement that writes, which has to change a row: `what` names it.
    pub(crate) async fn change(&self, statement: Statement<'_>, what: &'static str) -> Result<(), Error> {
        let mut tx = self.write().await?;
        if tx.execute(statement).await? == 0 {
            return Err(Error::NotFound { what });
        }
        tx.commit().await
    }

    /// One statement that writes and returns the row it changed.
    pub(crate) async fn change_returning<T: FromRow>(
        &self,
        statement: Statement<'_>,
        what: &'static str,
    ) -> Result<T, Error> {
        let mut tx = self.write().await?;
        let row = tx.one(statement, what).await?;
        tx.commit().await?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    #[tokio::test]
    async fn what_reads_and_writes_can_be_spawned() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        is_send(&store.read());
        is_send(&store.write());
        is_send(&store.write_log());
        is_send(&store.close());
    }
}

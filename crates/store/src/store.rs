//! The open database.

mod postgres;
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
    Sqlite(sqlite::Pools),
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
            Pool::Sqlite(pools) => pools.close().await,
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
            Pool::Sqlite(pools) => pools.backup(path).await,
            Pool::Postgres(_) => Err(Error::Invalid("only a database in a file is copied here".to_owned())),
        }
    }

    /// For so long, lets others have the core between two steps of what is written to the log; afterwards, it takes what the
    /// scheduler gives it. PostgreSQL does its work elsewhere.
    pub fn give_way(&self, span: Duration) {
        match &self.pool {
            Pool::Sqlite(pools) => pools.give_way(span),
            Pool::Postgres(_) => {}
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
            Pool::Sqlite(pools) => Ok(Transaction::Sqlite(pools.read.begin().await?)),
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
            Pool::Sqlite(pools) => sqlite::begin(&pools.write).await?,
            Pool::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
        };
        audit::sign(&mut tx).await?;
        Ok(tx)
    }

    /// Begins to write the request log.
    pub(crate) async fn write_log(&self) -> Result<Transaction, Error> {
        match &self.pool {
            Pool::Sqlite(pools) => sqlite::begin(&pools.log).await,
            Pool::Postgres(pool) => postgres::begin_log(pool).await,
        }
    }

    /// What is remembered of how conversations began. For whoever has begun to write the request log, so nobody waits.
    pub(crate) async fn openings(&self) -> MutexGuard<'_, Openings> {
        self.openings.lock().await
    }

    /// One statement that only reads: the first row.
    pub(crate) async fn first<T: FromRow>(&self, statement: Statement<'_>) -> Result<Option<T>, Error> {
        statement.check()?;
        match &self.pool {
            Pool::Sqlite(pools) => {
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
            Pool::Sqlite(pools) => {
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

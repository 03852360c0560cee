//! A transaction of either database. Dropping it rolls back.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{Postgres, Sqlite, SqliteConnection};

use crate::page::Total;
use crate::row::FromRow;
use crate::statement::Statement;
use crate::store::Linked;
use crate::{Error, audit};

/// See the module. Statements run one after the other, each in the transaction.
pub(crate) enum Transaction {
    Sqlite(SqliteTransaction),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// A transaction of SQLite, and the file it belongs to.
pub(crate) struct SqliteTransaction {
    tx: sqlx::Transaction<'static, Sqlite>,
    /// Of who writes to a file.
    linked: Option<Arc<Linked>>,
    generation: u64,
}

// === impl Transaction ===

impl Transaction {
    /// Runs a statement; answers how many rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Error> {
        statement.check()?;
        match self {
            Self::Sqlite(tx) => Ok(statement.for_sqlite()?.execute(&mut **tx).await?.rows_affected()),
            Self::Postgres(tx) => Ok(statement.for_postgres()?.execute(&mut **tx).await?.rows_affected()),
        }
    }

    /// All rows.
    pub(crate) async fn all<T: FromRow>(&mut self, statement: Statement<'_>) -> Result<Vec<T>, Error> {
        statement.check()?;
        match self {
            Self::Sqlite(tx) => {
                statement.for_sqlite()?.fetch_all(&mut **tx).await?.iter().map(|row| T::from_row(row)).collect()
            }
            Self::Postgres(tx) => {
                statement.for_postgres()?.fetch_all(&mut **tx).await?.iter().map(|row| T::from_row(row)).collect()
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn first<T: FromRow>(&mut self, statement: Statement<'_>) -> Result<Option<T>, Error> {
        statement.check()?;
        match self {
            Self::Sqlite(tx) => {
                statement.for_sqlite()?.fetch_optional(&mut **tx).await?.map(|row| T::from_row(&row)).transpose()
            }
            Self::Postgres(tx) => {
                statement.for_postgres()?.fetch_optional(&mut **tx).await?.map(|row| T::from_row(&row)).transpose()
            }
        }
    }

    /// The first row, which has to be there: `what` names it.
    pub(crate) async fn one<T: FromRow>(&mut self, statement: Statement<'_>, what: &'static str) -> Result<T, Error> {
        self.first(statement).await?.ok_or(Error::NotFound { what })
    }

    /// The answer to `SELECT COUNT(*) AS total …`.
    pub(crate) async fn total(&mut self, statement: Statement<'_>) -> Result<i64, Error> {
        Ok(self.one::<Total>(statement, "count").await?.0)
    }

    /// Makes it last.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        audit::unsign(&mut self).await?;
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => Ok(tx.commit().await?),
        }
    }

    /// Another number for each database that was opened: what is remembered of one does not hold for another.
    pub(crate) const fn generation(&self) -> u64 {
        match self {
            Self::Sqlite(tx) => tx.generation,
            Self::Postgres(_) => 0,
        }
    }
}

// === impl SqliteTransaction ===

impl SqliteTransaction {
    /// From now on, it is committed only to the file of that name.
    pub(crate) fn watch(&mut self, linked: Arc<Linked>, generation: u64) {
        (self.linked, self.generation) = (Some(linked), generation);
    }

    /// Makes it last. A file that has lost its name meanwhile does not last, whatever is written to it.
    async fn commit(self) -> Result<(), Error> {
        let Self { tx, linked, .. } = self;
        if let Some(linked) = &linked {
            linked.verify()?;
        }
        tx.commit().await?;
        linked.map_or(Ok(()), |linked| linked.verify())
    }
}

impl From<sqlx::Transaction<'static, Sqlite>> for SqliteTransaction {
    fn from(tx: sqlx::Transaction<'static, Sqlite>) -> Self {
        Self { tx, linked: None, generation: 0 }
    }
}

impl Deref for SqliteTransaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.tx
    }
}

impl DerefMut for SqliteTransaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }
}

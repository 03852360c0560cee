//! A transaction on either database. Dropping it rolls it back.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{Postgres, Sqlite, SqliteConnection};

use crate::Error;
use crate::actor::{self, Actor};
use crate::linked_file::Linked;
use crate::page::Total;
use crate::row::FromRow;
use crate::statement::Statement;

/// A transaction on either database, see the module documentation. Statements run in sequence.
pub(crate) enum Transaction {
    Sqlite(SqliteTransaction),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// A SQLite transaction and the file it belongs to.
pub(crate) struct SqliteTransaction {
    tx: sqlx::Transaction<'static, Sqlite>,
    /// Only set for transactions that write to a file.
    linked: Option<Arc<Linked>>,
    generation: u64,
}

// === impl Transaction ===

impl Transaction {
    /// Runs a statement; returns the number of changed rows.
    pub(crate) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Error> {
        statement.check()?;
        match self {
            Self::Sqlite(tx) => Ok(statement.for_sqlite()?.execute(&mut **tx).await?.rows_affected()),
            Self::Postgres(tx) => Ok(statement.for_postgres()?.execute(&mut **tx).await?.rows_affected()),
        }
    }

    /// Returns all rows.
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

    /// Returns the first row, if any.
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

    /// Returns the first row, which must exist: `entity` names it in errors.
    pub(crate) async fn one<T: FromRow>(&mut self, statement: Statement<'_>, entity: &'static str) -> Result<T, Error> {
        self.first(statement).await?.ok_or(Error::NotFound { entity })
    }

    /// Returns the result of `SELECT COUNT(*) AS total …`.
    pub(crate) async fn total(&mut self, statement: Statement<'_>) -> Result<i64, Error> {
        Ok(self.one::<Total>(statement, "count").await?.0)
    }

    /// Stores the actor of the current task, if any, as the author of the changes; called at the beginning.
    pub(crate) async fn sign(&mut self) -> Result<(), Error> {
        match actor::current() {
            Some(actor) => self.sign_as(&actor).await,
            None => Ok(()),
        }
    }

    /// Stores `actor` as the author of the changes.
    pub(crate) async fn sign_as(&mut self, actor: &Actor) -> Result<(), Error> {
        // SQLite has one writer at a time; PostgreSQL distinguishes them by transaction number.
        let text = match self {
            Self::Sqlite(_) => {
                "INSERT INTO audit_actor (tx, actor, request_id, method, path) VALUES (0, $1, $2, $3, $4)"
            }
            Self::Postgres(_) => {
                "INSERT INTO audit_actor (tx, actor, request_id, method, path) VALUES (txid_current(), $1, $2, $3, $4)"
            }
        };
        let request = actor.request.as_ref();
        let statement = Statement::new(text)
            .bind(&actor.name)
            .bind(request.map(|request| request.id.as_str()))
            .bind(request.map(|request| request.method.as_str()))
            .bind(request.map(|request| request.path.as_str()));
        self.execute(statement.replacing_nul()).await.map(drop)
    }

    /// Removes the author.
    pub(crate) async fn unsign(&mut self) -> Result<(), Error> {
        let text = match self {
            Self::Sqlite(_) => "DELETE FROM audit_actor WHERE tx = 0",
            Self::Postgres(_) => "DELETE FROM audit_actor WHERE tx = txid_current()",
        };
        self.execute(Statement::new(text)).await.map(drop)
    }

    /// Commits the transaction.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        // The next transaction may have another actor.
        if actor::current().is_some() {
            self.unsign().await?;
        }
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => Ok(tx.commit().await?),
        }
    }

    /// Returns a number that differs for each database file that was opened, so that cached data of another file are
    /// not used.
    pub(crate) const fn generation(&self) -> u64 {
        match self {
            Self::Sqlite(tx) => tx.generation,
            Self::Postgres(_) => 0,
        }
    }
}

// === impl SqliteTransaction ===

impl SqliteTransaction {
    /// Makes the commit depend on the file still having its name.
    pub(crate) fn watch(&mut self, linked: Arc<Linked>, generation: u64) {
        (self.linked, self.generation) = (Some(linked), generation);
    }

    /// Commits the transaction. Fails if the file has lost its name, because its data will be lost. The second check
    /// detects a loss during the commit.
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

//! What can go wrong, seen from the caller.

use std::error::Error as StdError;

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

/// The cause of an [`Error`], for people. It is part of the message, so that a log line is complete without its chain.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why a call of this crate failed. Nothing was written, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such row.
    #[error("{what} not found")]
    NotFound {
        /// `provider`, `model`, `link`, …
        what: &'static str,
    },
    /// The row exists already.
    #[error("{what} is taken already")]
    Conflict {
        /// The unique columns, the same for both databases: `providers.name`.
        what: String,
    },
    /// The database is away, locked, busy, full or read-only: the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(Cause),
    /// The caller asked for something that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The database holds something that cannot be read.
    #[error("the database is damaged: {0}")]
    Corrupt(Cause),
    /// A secret cannot be opened with the key at hand.
    #[error("{0}")]
    Sealed(String),
    /// The database belongs to another program, or to a newer version of this one. It was not touched.
    #[error("{0}")]
    Incompatible(String),
    /// A mistake in this crate.
    #[error("the database refused a statement: {0}")]
    Internal(Cause),
}

// === impl Error ===

impl Error {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// An error of a row whose column holds what it never should.
    pub(crate) fn unreadable(column: &str, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!("column {column}: {reason}").into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => refused(error),
            sqlx::Error::Migrate(error) => (*error).into(),
            sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => Self::Invalid(error.to_string()),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.into()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error.into()),
            other => Self::Internal(other.into()),
        }
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            other => Self::Incompatible(format!("the database cannot be migrated: {other}")),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

fn refused(error: Box<dyn DatabaseError>) -> Error {
    match error.kind() {
        ErrorKind::UniqueViolation => return Error::Conflict { what: unique_columns(&*error) },
        // Deleting cascades, so this is always a row that points at nothing.
        ErrorKind::ForeignKeyViolation => return Error::NotFound { what: "referenced row" },
        _ => {}
    }
    let code = error.code().unwrap_or_default().into_owned();
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        refused_by_postgres(&code, error)
    } else {
        refused_by_sqlite(&code, error)
    }
}

/// The PostgreSQL migrations name their constraints by what SQLite says: `providers.name`.
fn unique_columns(error: &dyn DatabaseError) -> String {
    error.constraint().map_or_else(
        || error.message().rsplit_once("failed: ").map_or("a key", |(_, columns)| columns).to_owned(),
        str::to_owned,
    )
}

/// <https://www.sqlite.org/rescode.html>: the low byte is the primary code.
fn refused_by_sqlite(code: &str, error: Box<dyn DatabaseError>) -> Error {
    match code.parse::<i64>().map(|code| code & 0xff) {
        // PERM, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL, AUTH
        Ok(3 | 5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15 | 23) => Error::Unavailable(error.into_error_box()),
        // CORRUPT, NOTADB
        Ok(11 | 26) => Error::Corrupt(error.into_error_box()),
        // TOOBIG
        Ok(18) => Error::Invalid("a value is larger than the database can hold".to_owned()),
        _ => Error::Internal(error.into_error_box()),
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>: the first two characters are the class.
fn refused_by_postgres(code: &str, error: Box<dyn DatabaseError>) -> Error {
    match (code, code.get(..2).unwrap_or_default()) {
        // read-only transaction; lock not available; a plan that a migration has made stale
        ("25006" | "55P03" | "0A000", _) => Error::Unavailable(error.into_error_box()),
        // data or index corrupted
        ("XX001" | "XX002", _) => Error::Corrupt(error.into_error_box()),
        // connection, authorisation, no such database, rollback, resources, intervention, system
        (_, "08" | "28" | "3D" | "40" | "53" | "57" | "58") => Error::Unavailable(error.into_error_box()),
        // data exception
        (_, "22") => Error::Invalid(error.message().to_owned()),
        _ => Error::Internal(error.into_error_box()),
    }
}

/// `Box<dyn DatabaseError>` as the cause of an [`Error`].
trait IntoErrorBox {
    fn into_error_box(self) -> Cause;
}

impl IntoErrorBox for Box<dyn DatabaseError> {
    fn into_error_box(self) -> Cause {
        sqlx::Error::Database(self).into()
    }
}

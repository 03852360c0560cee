//! What can go wrong, seen from the caller.

mod class;

use std::error::Error as StdError;

use sqlx::migrate::MigrateError;

pub use class::Class;

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
    /// A row breaks a rule of the schema, or a limit of the database.
    #[error("the database refuses this row: {0}")]
    Refused(Cause),
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
        matches!(self.class(), Class::Transient)
    }

    /// The exit code of a program that cannot open its database: 75 where starting again may help, 78 where the
    /// configuration is wrong, 73 where a person has to look at the database.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Unavailable(_) => 75,
            Self::Invalid(_) => 78,
            _ => 73,
        }
    }

    /// An error of a row whose column holds what it never should.
    pub(crate) fn unreadable(column: &str, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!("column {column}: {reason}").into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => class::refused(error),
            sqlx::Error::Migrate(error) => (*error).into(),
            other => class::outside(other),
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

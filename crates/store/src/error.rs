//! The errors of this crate, as seen by the caller.

mod class;

use std::error::Error as StdError;

use sqlx::migrate::MigrateError;

pub use class::Class;

/// The cause of an [`Error`]. It is part of the message, so that a log line is complete without the source chain.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// The reason why a call of this crate failed. Nothing was written, unless the description says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The row does not exist.
    #[error("{entity} not found")]
    NotFound {
        /// `provider`, `model`, `link`, …
        entity: &'static str,
    },
    /// The row already exists.
    #[error("{entity} is taken already")]
    Conflict {
        /// The unique columns, with the same name for both databases: `providers.name`.
        entity: String,
    },
    /// The database is unreachable, locked, busy, full or read-only: the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(Cause),
    /// The file of the database cannot be opened until its path or its permissions are repaired.
    #[error("{message}")]
    CannotOpen {
        /// The file and the reason.
        message: String,
        /// Whether the operating system denies permission.
        is_denied: bool,
    },
    /// The catalogue has not the version that was read before; see [`only_at`](crate::catalog::only_at).
    #[error("the configuration has changed since it was read")]
    Stale,
    /// The arguments are invalid.
    #[error("{0}")]
    Invalid(String),
    /// A row violates a constraint of the schema, or a limit of the database.
    #[error("the database refuses this row: {0}")]
    Refused(Cause),
    /// The database contains data that cannot be read.
    #[error("the database is damaged: {0}")]
    Corrupt(Cause),
    /// A secret cannot be decrypted with the current key.
    #[error("{0}")]
    Sealed(String),
    /// The database belongs to another program, or to a newer version of this one. It was not changed.
    #[error("{0}")]
    Incompatible(String),
    /// A bug in this crate.
    #[error("the database refused a statement: {0}")]
    Internal(Cause),
}

// === impl Error ===

impl Error {
    /// Returns whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self.class(), Class::Transient)
    }

    /// Returns the exit code of a program that cannot open its database: 75 if a restart may help, 78 if the
    /// configuration is wrong, 77 if permission is denied, 73 if the database needs manual repair.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Unavailable(_) => 75,
            Self::CannotOpen { is_denied: true, .. } => 77,
            Self::Invalid(_) => 78,
            _ => 73,
        }
    }

    /// Creates an error for a row whose column has an invalid value.
    pub(crate) fn unreadable(column: &str, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!("column {column}: {reason}").into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => class::statement_error(error),
            sqlx::Error::Migrate(error) => (*error).into(),
            other => class::connection_error(other),
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

//! Classifies database errors as transient, specific to a row, or permanent.
//!
//! All code that decides whether to retry, to skip a row or to report a permanent failure uses [`Class`]; no other
//! module inspects database error codes.

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::postgres::PgDatabaseError;

use super::{Cause, Error};

/// The class of an error, which determines how to handle it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The database is unreachable, busy, full or read-only. The same call may succeed later, so it should be retried.
    Transient,
    /// This row or this argument cannot be stored or found; others can.
    Row,
    /// The database is damaged, foreign, or has an unexpected schema. Nothing can be stored until it is repaired.
    Permanent,
}

/// An entry of the table: the kind of error that a code stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Unavailable,
    /// A value that cannot be stored; reported with a message of this crate.
    TooLarge,
    /// A value that cannot be stored; reported with the message of the database.
    Invalid,
    /// A row that violates a constraint of the schema.
    Refused,
    Corrupt,
    Internal,
}

/// Primary result codes of SQLite (the low byte of an extended code): <https://www.sqlite.org/rescode.html>.
const SQLITE: &[(&[i64], Entry)] = &[
    // PERM, ABORT, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL, SCHEMA, AUTH
    (&[3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 17, 23], Entry::Unavailable),
    // CORRUPT, NOTADB
    (&[11, 26], Entry::Corrupt),
    // TOOBIG
    (&[18], Entry::TooLarge),
    // CONSTRAINT, MISMATCH; unique and foreign key violations are handled separately
    (&[19, 20], Entry::Refused),
];

/// Complete codes of PostgreSQL, which take precedence over their classes:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
const POSTGRES: &[(&[&str], Entry)] = &[
    // read-only transaction; transaction that already failed or was idle for too long; plan made stale by a migration
    (&["25006", "25P02", "25P03", "0A000"], Entry::Unavailable),
    // data or index corrupted
    (&["XX001", "XX002"], Entry::Corrupt),
    // raised by a trigger
    (&["P0001"], Entry::Refused),
];

/// Classes of PostgreSQL codes: the first two characters.
const POSTGRES_CLASSES: &[(&[&str], Entry)] = &[
    // connection, missing prepared statement, authorisation, missing database, rollback (deadlock, serialisation),
    // resources, object in use, operator intervention, system, snapshot too old
    (&["08", "26", "28", "3D", "40", "53", "55", "57", "58", "72"], Entry::Unavailable),
    // data exception: bad encoding, out of range
    (&["22"], Entry::Invalid),
    // constraint; value beyond a limit of the program
    (&["23", "54"], Entry::Refused),
];

/// Converts the error of a statement.
pub(super) fn statement_error(error: Box<dyn DatabaseError>) -> Error {
    match error.kind() {
        ErrorKind::UniqueViolation => return Error::Conflict { entity: unique_columns(&*error) },
        // Deletions cascade, so this is always a row that refers to a missing row.
        ErrorKind::ForeignKeyViolation => return Error::NotFound { entity: "referenced row" },
        _ => {}
    }
    let code = error.code().unwrap_or_default().into_owned();
    let is_postgres = error.try_downcast_ref::<PgDatabaseError>().is_some();
    match if is_postgres { of_postgres(&code) } else { of_sqlite(&code) } {
        Entry::Unavailable => Error::Unavailable(cause(error)),
        Entry::TooLarge => Error::Invalid("a value is larger than the database can hold".to_owned()),
        Entry::Invalid => Error::Invalid(error.message().to_owned()),
        Entry::Refused => Error::Refused(cause(error)),
        Entry::Corrupt => Error::Corrupt(cause(error)),
        Entry::Internal => Error::Internal(cause(error)),
    }
}

fn of_sqlite(code: &str) -> Entry {
    let Ok(code) = code.parse::<i64>() else { return Entry::Internal };
    find(SQLITE, &(code & 0xff)).unwrap_or(Entry::Internal)
}

fn of_postgres(code: &str) -> Entry {
    find(POSTGRES, &code)
        .or_else(|| find(POSTGRES_CLASSES, &code.get(..2).unwrap_or_default()))
        .unwrap_or(Entry::Internal)
}

fn find<T: PartialEq>(table: &[(&[T], Entry)], code: &T) -> Option<Entry> {
    table.iter().find(|(codes, _)| codes.contains(code)).map(|(_, entry)| *entry)
}

/// Returns the columns of a violated unique constraint. The PostgreSQL migrations name their constraints like SQLite's
/// messages: `providers.name`.
fn unique_columns(error: &dyn DatabaseError) -> String {
    error.constraint().map_or_else(
        || error.message().rsplit_once("failed: ").map_or("a key", |(_, columns)| columns).to_owned(),
        str::to_owned,
    )
}

fn cause(error: Box<dyn DatabaseError>) -> Cause {
    sqlx::Error::Database(error).into()
}

/// Converts an error that occurred outside of a statement.
pub(super) fn connection_error(error: sqlx::Error) -> Error {
    match error {
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => Error::Invalid(error.to_string()),
        sqlx::Error::Encode(_) => Error::Refused(error.into()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Error::Corrupt(error.into()),
        // The last two mean that the connection was still in a transaction: it is closed, and the next connection is
        // not affected.
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed
        | sqlx::Error::InvalidSavePointStatement => Error::Unavailable(error.into()),
        other => Error::Internal(other.into()),
    }
}

// === impl Error ===

impl Error {
    /// Returns the class of the error.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Unavailable(_) | Self::CannotOpen { .. } => Class::Transient,
            Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Stale
            | Self::Invalid(_)
            | Self::Refused(_)
            | Self::Sealed(_) => Class::Row,
            Self::Corrupt(_) | Self::Incompatible(_) | Self::Internal(_) => Class::Permanent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_codes_are_classified() {
        // https://www.sqlite.org/rescode.html, including extended codes.
        for (code, name) in [
            (5, "BUSY"),
            (261, "BUSY_RECOVERY"),
            (517, "BUSY_SNAPSHOT"),
            (6, "LOCKED"),
            (262, "LOCKED_SHAREDCACHE"),
            (7, "NOMEM"),
            (8, "READONLY"),
            (1032, "READONLY_DBMOVED"),
            (10, "IOERR"),
            (522, "IOERR_SHORT_READ"),
            (778, "IOERR_WRITE"),
            (1034, "IOERR_FSYNC"),
            (4874, "IOERR_SHMSIZE"),
            (13, "FULL"),
            (14, "CANTOPEN"),
            (15, "PROTOCOL"),
            (17, "SCHEMA"),
        ] {
            assert_eq!(of_sqlite(&code.to_string()), Entry::Unavailable, "{name}");
        }
        for (code, entry) in [
            (11, Entry::Corrupt),
            (267, Entry::Corrupt),
            (779, Entry::Corrupt),
            (26, Entry::Corrupt),
            (18, Entry::TooLarge),
            (19, Entry::Refused),
            (275, Entry::Refused),
            (1299, Entry::Refused),
            (1811, Entry::Refused),
            (20, Entry::Refused),
            (1, Entry::Internal),
            (21, Entry::Internal),
        ] {
            assert_eq!(of_sqlite(&code.to_string()), entry, "{code}");
        }
        assert_eq!(of_sqlite("not a number"), Entry::Internal);
    }

    #[test]
    fn postgres_codes_are_classified() {
        for code in [
            "53100", "53200", "53300", "53400", "40P01", "40001", "25006", "25P02", "08000", "08003", "08006", "08P01",
            "57014", "57P01", "57P02", "57P03", "57P05", "55P03", "55006", "58030", "0A000", "26000", "3D000", "28P01",
        ] {
            assert_eq!(of_postgres(code), Entry::Unavailable, "{code}");
        }
        for (code, entry) in [
            ("XX001", Entry::Corrupt),
            ("XX002", Entry::Corrupt),
            ("22021", Entry::Invalid),
            ("22P05", Entry::Invalid),
            ("22001", Entry::Invalid),
            ("22003", Entry::Invalid),
            ("23502", Entry::Refused),
            ("23514", Entry::Refused),
            ("54000", Entry::Refused),
            ("P0001", Entry::Refused),
            ("42P01", Entry::Internal),
            ("42703", Entry::Internal),
            ("XX000", Entry::Internal),
            ("", Entry::Internal),
        ] {
            assert_eq!(of_postgres(code), entry, "{code}");
        }
    }

    #[test]
    fn a_broken_connection_is_not_a_refused_row() {
        for error in [
            sqlx::Error::InvalidSavePointStatement,
            sqlx::Error::BeginFailed,
            sqlx::Error::PoolTimedOut,
            sqlx::Error::PoolClosed,
            sqlx::Error::WorkerCrashed,
            sqlx::Error::Protocol("unexpected message".into()),
            sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()),
        ] {
            let words = error.to_string();
            assert_eq!(Error::from(error).class(), Class::Transient, "{words}");
        }
        assert_eq!(Error::from(sqlx::Error::Encode("too long".into())).class(), Class::Row);
        assert_eq!(Error::from(sqlx::Error::Decode("not a number".into())).class(), Class::Permanent);
    }
}

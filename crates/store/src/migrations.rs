//! Applies the versions of the schema.
//!
//! Every migration exists in two dialects with the same number: `migrations/sqlite` and `migrations/postgres`. All
//! missing migrations are applied in the single transaction passed to [`run`], so that a database is never partially
//! migrated. The caller ensures that only one process migrates at a time.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::Error;
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;

/// A version of the schema, in both dialects.
struct Version {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// All versions, the oldest first.
const VERSIONS: &[Version] = &[
    Version {
        number: 1,
        name: "first schema",
        sqlite: include_str!("../../../migrations/sqlite/0001_first_schema.sql"),
        postgres: include_str!("../../../migrations/postgres/0001_first_schema.sql"),
    },
    Version {
        number: 2,
        name: "bodies",
        sqlite: include_str!("../../../migrations/sqlite/0002_bodies.sql"),
        postgres: include_str!("../../../migrations/postgres/0002_bodies.sql"),
    },
    Version {
        number: 3,
        name: "lean log",
        sqlite: include_str!("../../../migrations/sqlite/0003_lean_log.sql"),
        postgres: include_str!("../../../migrations/postgres/0003_lean_log.sql"),
    },
    Version {
        number: 4,
        name: "qwen",
        sqlite: include_str!("../../../migrations/sqlite/0004_qwen.sql"),
        postgres: include_str!("../../../migrations/postgres/0004_qwen.sql"),
    },
    Version {
        number: 5,
        name: "audit",
        sqlite: include_str!("../../../migrations/sqlite/0005_audit.sql"),
        postgres: include_str!("../../../migrations/postgres/0005_audit.sql"),
    },
    Version {
        number: 6,
        name: "usage",
        sqlite: include_str!("../../../migrations/sqlite/0006_usage.sql"),
        postgres: include_str!("../../../migrations/postgres/0006_usage.sql"),
    },
    Version {
        number: 7,
        name: "session hours",
        sqlite: include_str!("../../../migrations/sqlite/0007_session_hours.sql"),
        postgres: include_str!("../../../migrations/postgres/0007_session_hours.sql"),
    },
    Version {
        number: 8,
        name: "model lists",
        sqlite: include_str!("../../../migrations/sqlite/0008_model_lists.sql"),
        postgres: include_str!("../../../migrations/postgres/0008_model_lists.sql"),
    },
    Version {
        number: 9,
        name: "qwen proxy address",
        sqlite: include_str!("../../../migrations/sqlite/0009_qwen_proxy_address.sql"),
        postgres: include_str!("../../../migrations/postgres/0009_qwen_proxy_address.sql"),
    },
    Version {
        number: 10,
        name: "neutral columns",
        sqlite: include_str!("../../../migrations/sqlite/0010_neutral_columns.sql"),
        postgres: include_str!("../../../migrations/postgres/0010_neutral_columns.sql"),
    },
    Version {
        number: 11,
        name: "token classes",
        sqlite: include_str!("../../../migrations/sqlite/0011_token_classes.sql"),
        postgres: include_str!("../../../migrations/postgres/0011_token_classes.sql"),
    },
    Version {
        number: 12,
        name: "costs",
        sqlite: include_str!("../../../migrations/sqlite/0012_costs.sql"),
        postgres: include_str!("../../../migrations/postgres/0012_costs.sql"),
    },
    Version {
        number: 13,
        name: "routes and keys",
        sqlite: include_str!("../../../migrations/sqlite/0013_routes_and_keys.sql"),
        postgres: include_str!("../../../migrations/postgres/0013_routes_and_keys.sql"),
    },
    Version {
        number: 14,
        name: "key sums",
        sqlite: include_str!("../../../migrations/sqlite/0014_key_sums.sql"),
        postgres: include_str!("../../../migrations/postgres/0014_key_sums.sql"),
    },
    Version {
        number: 15,
        name: "usage minutes",
        sqlite: include_str!("../../../migrations/sqlite/0015_usage_minutes.sql"),
        postgres: include_str!("../../../migrations/postgres/0015_usage_minutes.sql"),
    },
    Version {
        number: 16,
        name: "usage keys",
        sqlite: include_str!("../../../migrations/sqlite/0016_usage_keys.sql"),
        postgres: include_str!("../../../migrations/postgres/0016_usage_keys.sql"),
    },
    Version {
        number: 17,
        name: "key versions",
        sqlite: include_str!("../../../migrations/sqlite/0017_key_versions.sql"),
        postgres: include_str!("../../../migrations/postgres/0017_key_versions.sql"),
    },
];

/// The table in which sqlx records the applied versions.
const BOOKKEEPING: &str = "_sqlx_migrations";

struct Table(String);

struct Applied(Option<i64>);

/// Applies the missing versions.
pub(crate) async fn run(tx: &mut Transaction) -> Result<(), Error> {
    check(tx).await?;
    apply(tx, VERSIONS).await
}

/// Applies all versions to a database that has other, known tables under names that do not conflict.
pub(crate) async fn run_beside(tx: &mut Transaction) -> Result<(), Error> {
    apply(tx, VERSIONS).await
}

async fn apply(tx: &mut Transaction, versions: &[Version]) -> Result<(), Error> {
    match tx {
        Transaction::Sqlite(tx) => migrator(versions, |version| version.sqlite).run(&mut **tx).await?,
        Transaction::Postgres(tx) => {
            let mut migrator = migrator(versions, |version| version.postgres);
            // The caller already holds a lock that ends with the transaction; sqlx's lock would be released before
            // that.
            migrator.set_locking(false);
            migrator.run(&mut **tx).await?;
        }
    }
    Ok(())
}

/// Refuses a database of another program or of a newer version of this one. Only reads.
pub(crate) async fn check(tx: &mut Transaction) -> Result<(), Error> {
    let tables: Vec<Table> = tx.all(Statement::new(list_tables(tx))).await?;
    if tables.iter().any(|table| table.0 == BOOKKEEPING) {
        return check_version(tx).await;
    }
    if tables.is_empty() {
        return Ok(());
    }
    let names = tables.iter().take(5).map(|table| table.0.as_str()).collect::<Vec<_>>().join(", ");
    Err(Error::Incompatible(format!(
        "the database has tables of another program ({names}) and was not changed: use an empty database"
    )))
}

async fn check_version(tx: &mut Transaction) -> Result<(), Error> {
    let applied = applied(tx).await?.unwrap_or(0);
    let known = known();
    if applied > known {
        return Err(Error::Incompatible(format!(
            "the database has version {applied}, this program supports up to {known}: use a newer version of the \
            program"
        )));
    }
    Ok(())
}

/// Returns the version of the schema; `None` if the database has no tables of this program. Only reads.
pub(crate) async fn applied(tx: &mut Transaction) -> Result<Option<i64>, Error> {
    let tables: Vec<Table> = tx.all(Statement::new(list_tables(tx))).await?;
    if !tables.iter().any(|table| table.0 == BOOKKEEPING) {
        return Ok(None);
    }
    let applied = tx.first::<Applied>(Statement::new("SELECT MAX(version) AS version FROM _sqlx_migrations")).await?;
    Ok(applied.and_then(|applied| applied.0))
}

/// Returns the version that this program applies.
pub(crate) fn known() -> i64 {
    VERSIONS.last().map_or(0, |version| version.number)
}

fn migrator(versions: &[Version], text: impl Fn(&Version) -> &'static str) -> Migrator {
    let migration = |version: &Version| {
        Migration::new(version.number, version.name.into(), MigrationType::Simple, text(version).into_sql_str(), false)
    };
    Migrator::with_migrations(versions.iter().map(migration).collect())
}

/// Returns the statement that lists the tables, which differs between the databases.
const fn list_tables(tx: &Transaction) -> &'static str {
    match tx {
        Transaction::Sqlite(_) => {
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name"
        }
        Transaction::Postgres(_) => {
            "SELECT CAST(tablename AS TEXT) AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
        }
    }
}

// === impl Table, Applied ===

impl FromRow for Table {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.text("name").map(Self)
    }
}

impl FromRow for Applied {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.optional_int("version").map(Self)
    }
}

#[cfg(test)]
mod tests;

//! Opens a PostgreSQL database.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use super::{ACQUIRE_TIMEOUT, release};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, migrations, seed};

/// Maximum number of connections per process.
const CONNECTIONS: u32 = 8;

/// The advisory locks of this crate: two arbitrary numbers that nothing else uses in the same database.
const MIGRATION_LOCK: i64 = 0x5349_474e_414c_0001;
const LOG_LOCK: i64 = 0x5349_474e_414c_0002;

pub(super) async fn open(url: &str) -> Result<PgPool, Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("signalbox")
        .options([("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "60s")]);
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .acquire_slow_threshold(ACQUIRE_TIMEOUT);
    let pool = release::postgres(pool).connect_with(options).await?;
    let mut tx = Transaction::Postgres(pool.begin().await?);
    lock(&mut tx, MIGRATION_LOCK).await?;
    migrations::run(&mut tx).await?;
    seed::run(&mut tx).await?;
    tx.commit().await?;
    Ok(pool)
}

/// Returns the version of the schema. Only reads.
pub(super) async fn applied(url: &str) -> Result<Option<i64>, Error> {
    let options = PgConnectOptions::from_str(url)?.application_name("signalbox");
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT).connect_with(options).await?;
    let mut tx = Transaction::Postgres(pool.begin().await?);
    let applied = migrations::applied(&mut tx).await;
    drop(tx);
    pool.close().await;
    applied
}

/// Begins a transaction that writes the log. Transactions of several nodes are serialised, as on SQLite, so that the
/// rows a batch has read do not change before it commits, and two batches that touch the same conversations cannot
/// deadlock.
pub(super) async fn begin_log(pool: &PgPool) -> Result<Transaction, Error> {
    let mut tx = Transaction::Postgres(pool.begin().await?);
    lock(&mut tx, LOG_LOCK).await?;
    Ok(tx)
}

/// Waits for a lock that is held until the end of the transaction.
async fn lock(tx: &mut Transaction, number: i64) -> Result<(), Error> {
    tx.execute(Statement::new("SELECT pg_advisory_xact_lock($1)").bind(number)).await.map(drop)
}

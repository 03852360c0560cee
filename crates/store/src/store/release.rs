//! Closes connections that are returned to their pool within a transaction.
//!
//! If a disk is full or fails, SQLite rolls a transaction back by itself; the following rollback then fails, and the
//! driver keeps believing that the connection is in a transaction. On PostgreSQL, cancelling a call during `BEGIN` has
//! the same effect. Such a connection would refuse, or silently nest, every later transaction.

use sqlx::pool::PoolOptions;
use sqlx::{Connection, Executor as _, Postgres, Row as _, Sqlite};

/// Closes returned connections that are in a transaction.
pub(super) fn sqlite(pool: PoolOptions<Sqlite>) -> PoolOptions<Sqlite> {
    pool.after_release(|connection, _| {
        Box::pin(async move {
            if !connection.is_in_transaction() {
                return Ok(true);
            }
            // Dropping a transaction only queues its rollback, which runs before the ping.
            connection.ping().await?;
            let stuck = connection.is_in_transaction();
            if stuck {
                tracing::debug!("connection closed, its transaction could not be ended");
            }
            Ok(!stuck)
        })
    })
}

/// Like [`sqlite`], but also asks the server, because the driver does not know of a `BEGIN` whose response was not
/// read.
pub(super) fn postgres(pool: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
    pool.after_release(|connection, _| {
        Box::pin(async move {
            // Outside of a transaction, a statement starts at the same time as its transaction.
            let row = connection.fetch_one(sqlx::raw_sql("SELECT now() = statement_timestamp() AS idle")).await?;
            let idle: bool = row.try_get("idle")?;
            if !idle || connection.is_in_transaction() {
                tracing::debug!("connection closed, its transaction could not be ended");
                return Ok(false);
            }
            Ok(true)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use signalbox_harness::postgres::Postgres as Server;
    use sqlx::AssertSqlSafe;

    use crate::statement::Statement;
    use crate::transaction::Transaction;
    use crate::{Error, Store};

    /// Ends the transaction without the knowledge of the driver, as SQLite does by itself if a disk is full.
    async fn end_in_secret(tx: &mut Transaction) {
        match tx {
            Transaction::Sqlite(tx) => drop(sqlx::raw_sql("ROLLBACK").execute(&mut **tx).await.unwrap()),
            Transaction::Postgres(tx) => drop(sqlx::raw_sql("ROLLBACK").execute(&mut **tx).await.unwrap()),
        }
    }

    async fn value_of(store: &Store, key: &str) -> Option<String> {
        let rows = crate::settings::list(store).await.unwrap();
        rows.into_iter().find(|row| row.key == key).map(|row| row.value)
    }

    async fn a_transaction_that_ended_by_itself_spoils_nothing(store: &Store) {
        for round in 0..20 {
            let mut read = store.read().await.unwrap();
            end_in_secret(&mut read).await;
            drop(read);
            for log in [false, true] {
                let mut tx = if log { store.write_log().await } else { store.write().await }.unwrap();
                end_in_secret(&mut tx).await;
                if round % 2 == 0 {
                    // The commit fails too, or has no effect.
                    let _ = tx.commit().await;
                } else {
                    drop(tx);
                }
            }
            crate::settings::put(store, &[("round".to_owned(), round.to_string())], 1).await.unwrap();
            // A reader that is still in an old transaction would not see the value.
            for _ in 0..10 {
                assert_eq!(value_of(store, "round").await, Some(round.to_string()));
            }
        }
    }

    /// Drops calls after a few polls, at any point of their execution.
    async fn cancelled_calls_spoil_nothing(store: &Store) {
        for polls in (1..40).chain(1..40) {
            let pair = [("cancelled".to_owned(), polls.to_string())];
            for log in [false, true] {
                let mut call = pin!(async {
                    let mut tx = if log { store.write_log().await? } else { store.write().await? };
                    crate::settings::set(&mut tx, &pair[0].0, &pair[0].1, 1).await?;
                    tx.commit().await
                });
                let mut left = polls;
                let _: Option<Result<(), Error>> = poll_fn(|cx| match call.as_mut().poll(cx) {
                    Poll::Ready(done) => Poll::Ready(Some(done)),
                    Poll::Pending if left == 0 => Poll::Ready(None),
                    Poll::Pending => {
                        left -= 1;
                        Poll::Pending
                    }
                })
                .await;
            }
            crate::settings::put(store, &[("after".to_owned(), polls.to_string())], 1).await.unwrap();
            assert_eq!(value_of(store, "after").await, Some(polls.to_string()));
        }
    }

    async fn on_both(test: impl AsyncFn(&Store)) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}/test.db", directory.path().display())).await.unwrap();
        test(&store).await;
        store.close().await;
        let Some(server) = Server::launch().await else { return };
        let store = Store::open(&server.create_database().await).await.unwrap();
        test(&store).await;
        let idle = "SELECT COUNT(*) AS total FROM pg_stat_activity
            WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        let mut tx = store.read().await.unwrap();
        assert_eq!(tx.total(Statement::new(idle)).await.unwrap(), 0);
        drop(tx);
        store.close().await;
    }

    #[tokio::test]
    async fn a_connection_is_usable_after_an_automatic_rollback() {
        on_both(a_transaction_that_ended_by_itself_spoils_nothing).await;
    }

    #[tokio::test]
    async fn a_connection_is_usable_after_a_cancelled_call() {
        on_both(cancelled_calls_spoil_nothing).await;
    }

    /// Covers the case in which SQLite itself ends a transaction: a statement without a statement journal finds no
    /// space.
    #[tokio::test]
    async fn writing_resumes_when_a_full_disk_has_space() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}/test.db", directory.path().display())).await.unwrap();
        let insert = "INSERT INTO openings (hash, session_id, created_at) VALUES ($1, 's', 1)";
        let long = "x".repeat(200_000);
        for log in [false, true].repeat(3) {
            let mut tx = if log { store.write_log().await } else { store.write().await }.unwrap();
            let Transaction::Sqlite(sqlite) = &mut tx else { panic!("another database") };
            let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut **sqlite).await.unwrap();
            let limit = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
            sqlx::raw_sql(limit).execute(&mut **sqlite).await.unwrap();
            let full = tx.execute(Statement::new(insert).bind(&long)).await.unwrap_err();
            assert!(full.is_transient(), "{full:?}");
            drop(tx);
            let mut tx = if log { store.write_log().await } else { store.write().await }.unwrap();
            tx.execute(Statement::new(insert).bind(&long)).await.unwrap();
            tx.commit().await.unwrap();
        }
        store.close().await;
    }
}

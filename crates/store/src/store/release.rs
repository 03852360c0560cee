//! The way of a connection back to its pool.
//!
//! Where a disk is full or fails, SQLite rolls a transaction back by itself; the rollback that follows fails then, and the
//! driver goes on to believe that the connection is in a transaction. Cancelling a call in the middle of `BEGIN` has the
//! same effect on PostgreSQL. Such a connection would refuse, or silently nest, every later transaction: it is closed.

use sqlx::pool::PoolOptions;
use sqlx::{Connection, Executor as _, Postgres, Row as _, Sqlite};

/// Closes connections that come back in a transaction.
pub(super) fn sqlite(pool: PoolOptions<Sqlite>) -> PoolOptions<Sqlite> {
    pool.after_release(|connection, _| {
        Box::pin(async move {
            if !connection.is_in_transaction() {
                return Ok(true);
            }
            // A transaction that was dropped has only asked for its rollback, which comes before the answer to a ping.
            connection.ping().await?;
            let stuck = connection.is_in_transaction();
            if stuck {
                tracing::debug!("a connection whose transaction could not be ended is closed");
            }
            Ok(!stuck)
        })
    })
}

/// As [`sqlite`]; the server is asked, because the driver does not know of a `BEGIN` whose answer nobody has read.
pub(super) fn postgres(pool: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
    pool.after_release(|connection, _| {
        Box::pin(async move {
            // A statement outside of a transaction begins when its own one does.
            let row = connection.fetch_one(sqlx::raw_sql("SELECT now() = statement_timestamp() AS idle")).await?;
            let idle: bool = row.try_get("idle")?;
            if !idle || connection.is_in_transaction() {
                tracing::debug!("a connection whose transaction could not be ended is closed");
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

    /// Ends the transaction behind the back of the driver, as SQLite does by itself where a disk is full.
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
                    // A commit fails as well, or has nothing to do.
                    let _ = tx.commit().await;
                } else {
                    drop(tx);
                }
            }
            crate::settings::put(store, &[("round".to_owned(), round.to_string())], 1).await.unwrap();
            // A reader that is stuck in an old transaction would not see it.
            for _ in 0..10 {
                assert_eq!(value_of(store, "round").await, Some(round.to_string()));
            }
        }
    }

    /// Calls that are dropped after a few polls, wherever they are by then.
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
    async fn a_transaction_that_ended_by_itself_is_followed_by_others() {
        on_both(a_transaction_that_ended_by_itself_spoils_nothing).await;
    }

    #[tokio::test]
    async fn cancelled_calls_are_followed_by_others() {
        on_both(cancelled_calls_spoil_nothing).await;
    }

    /// SQLite ends a transaction by itself when a statement without a journal of its own finds no room.
    #[tokio::test]
    async fn a_full_file_is_written_to_again_when_there_is_room() {
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

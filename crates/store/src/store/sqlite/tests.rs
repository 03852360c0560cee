use std::sync::atomic::Ordering;

use sqlx::AssertSqlSafe;

use super::*;
use crate::page::Total;

/// Opens a database; returns it with its connections.
async fn open_pools(url: &str) -> (Database, Arc<Pools>) {
    let database = open(url).await.unwrap();
    let pools = database.pools();
    (database, pools)
}

async fn pragma(pool: &SqlitePool, pragma: &'static str) -> i64 {
    sqlx::query_scalar(pragma).fetch_one(pool).await.unwrap()
}

#[test]
fn old_versions_are_refused() {
    for good in ["3.51.3", "3.53.0", "4.0.0", "3.51.10"] {
        assert!(Version(good.to_owned()).check().is_ok(), "{good}");
    }
    for bad in ["3.51.2", "3.46.0", "2.99.99", "", "3.51"] {
        assert!(Version(bad.to_owned()).check().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn each_pool_has_its_documented_durability() {
    let directory = tempfile::tempdir().unwrap();
    let (_database, pools) = open_pools(&format!("sqlite://{}/test.db", directory.path().display())).await;
    // FULL is 2, NORMAL is 1.
    assert_eq!(pragma(&pools.write, "PRAGMA synchronous").await, 2);
    assert_eq!(pragma(&pools.log, "PRAGMA synchronous").await, 1);
    for pool in [&pools.read, &pools.write, &pools.log] {
        assert_eq!(pragma(pool, "PRAGMA foreign_keys").await, 1);
        assert_eq!(pragma(pool, "PRAGMA trusted_schema").await, 0);
        assert_eq!(pragma(pool, "PRAGMA busy_timeout").await, 5000);
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await.unwrap();
        assert_eq!(mode, "wal");
    }
    let mut reader = Transaction::Sqlite(pools.read.begin().await.unwrap().into());
    let refused = reader.execute(Statement::new("DELETE FROM settings")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    drop(reader);
    pools.close().await;
}

#[tokio::test]
async fn the_log_yields_to_other_writers_on_request() {
    const WORK: &str = "WITH RECURSIVE n (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
        INSERT INTO settings (key, value, updated_at) SELECT 'n' || n, '', 0 FROM n WHERE TRUE ON CONFLICT (key) DO NOTHING";
    let directory = tempfile::tempdir().unwrap();
    let (database, pools) = open_pools(&format!("sqlite://{}/test.db", directory.path().display())).await;
    let offers = |span| {
        let (database, pools) = (database.clone(), Arc::clone(&pools));
        async move {
            let before = database.yielder().offers.load(Ordering::Relaxed);
            database.yield_for(span);
            let mut tx = begin(&pools.log).await.unwrap();
            tx.execute(Statement::new(WORK)).await.unwrap();
            database.yielder().offers.load(Ordering::Relaxed) - before
        }
    };
    assert_eq!(offers(std::time::Duration::ZERO).await, 0);
    assert!(offers(std::time::Duration::MAX).await >= 100);
    assert_eq!(offers(std::time::Duration::ZERO).await, 0);
    pools.close().await;
}

#[tokio::test]
async fn a_new_file_has_large_pages_and_an_existing_one_keeps_its_size() {
    let directory = tempfile::tempdir().unwrap();
    for (name, size) in [("new.db", i64::from(PAGE_SIZE)), ("old.db", 4096)] {
        let path = directory.path().join(name);
        if name == "old.db" {
            let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).page_size(4096);
            let pool = pool(1).connect_with(options.journal_mode(SqliteJournalMode::Wal)).await.unwrap();
            migrate(&pool, None).await.unwrap();
            pool.close().await;
        }
        let (_database, pools) = open_pools(&format!("sqlite://{}", path.display())).await;
        for pool in [&pools.read, &pools.write, &pools.log] {
            assert_eq!(pragma(pool, "PRAGMA page_size").await, size, "{name}");
        }
        pools.close().await;
        assert_eq!(std::fs::metadata(&path).unwrap().len() % size.unsigned_abs(), 0);
    }
}

#[tokio::test]
async fn a_full_database_is_unavailable_without_data_loss() {
    let (_database, pools) = open_pools("sqlite::memory:").await;
    let pages = pragma(&pools.write, "PRAGMA page_count").await;
    let limit = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    sqlx::raw_sql(limit).execute(&pools.write).await.unwrap();
    let mut tx = begin(&pools.write).await.unwrap();
    let long = "x".repeat(100_000);
    let insert = "INSERT INTO settings (key, value, updated_at) VALUES ($1, $2, 1)";
    tx.execute(Statement::new(insert).bind("small").bind("x")).await.unwrap();
    let full = tx.execute(Statement::new(insert).bind("large").bind(&long)).await;
    assert!(matches!(full, Err(Error::Unavailable(_))), "{full:?}");
    drop(tx);

    sqlx::raw_sql("PRAGMA max_page_count = 1000000").execute(&pools.write).await.unwrap();
    let mut tx = begin(&pools.write).await.unwrap();
    let Total(rows) = tx
        .one(Statement::new("SELECT COUNT(*) AS total FROM settings WHERE key IN ('small', 'large')"), "count")
        .await
        .unwrap();
    assert_eq!(rows, 0);
    tx.execute(Statement::new(insert).bind("large").bind(&long)).await.unwrap();
    tx.commit().await.unwrap();
}

#[test]
fn a_windows_path_begins_with_a_drive() {
    assert_eq!(on_drive("/C:/data/signalbox.db"), Some("C:/data/signalbox.db"));
    assert_eq!(on_drive("/c:"), Some("c:"));
    for elsewhere in ["C:/data", "/data/C:/x", "/1:/x", "//server/share", "/", ""] {
        assert_eq!(on_drive(elsewhere), None, "{elsewhere}");
    }
}

//! Tests that the store recovers after the database was unavailable.

use signalbox_harness::postgres::Postgres;
use signalbox_store::exchanges::{SessionRef, record};
use signalbox_store::{Error, Store, catalog, settings};
use sqlx::{Connection, SqliteConnection};

use crate::exchanges::whole;

#[tokio::test]
async fn a_restarted_postgres_is_reconnected() {
    let Some(mut postgres) = Postgres::launch_own().await else { return };
    let store = Store::open(&postgres.create_database().await).await.unwrap();
    let (batch, pair) = ([whole("a", 1, SessionRef::Opens)], [("k".to_owned(), "v".to_owned())]);
    record(&store, &batch).await.unwrap();
    let version = catalog::version(&store).await.unwrap();

    // All pooled connections are dead now, but the pool has not noticed it yet.
    postgres.stop().await;
    postgres.start().await;
    assert_eq!(catalog::version(&store).await.unwrap(), version);

    postgres.stop().await;
    let (read, write, log, ping) =
        tokio::join!(catalog::version(&store), settings::put(&store, &pair, 1), record(&store, &batch), store.ping(),);
    for error in [read.unwrap_err(), write.unwrap_err(), log.unwrap_err(), ping.unwrap_err()] {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(error.is_transient());
    }
    postgres.start().await;
    record(&store, &batch).await.unwrap();
    assert_eq!(catalog::version(&store).await.unwrap(), version);
    store.close().await;
}

#[tokio::test]
async fn an_external_writer_makes_sqlite_unavailable_for_writers_only() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/test.db", directory.path().display());
    let store = Store::open(&url).await.unwrap();
    let mut foreigner = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut foreigner).await.unwrap();

    let pair = [("k".to_owned(), "v".to_owned())];
    let put = || settings::put(&store, &pair, 1);
    let batch = [whole("a", 1, SessionRef::Opens)];
    let (read, write, log) = tokio::join!(catalog::load(&store), put(), record(&store, &batch));
    read.unwrap();
    for error in [write.unwrap_err(), log.unwrap_err()] {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut foreigner).await.unwrap();
    put().await.unwrap();
    record(&store, &batch).await.unwrap();
    store.close().await;
}

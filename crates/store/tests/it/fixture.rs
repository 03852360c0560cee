//! Databases for tests.

use signalbox_core::secret::Secret;
use signalbox_harness::postgres::Postgres;
use signalbox_store::{Kind, Sealer, Store};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// A fresh, seeded database.
pub(crate) struct Database {
    pub(crate) store: Store,
    url: String,
}

/// Runs functions with a [`Database`] argument as tests, each on both kinds of database.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                crate::fixture::on_sqlite(super::$test).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                crate::fixture::on_postgres(super::$test).await;
            })+
        }
    };
}

pub(crate) use on_both;

pub(crate) async fn on_sqlite(test: impl AsyncFnOnce(&Database)) {
    let directory = tempfile::tempdir().unwrap();
    run(format!("sqlite://{}/test.db", directory.path().display()), test).await;
}

pub(crate) async fn on_postgres(test: impl AsyncFnOnce(&Database)) {
    let Some(postgres) = Postgres::launch().await else { return };
    run(postgres.create_database().await, test).await;
}

async fn run(url: String, test: impl AsyncFnOnce(&Database)) {
    let database = Database { store: Store::open(&url).await.unwrap(), url };
    test(&database).await;
    database.store.close().await;
}

// === impl Database ===

impl Database {
    /// Runs a statement on a separate connection, bypassing this crate.
    pub(crate) async fn execute(&self, text: &str) {
        self.try_execute(text).await.unwrap();
    }

    pub(crate) async fn try_execute(&self, text: &str) -> Result<(), sqlx::Error> {
        match self.store.kind() {
            Kind::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await?;
                sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
                connection.close().await
            }
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await?;
                sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
                connection.close().await
            }
        }
    }

    /// Returns the number that a statement selects, on a separate connection, bypassing this crate.
    pub(crate) async fn number(&self, text: &str) -> i64 {
        match self.store.kind() {
            Kind::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut connection).await.unwrap()
            }
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    /// Returns the bytes that a statement selects, from SQLite.
    pub(crate) async fn bytes(&self, text: &str) -> Vec<u8> {
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut connection).await.unwrap()
    }

    /// Returns the path of the SQLite file.
    pub(crate) fn path(&self) -> &str {
        self.url.trim_start_matches("sqlite://")
    }

    /// Removes the seeded rows.
    pub(crate) async fn clear(&self) {
        self.execute("DELETE FROM providers").await;
        self.execute("DELETE FROM models").await;
    }
}

/// Returns a sealer with a fixed test key.
pub(crate) fn sealer() -> Sealer {
    Sealer::new(&Secret::new([7; 32]))
}

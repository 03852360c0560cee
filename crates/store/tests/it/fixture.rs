//! A database for one test.

use signalbox_core::secret::Secret;
use signalbox_harness::postgres::Postgres;
use signalbox_store::{Kind, Sealer, Store};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// A fresh, seeded database.
pub(crate) struct Database {
    pub(crate) store: Store,
    url: String,
}

/// Runs functions from [`Database`] as tests, each on a database of either kind.
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
    /// Runs a statement as somebody who does not use this crate.
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

    /// The one number that a statement answers, as somebody who does not use this crate.
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

    /// Removes what every new database holds.
    pub(crate) async fn clear(&self) {
        self.execute("DELETE FROM providers").await;
        self.execute("DELETE FROM models").await;
    }
}

/// Seals with a key of its own.
pub(crate) fn sealer() -> Sealer {
    Sealer::new(&Secret::new([7; 32]))
}

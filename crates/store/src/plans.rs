//! The statements that run all the time, or over large tables, find their rows by an index.

use signalbox_harness::postgres::Postgres;

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Store, catalog, exchanges, sessions};

struct Step(String);

fn statements() -> [Statement<'static>; 4] {
    [
        Statement::new(catalog::VERSION),
        Statement::new(exchanges::FIND).bind("x"),
        Statement::new(exchanges::session::CONTINUE).bind("x").bind(1).bind(1),
        Statement::new(sessions::DELETE_EXPIRED).bind(1).bind(1),
    ]
}

async fn check(store: &Store) {
    for statement in statements() {
        let mut tx = store.write().await.unwrap();
        let explain = match &tx {
            Transaction::Sqlite(_) => "EXPLAIN QUERY PLAN",
            Transaction::Postgres(_) => "EXPLAIN",
        };
        if matches!(tx, Transaction::Postgres(_)) {
            // On an empty table reading all of it is right; what matters is that there is another way.
            tx.execute(Statement::new("SET LOCAL enable_seqscan = off")).await.unwrap();
        }
        let plan: Vec<Step> = tx.all(statement.explained(explain)).await.unwrap();
        let plan = plan.into_iter().map(|step| step.0).collect::<Vec<_>>().join("\n");
        assert!(!plan.contains("SCAN") && !plan.contains("Seq Scan"), "{plan}");
        assert!(plan.to_uppercase().contains("INDEX") || plan.contains("PRIMARY KEY"), "{plan}");
    }
}

#[tokio::test]
async fn sqlite() {
    check(&Store::open("sqlite::memory:").await.unwrap()).await;
}

#[tokio::test]
async fn postgres() {
    let Some(postgres) = Postgres::launch().await else { return };
    let store = Store::open(&postgres.create_database().await).await.unwrap();
    check(&store).await;
    store.close().await;
}

// === impl FromRow ===

impl FromRow for Step {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.text("detail").or_else(|_| row.text("QUERY PLAN")).map(Self)
    }
}

//! Three services are started at once on a database of the Node.js version: one of them migrates it, and the others
//! wait.

use std::{fs, path::Path};

use serde_json::json;
use signalbox_harness::{Home, Launch, QwenProxy, Router, Stack};
use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

const ORIGINAL: &str = include_str!("takeover/original.sql");

/// Number of attempts, because the order of the services is random.
const ROUNDS: usize = 3;

async fn make(path: &Path) {
    let options =
        SqliteConnectOptions::new().filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(ORIGINAL).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn count(path: &Path, table: &str) -> i64 {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}")));
    let rows = rows.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

#[tokio::test]
async fn three_concurrent_services_migrate_a_nodejs_database_once() {
    for round in 0..ROUNDS {
        let home = Home::new();
        fs::create_dir_all(home.data()).unwrap();
        let file = home.data().join("signalbox.db");
        make(&file).await;
        let launch = || Launch::default().home(&home);
        let api = Stack::builder().launch(launch()).autostart(false);
        let (stack, router, qwen) = tokio::join!(api.start(), Router::start(launch()), QwenProxy::start(launch()));

        let names = fs::read_dir(home.data()).unwrap().map(|entry| entry.unwrap().path());
        let copies: Vec<_> =
            names.filter(|path| path.to_str().unwrap().contains("signalbox.db.before-signalbox-")).collect();
        let [copy] = &copies[..] else { panic!("round {round}: one copy is made, not {copies:?}") };
        for (table, rows) in [
            ("sessions", 300),
            ("requests", 3000),
            ("responses", 3000),
            ("errors", 1),
            ("qwen_credentials", 1),
            ("providers", 1),
            ("provider_configs", 2),
            ("models", 1),
            ("provider_models", 1),
            ("settings", 2),
        ] {
            assert_eq!((count(copy, table).await, count(&file, table).await), (rows, rows), "round {round}: {table}");
        }

        assert_eq!(stack.api.get("/api/requests?limit=1").await.expect(200).json()["total"], 3000);
        let logins = stack.api.get("/api/qwen/credentials").await.expect(200).json();
        assert_eq!((&logins["hasCredentials"], &logins["isValid"]), (&json!(true), &json!(true)));
        let models = router.client.get("/v1/models").await.expect(200).json();
        assert_eq!((&models["data"][0]["id"], models["data"].as_array().map(Vec::len)), (&json!("m"), Some(1)));
        assert_eq!(qwen.client.get("/v1/requests?limit=1").await.expect(200).json()["total"], 3000);
        let said = [stack.process.stderr(), router.process.stderr(), qwen.process.stderr()].concat();
        assert!(!said.contains("canary"), "round {round}: a secret in {said}");
    }
}

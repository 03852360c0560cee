use std::collections::BTreeSet;
use std::path::Path;

use signalbox_core::schema::RequestStatus;
use signalbox_core::secret::Secret;
use signalbox_harness::postgres::Postgres;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;

use super::*;
use crate::exchanges::{self, Exchange, ExchangeStart, SessionRef, Source};
use crate::requests::{self, RequestKey};
use crate::{Kind, Page, Sealer, Store, credentials, provider_configs, responses};

/// A column, which must be equal in both databases.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    table: String,
    name: String,
    kind: String,
    nullable: bool,
}

/// A foreign key, which must be equal in both databases.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    table: String,
    column: String,
    target: String,
    on_delete: String,
}

#[test]
fn both_directories_contain_all_known_versions() {
    let known: BTreeSet<String> = VERSIONS
        .iter()
        .map(|version| format!("{:04}_{}.sql", version.number, version.name.replace(' ', "_")))
        .collect();
    for folder in ["sqlite", "postgres"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(folder);
        let files = std::fs::read_dir(folder).unwrap();
        let files: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(files, known);
    }
    assert!(VERSIONS.is_sorted_by_key(|version| version.number));
}

#[tokio::test]
async fn both_databases_reach_the_same_schema() {
    let Some(postgres) = Postgres::launch().await else { return };
    let sqlite = Store::open("sqlite::memory:").await.unwrap();
    let postgres = Store::open(&postgres.create_database().await).await.unwrap();
    let columns = columns(&sqlite).await;
    assert_eq!(columns, self::columns(&postgres).await);
    let tables: BTreeSet<_> = columns.iter().map(|column| &*column.table).collect();
    assert_eq!(tables.len(), 28, "{tables:?}");
    let references = references(&sqlite).await;
    assert_eq!(references, self::references(&postgres).await);
    assert_eq!(references.len(), 9);
    postgres.close().await;
}

/// A conversation, a request and its answer in the format of the first version.
const OLD_ROWS: [&str; 6] = [
    "INSERT INTO sessions (id, chat_id, first_user_message, created_at, last_accessed, expires_at,
         conversation_hash)
     VALUES ('s', 's', 'hi', 1, 1, 9, 'how-it-began')",
    "INSERT INTO requests (id, session_id, request_id, timestamp, method, path, openai_request, qwen_request, model,
         stream, status, created_at)
     VALUES (7, 's', 'r', 1, 'POST', '/v1/chat/completions', 'asked', 'sent', 'm', TRUE, 'completed', 1)",
    "INSERT INTO responses (request_id, session_id, response_id, timestamp, openai_response, created_at)
     VALUES (7, 's', 'a', 2, 'answered', 2)",
    "INSERT INTO qwen_credentials (token, cookies, created_at, updated_at) VALUES ('old', '', 1, 1), ('new', '', 2, 2)",
    "INSERT INTO providers (id, name, type, created_at, updated_at)
     VALUES ('qwen-proxy-default', 'q', 'qwen-proxy', 5, 5), ('mine', 'm', 'qwen-proxy', 5, 5)",
    "INSERT INTO provider_configs (provider_id, key, value, created_at, updated_at)
     VALUES ('qwen-proxy-default', 'baseURL', '\"http://127.0.0.1:3000\"', 5, 5),
            ('qwen-proxy-default', 'timeout', '120000', 5, 5),
            ('mine', 'baseURL', '\"http://127.0.0.1:3000\"', 5, 5)",
];

/// Creates a database of the first version.
async fn make_old(mut tx: Transaction) {
    apply(&mut tx, &VERSIONS[..1]).await.unwrap();
    for row in OLD_ROWS {
        tx.execute(Statement::new(row)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn check_old_rows(url: &str) {
    let store = Store::open(url).await.unwrap();
    let (request, response) = requests::get(&store, &RequestKey::Uuid("r".to_owned())).await.unwrap();
    assert_eq!((request.id, request.status), (7, RequestStatus::Completed));
    assert_eq!((&*request.request_body, &*request.upstream_request), ("asked", "sent"));
    let response = response.unwrap();
    assert_eq!((response.request_id, &*response.session_id, response.timestamp), (7, "s", 2));
    assert_eq!(response.response_body.as_deref(), Some("answered"));
    assert_eq!(requests::list(&store, &requests::Filter::default(), Page::ALL).await.unwrap().total, 1);

    let begun = ExchangeStart {
        request_id: "next".to_owned(),
        received_at: 3,
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        model: "m".to_owned(),
        stream: false,
        request_body: "{}".into(),
        first_user_message: "hi".to_owned(),
        session: SessionRef::Continues("how-it-began".to_owned()),
        base: None,
        source: Source::Router,
        key_id: None,
    };
    exchanges::record(&store, &[Exchange { begun, ended: None }]).await.unwrap();
    let (next, _) = requests::get(&store, &RequestKey::Uuid("next".to_owned())).await.unwrap();
    assert_eq!(next.session_id, "s");
    let sealer = Sealer::new(&Secret::new([1; 32]));
    let active = credentials::active(&store, &sealer).await.unwrap().unwrap();
    assert_eq!((&**active.token.expose(), &*active.row.label), ("new", "default"));
    let labels: Vec<String> = credentials::list(&store).await.unwrap().into_iter().map(|row| row.label).collect();
    assert_eq!(labels, ["default", "login 1"]);
    // The seeded address is removed, so that the provider follows the port of qwen-proxy; the user's own is kept.
    for (provider, keys) in [("qwen-proxy-default", "timeout"), ("mine", "baseURL")] {
        let rows = provider_configs::list(&store, provider).await.unwrap();
        assert_eq!(rows.iter().map(|row| &*row.key).collect::<Vec<_>>(), [keys], "{provider}");
    }
    store.close().await;
}

#[tokio::test]
async fn the_rows_of_an_older_sqlite_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/test.db", directory.path().display());
    let pool = SqlitePool::connect(&format!("{url}?mode=rwc")).await.unwrap();
    make_old(Transaction::Sqlite(pool.begin().await.unwrap().into())).await;
    pool.close().await;
    check_old_rows(&url).await;
}

#[tokio::test]
async fn the_rows_of_an_older_postgres_are_kept() {
    let Some(postgres) = Postgres::launch().await else { return };
    let url = postgres.create_database().await;
    let pool = PgPool::connect(&url).await.unwrap();
    make_old(Transaction::Postgres(pool.begin().await.unwrap())).await;
    pool.close().await;
    check_old_rows(&url).await;
}

/// A request and its answer in the format of version 9, with a value in each column that version 10 renames.
const ROWS_OF_9: [&str; 3] = [
    "INSERT INTO sessions (id, chat_id, first_user_message, created_at, last_accessed, expires_at)
     VALUES ('s', 's', 'hi', 1, 1, 9)",
    "INSERT INTO requests (id, session_id, request_id, timestamp, method, path, openai_request, qwen_request, model,
         stream, status, created_at)
     VALUES (7, 's', 'r', 1, 'POST', '/v1/chat/completions', 'asked', 'sent', 'm', TRUE, 'completed', 1),
            (8, 's', 'q', 2, 'POST', '/v1/chat/completions', '{}', 'null', 'm', FALSE, 'pending', 2)",
    "INSERT INTO responses (id, timestamp, openai_response, qwen_response, created_at)
     VALUES (7, 2, 'answered', 'received', 2)",
];

async fn make_9(mut tx: Transaction) {
    apply(&mut tx, &VERSIONS[..9]).await.unwrap();
    for row in ROWS_OF_9 {
        tx.execute(Statement::new(row)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn check_rows_of_9(url: &str) {
    let store = Store::open(url).await.unwrap();
    let (request, response) = requests::get(&store, &RequestKey::Uuid("r".to_owned())).await.unwrap();
    assert_eq!((&*request.request_body, &*request.upstream_request), ("asked", "sent"));
    let response = response.unwrap();
    assert_eq!(response.response_body.as_deref(), Some("answered"));
    assert_eq!(response.upstream_response.as_deref(), Some("received"));
    let (pending, answer) = requests::get(&store, &RequestKey::Id(8)).await.unwrap();
    assert_eq!((&*pending.request_body, &*pending.upstream_request, answer), ("{}", "null", None));

    let listed = requests::list(&store, &requests::Filter::default(), Page::ALL).await.unwrap().items;
    assert_eq!(listed.into_iter().map(|(row, _)| row).collect::<Vec<_>>(), [pending, request]);
    let listed = responses::list(&store, &responses::Filter::default(), Page::ALL).await.unwrap().items;
    assert_eq!(listed, [response]);

    let columns = columns(&store).await;
    let names = |table: &str| -> Vec<&str> {
        columns.iter().filter(|column| column.table == table).map(|column| &*column.name).collect()
    };
    for (table, old, new) in [
        ("requests", "openai_request", "request_body"),
        ("requests", "qwen_request", "upstream_request"),
        ("responses", "openai_response", "response_body"),
        ("responses", "qwen_response", "upstream_response"),
    ] {
        let names = names(table);
        assert!(names.contains(&new) && !names.contains(&old), "{table}: {names:?}");
    }
    store.close().await;
}

#[tokio::test]
async fn version_10_renames_the_columns_of_a_sqlite_log() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/test.db", directory.path().display());
    let pool = SqlitePool::connect(&format!("{url}?mode=rwc")).await.unwrap();
    make_9(Transaction::Sqlite(pool.begin().await.unwrap().into())).await;
    pool.close().await;
    check_rows_of_9(&url).await;
}

#[tokio::test]
async fn version_10_renames_the_columns_of_a_postgres_log() {
    let Some(postgres) = Postgres::launch().await else { return };
    let url = postgres.create_database().await;
    let pool = PgPool::connect(&url).await.unwrap();
    make_9(Transaction::Postgres(pool.begin().await.unwrap())).await;
    pool.close().await;
    check_rows_of_9(&url).await;
}

async fn columns(store: &Store) -> BTreeSet<Column> {
    let text = match store.kind() {
        Kind::Sqlite => {
            "SELECT t.name AS table_name, c.name AS name, c.type AS kind, c.\"notnull\" = 0 AS nullable
             FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> '_sqlx_migrations'"
        }
        Kind::Postgres => {
            "SELECT CAST(table_name AS TEXT) AS table_name, CAST(column_name AS TEXT) AS name,
                 CASE data_type WHEN 'bigint' THEN 'INTEGER' WHEN 'bytea' THEN 'BLOB' ELSE UPPER(CAST(data_type AS TEXT)) END AS kind,
                 is_nullable = 'YES' AS nullable
             FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name <> '_sqlx_migrations'"
        }
    };
    store.all(Statement::new(text)).await.unwrap().into_iter().collect()
}

async fn references(store: &Store) -> BTreeSet<Reference> {
    let text = match store.kind() {
        Kind::Sqlite => {
            "SELECT t.name AS table_name, f.\"from\" AS name, f.\"table\" AS target, f.on_delete AS on_delete
             FROM sqlite_schema AS t JOIN pragma_foreign_key_list(t.name) AS f WHERE t.type = 'table'"
        }
        Kind::Postgres => {
            "SELECT CAST(c.conrelid::regclass AS TEXT) AS table_name, CAST(a.attname AS TEXT) AS name,
                 CAST(c.confrelid::regclass AS TEXT) AS target,
                 CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE 'other' END AS on_delete
             FROM pg_constraint AS c
             JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
             WHERE c.contype = 'f'"
        }
    };
    store.all(Statement::new(text)).await.unwrap().into_iter().collect()
}

// === impl FromRow ===

impl FromRow for Column {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            table: row.text("table_name")?,
            name: row.text("name")?,
            kind: row.text("kind")?,
            nullable: row.flag("nullable")?,
        })
    }
}

impl FromRow for Reference {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            table: row.text("table_name")?,
            column: row.text("name")?,
            target: row.text("target")?,
            on_delete: row.text("on_delete")?,
        })
    }
}

use std::path::Path;
use std::process::{Command, Stdio};

use signalbox_harness::postgres::Postgres;
use signalbox_store::{Error, Kind, Page, Store, providers, settings};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

const CHILD_URL: &str = "SIGNALBOX_STORE_TEST_URL";

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

async fn on_file(path: &Path, text: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn providers_in(store: &Store) -> i64 {
    providers::list(store, &providers::Filter::default(), Page::ALL).await.unwrap().total
}

#[tokio::test]
async fn invalid_urls_are_refused_without_quoting_them() {
    for url in ["", "mysql://u:canary@h/d", "/canary.db", "sqlite:", "sqlite:///tmp/canary.db?mode=rwc", "postgres://["]
    {
        let error = Store::open(url).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{url}: {error:?}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn each_memory_database_is_separate() {
    let one = Store::open("sqlite::memory:").await.unwrap();
    let two = Store::open("sqlite::memory:").await.unwrap();
    settings::put(&one, &[("k".to_owned(), "v".to_owned())], 1).await.unwrap();
    assert!(settings::get(&one, "k").await.unwrap().is_some());
    assert_eq!(settings::get(&two, "k").await.unwrap(), None);
    assert_eq!(one.kind(), Kind::Sqlite);
    one.ping().await.unwrap();
    one.close().await;
    assert!(matches!(one.ping().await, Err(Error::Unavailable(_))));
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_private() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/test.db");
    let store = Store::open(&url(&path)).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for made in ["a", "a/b"] {
        assert_eq!(mode(&directory.path().join(made)), 0o700, "{made}");
    }
    for suffix in ["", "-wal", "-shm", ".lock"] {
        assert_eq!(mode(&directory.path().join(format!("a/b/test.db{suffix}"))), 0o600, "{suffix}");
    }
    store.close().await;
}

#[tokio::test]
async fn reopening_keeps_all_rows_and_seeds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory.path().join("test.db"));
    let store = Store::open(&url).await.unwrap();
    providers::delete(&store, "echo").await.unwrap();
    settings::put(&store, &[("k".to_owned(), "v".to_owned())], 1).await.unwrap();
    store.close().await;
    let store = Store::open(&url).await.unwrap();
    assert_eq!(providers_in(&store).await, 2);
    assert_eq!(settings::get(&store, "k").await.unwrap().unwrap().value, "v");
    store.close().await;
}

#[tokio::test]
async fn a_file_of_another_program_is_left_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    on_file(&path, "CREATE TABLE cats (name TEXT); INSERT INTO cats VALUES ('Tom')").await;
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&url(&path)).await.unwrap_err();
    assert!(matches!(&error, Error::Incompatible(text) if text.contains("cats")), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("newer.db");
    Store::open(&url(&path)).await.unwrap().close().await;
    on_file(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (900, 'future', TRUE, x'00', 0)",
    )
    .await;
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&url(&path)).await.unwrap_err();
    assert!(matches!(&error, Error::Incompatible(text) if text.contains("900")), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_left_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("novel.txt");
    std::fs::write(&path, "It was a dark and stormy night. ".repeat(100)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&url(&path)).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt(_)), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn an_unwritable_path_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let error = Store::open(&url(&directory.path().join("file/test.db"))).await.unwrap_err();
    assert!(matches!(error, Error::CannotOpen { is_denied: false, .. }), "{error:?}");
    assert!(error.to_string().contains("file"), "{error}");
}

#[tokio::test]
async fn three_processes_may_open_a_new_file_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let url = url(&directory.path().join(format!("{round}.db")));
        let spawn = |_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "open::as_a_child", "--ignored"])
                .env(CHILD_URL, &url)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        for child in [0, 1, 2].map(spawn) {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        let store = Store::open(&url).await.unwrap();
        assert_eq!(providers_in(&store).await, 3);
        assert_eq!(settings::list(&store).await.unwrap().len(), 4);
        store.close().await;
    }
}

#[tokio::test]
#[ignore = "run by three_processes_may_open_a_new_file_at_once"]
async fn as_a_child() {
    let store = Store::open(&std::env::var(CHILD_URL).unwrap()).await.unwrap();
    let mine = std::process::id().to_string();
    settings::put(&store, &[(mine, "here".to_owned())], 1).await.unwrap();
    assert_eq!(providers_in(&store).await, 3);
    store.close().await;
}

#[tokio::test]
async fn three_may_open_a_new_postgres_database_at_once() {
    let Some(postgres) = Postgres::launch().await else { return };
    let url = postgres.create_database().await;
    let (one, two, three) = tokio::join!(Store::open(&url), Store::open(&url), Store::open(&url));
    for store in [one.unwrap(), two.unwrap(), three.unwrap()] {
        assert_eq!((providers_in(&store).await, store.kind()), (3, Kind::Postgres));
        store.close().await;
    }
}

#[tokio::test]
async fn a_foreign_postgres_database_is_left_unchanged() {
    let Some(postgres) = Postgres::launch().await else { return };
    let url = postgres.create_database().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE cats (name TEXT)").execute(&mut connection).await.unwrap();
    let error = Store::open(&url).await.unwrap_err();
    assert!(matches!(&error, Error::Incompatible(text) if text.contains("cats")), "{error:?}");
    sqlx::raw_sql("DROP TABLE cats").execute(&mut connection).await.unwrap();
    Store::open(&url).await.unwrap().close().await;
    let future = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                  VALUES (900, 'future', TRUE, '\\x00', 0)";
    sqlx::raw_sql(future).execute(&mut connection).await.unwrap();
    let error = Store::open(&url).await.unwrap_err();
    assert!(matches!(&error, Error::Incompatible(text) if text.contains("900")), "{error:?}");
}

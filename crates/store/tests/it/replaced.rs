//! Tests that the file of the database may be deleted or replaced while it is open.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use signalbox_store::exchanges::{SessionRef, record};
use signalbox_store::requests::{self, Filter};
use signalbox_store::{Class, Error, Page, Store, catalog, settings};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::exchanges::whole;

/// Two stores on one file, like two processes, and a backup of the file.
struct World {
    directory: TempDir,
    stores: [Store; 2],
    backup: PathBuf,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", directory.path().display());
        let stores = [Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap()];
        let backup = directory.path().join("backup.db");
        put(&stores[0], "before").await.unwrap();
        record(&stores[1], &[whole("before", 1, SessionRef::Opens)]).await.unwrap();
        stores[0].backup(&backup).await.unwrap();
        put(&stores[0], "lost").await.unwrap();
        record(&stores[1], &[whole("lost", 2, SessionRef::Opens)]).await.unwrap();
        Self { directory, stores, backup }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("test.db")
    }

    /// Checks that writes of both stores are visible to both, and to a store that opens the file later, with `logged`
    /// requests in total.
    async fn go_on(self, expected: &[&str], logged: i64) {
        let Self { directory, stores, .. } = self;
        for (n, store) in stores.iter().enumerate() {
            until(async || put(store, &format!("after {n}")).await).await;
            let id = format!("after-{n}");
            until(async || record(store, &[whole(&id, 3, SessionRef::Opens)]).await).await;
            assert_eq!(store.problem(), None);
        }
        let mut expected: Vec<String> = expected.iter().map(|&text| text.to_owned()).collect();
        expected.extend(["after 0".to_owned(), "after 1".to_owned()]);
        expected.sort();
        for store in &stores {
            assert_eq!(keys(store).await, expected);
            store.close().await;
        }
        let later = Store::open(&format!("sqlite://{}/test.db", directory.path().display())).await.unwrap();
        assert_eq!(keys(&later).await, expected);
        let rows = requests::list(&later, &Filter::default(), Page { limit: 100, offset: 0 }).await.unwrap();
        assert_eq!(rows.total, logged + 2);
        later.close().await;
        let mut connection =
            SqliteConnection::connect(&format!("sqlite://{}/test.db", directory.path().display())).await.unwrap();
        let check: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
        assert_eq!(check, "ok");
    }
}

async fn put(store: &Store, key: &str) -> Result<(), Error> {
    settings::put(store, &[(key.to_owned(), "x".to_owned())], 1).await
}

async fn keys(store: &Store) -> Vec<String> {
    let rows = settings::list(store).await.unwrap();
    let mut keys: Vec<String> = rows.into_iter().filter(|row| row.value == "x").map(|row| row.key).collect();
    keys.sort();
    keys
}

/// Repeats a call while it fails with a transient error.
async fn until(call: impl AsyncFn() -> Result<(), Error>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = call().await {
        assert_eq!(error.class(), Class::Transient, "{error}");
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

#[tokio::test]
async fn a_backup_moved_into_place_is_opened_automatically() {
    let world = World::new().await;
    let before = catalog::version(&world.stores[0]).await.unwrap();
    fs::rename(&world.backup, world.path()).unwrap();
    let error = put(&world.stores[0], "to nowhere").await.unwrap_err();
    assert!(error.to_string().contains("db_replaced"), "{error}");
    assert_eq!((error.class(), world.stores[0].problem()), (Class::Transient, Some("db_replaced")));
    until(async || put(&world.stores[0], "before").await).await;
    assert_ne!(catalog::version(&world.stores[0]).await.unwrap(), before, "readers reload everything");
    world.go_on(&["before"], 1).await;
}

#[tokio::test]
async fn a_backup_with_its_wal_keeps_it() {
    let world = World::new().await;
    let url = format!("sqlite://{}", world.backup.display());
    let other = Store::open(&url).await.unwrap();
    put(&other, "in the log").await.unwrap();
    // Simulates a killed process: its log is not checkpointed.
    let copy = world.directory.path().join("copy.db");
    fs::copy(&world.backup, &copy).unwrap();
    fs::copy(log_of(&world.backup), log_of(&copy)).unwrap();
    other.close().await;
    fs::rename(log_of(&copy), log_of(&world.path())).unwrap();
    fs::rename(&copy, world.path()).unwrap();
    world.go_on(&["before", "in the log"], 1).await;
}

#[tokio::test]
async fn with_a_deleted_file_writes_fail_and_reads_work() {
    let world = World::new().await;
    let aside = world.directory.path().join("aside.db");
    fs::rename(world.path(), &aside).unwrap();
    for _ in 0..3 {
        let error = put(&world.stores[0], "to nowhere").await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("deleted"), "{error}");
        let batch = [whole("nowhere", 3, SessionRef::Opens)];
        assert!(record(&world.stores[1], &batch).await.unwrap_err().is_transient());
        // No further connection can be opened, so a read may have to wait for an open one.
        until(async || settings::list(&world.stores[1]).await.map(drop)).await;
    }
    assert!(!world.path().exists(), "no other file is created");
    fs::rename(&aside, world.path()).unwrap();
    world.go_on(&["before", "lost"], 2).await;
}

#[tokio::test]
async fn a_database_that_was_moved_aside_has_its_newest_rows_when_it_comes_back() {
    let world = World::new().await;
    let [aside, again] = ["aside.db", "again.db"].map(|name| world.directory.path().join(name));
    fs::rename(world.path(), &aside).unwrap();
    fs::rename(&world.backup, world.path()).unwrap();
    until(async || put(&world.stores[0], "in the backup").await).await;
    fs::rename(world.path(), &again).unwrap();
    fs::rename(&aside, world.path()).unwrap();
    until(async || put(&world.stores[0], "at home").await).await;
    // Each file has all of its rows without a log.
    let copy = world.directory.path().join("copy.db");
    fs::copy(&again, &copy).unwrap();
    let copied = Store::open(&format!("sqlite://{}", copy.display())).await.unwrap();
    assert_eq!(keys(&copied).await, ["before", "in the backup"]);
    copied.close().await;
    world.go_on(&["at home", "before", "lost"], 2).await;
}

#[tokio::test]
async fn a_deleted_file_is_replaced_by_the_backup() {
    let world = World::new().await;
    fs::remove_file(world.path()).unwrap();
    put(&world.stores[0], "to nowhere").await.unwrap_err();
    fs::rename(&world.backup, world.path()).unwrap();
    world.go_on(&["before"], 1).await;
}

#[tokio::test]
async fn a_replacement_that_is_not_a_database_is_left_unchanged() {
    let world = World::new().await;
    let aside = world.directory.path().join("aside.db");
    fs::rename(world.path(), &aside).unwrap();
    fs::write(world.path(), "not a database".repeat(1000)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let error = put(&world.stores[0], "to nowhere").await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        if error.to_string().contains("cannot be used") {
            break;
        }
        assert!(Instant::now() < deadline, "{error}");
    }
    assert_eq!(fs::read(world.path()).unwrap(), "not a database".repeat(1000).into_bytes());
    fs::rename(&aside, world.path()).unwrap();
    world.go_on(&["before", "lost"], 2).await;
}

fn index_of(path: &Path) -> PathBuf {
    path.with_extension("db-shm")
}

#[tokio::test]
async fn a_deleted_wal_index_stops_writes_until_the_file_is_reopened() {
    let world = World::new().await;
    fs::remove_file(index_of(&world.path())).unwrap();
    let error = put(&world.stores[0], "to nowhere").await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("-shm was deleted"), "{error}");
    world.go_on(&["before", "lost"], 2).await;
}

/// Set for the second process of the following test: the path of the database.
const PATH: &str = "SIGNALBOX_TEST_SECOND_PROCESS";

/// Runs in a process of its own: writes until its standard input ends, and exits without closing the database.
#[tokio::test]
async fn second_process() {
    let Ok(path) = std::env::var(PATH) else { return };
    let store = Store::open(&format!("sqlite://{path}")).await.unwrap();
    for n in 0..200 {
        until(async || put(&store, &format!("second {n:03}")).await).await;
    }
    std::process::exit(7);
}

#[tokio::test]
async fn processes_with_different_wal_indexes_do_not_corrupt_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.db");
    let url = format!("sqlite://{}", path.display());
    for closes_at_once in [false, true] {
        let store = Store::open(&url).await.unwrap();
        for n in 0..50 {
            put(&store, &format!("first {n:03}")).await.unwrap();
        }
        fs::remove_file(index_of(&path)).unwrap();
        // The other process creates another index, and dies with its data in the log.
        let second = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                let mut command = std::process::Command::new(std::env::current_exe().unwrap());
                command.args(["--exact", "replaced::second_process"]).env(PATH, path).output().unwrap()
            }
        });
        let output = second.await.unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        if !closes_at_once {
            let error = put(&store, "to nowhere").await.unwrap_err();
            assert!(error.is_transient() && error.to_string().contains("-shm was replaced"), "{error}");
            until(async || put(&store, "first after").await).await;
        }
        store.close().await;
        let later = Store::open(&url).await.unwrap();
        let found = keys(&later).await;
        let count = |start: &str| found.iter().filter(|key| key.starts_with(start)).count();
        assert_eq!((count("first 0"), count("second "), count("to nowhere")), (50, 200, 0), "{closes_at_once}");
        later.close().await;
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let check: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
        assert_eq!(check, "ok", "{closes_at_once}");
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn rows_in_a_deleted_wal_are_saved() {
    let world = World::new().await;
    fs::remove_file(log_of(&world.path())).unwrap();
    world.go_on(&["before", "lost"], 2).await;
}

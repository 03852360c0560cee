use std::process::Command;

use super::*;

#[test]
fn the_database_of_a_url_is_replaced() {
    for (url, expected) in [
        ("postgres://u:p@h:1/a", "postgres://u:p@h:1/b"),
        ("postgres://h", "postgres://h/b"),
        ("postgres://h/a?sslmode=disable", "postgres://h/b?sslmode=disable"),
        ("postgres://h?sslmode=disable", "postgres://h/b?sslmode=disable"),
    ] {
        assert_eq!(with_database(url, "b"), expected);
    }
}

#[test]
fn a_directory_created_concurrently_is_accepted() {
    let Some(installation) = Installation::find_or_skip() else { return };
    let parent = tempfile::tempdir().expect("a directory");
    let home = parent.path().join("home");
    std::fs::create_dir(&home).expect("another process creates it");
    for _ in 0..2 {
        installation.take(&home).expect("it belongs to this user");
    }
    // Only root can create a directory owned by another user.
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&home, Some(u32::MAX - 1), None).expect("root may");
        installation.take(&home).expect_err("it belongs to another user");
    }
}

#[tokio::test]
async fn data_survives_a_stop_and_is_removed_at_the_end() {
    let Some(mut postgres) = Postgres::launch_own().await else { return };
    let url = postgres.create_database().await;
    let ask = |sql: &str| Command::new("psql").args([&*url, "-Atqc", sql]).output().expect("psql runs");
    assert!(ask("CREATE TABLE t AS SELECT 42 AS answer").status.success());
    postgres.stop().await;
    assert!(!ask("SELECT 1").status.success());
    postgres.start().await;
    assert_eq!(ask("SELECT answer FROM t").stdout, b"42\n");

    let directory = postgres.cluster().directory().to_owned();
    assert!(directory.exists());
    drop(postgres);
    assert!(!directory.exists());
    assert!(!ask("SELECT 1").status.success());
}

#[tokio::test]
async fn a_server_is_shared_but_databases_are_not() {
    let Some(one) = Postgres::launch().await else { return };
    let Some(two) = Postgres::launch().await else { return };
    assert_eq!(one.url(), two.url());
    let urls = [one.create_database().await, one.create_database().await, two.create_database().await];
    let answers =
        |url: &str| Command::new("psql").args([url, "-Atqc", "SELECT 1"]).output().expect("psql").status.success();
    assert!(urls.iter().all(|url| answers(url)));
    assert_eq!(std::collections::BTreeSet::from(urls.clone()).len(), 3);
    drop(one);
    assert_eq!(urls.map(|url| answers(&url)), [false, false, true]);
}

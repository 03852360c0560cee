//! The database becomes unavailable under traffic: answers continue, and the rows are written when it is back.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;
use signalbox_harness::{Launch, Stack, eventually, postgres::Postgres};
use sqlx::Executor as _;

use crate::{
    catalog::database,
    gateway::{CHAT, Gateway, chat, recorded_text, request_id},
};

/// Id of a user other than root, so that file permissions apply.
const NOBODY: u32 = 65_534;

/// Sends chat requests, streamed and not, all of which must succeed; returns their ids in the log.
async fn answers_continue(gateway: &Gateway, rounds: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..rounds {
        ids.push(request_id(&gateway.ask("fake/m").await.expect(200)));
        let events = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
        assert_eq!(events.status, 200);
        ids.push(events.header("x-request-id").to_owned());
        let finished = events.finish().await;
        assert!(finished.complete && finished.folded.done);
    }
    ids
}

async fn health(gateway: &Gateway) -> Value {
    gateway.router.get("/health").await.expect(200).json()
}

async fn health_becomes(gateway: &Gateway, status: &str) {
    let what = format!("health `{status}`");
    eventually(&what, async || (health(gateway).await["status"] == status).then_some(())).await;
}

async fn rows_appear(stack: &Stack, ids: &[String]) {
    for id in ids {
        let row = stack.recorded(id).await;
        assert_eq!(
            (row["status"].as_str(), recorded_text(&row).as_str()),
            (Some("completed"), "one two three"),
            "{row}"
        );
    }
}

#[tokio::test]
async fn fc_38_a_locked_sqlite_delays_only_the_log() {
    let gateway = Gateway::start().await;
    let mut locker = database(&gateway.stack.home).await;
    locker.execute("BEGIN EXCLUSIVE").await.unwrap();
    let mut ids = answers_continue(&gateway, 10).await;
    health_becomes(&gateway, "degraded").await;
    ids.extend(answers_continue(&gateway, 2).await);
    locker.execute("ROLLBACK").await.unwrap();
    rows_appear(&gateway.stack, &ids).await;
    health_becomes(&gateway, "ok").await;
}

#[tokio::test]
async fn fc_40_a_directory_without_permissions_delays_only_the_log() {
    if !nix::unistd::geteuid().is_root() {
        // Other users cannot start the services as a different user, and would be affected by the changed permissions
        // themselves.
        assert!(std::env::var_os("CI").is_none(), "this test must run as root in CI");
        return;
    }
    let gateway = Gateway::launch(Launch::default().uid(NOBODY)).await;
    let data = gateway.stack.home.data();
    let mode = |mode| fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
    let mut ids = answers_continue(&gateway, 2).await;
    mode(0o000);
    ids.extend(answers_continue(&gateway, 10).await);
    mode(0o700);
    rows_appear(&gateway.stack, &ids).await;
    health_becomes(&gateway, "ok").await;
}

#[tokio::test]
async fn fc_45_a_stopped_postgresql_delays_only_the_log() {
    let Some(mut postgres) = Postgres::launch_own().await else { return };
    let gateway = Gateway::launch(Launch::default().database(postgres.create_database().await)).await;
    let mut ids = answers_continue(&gateway, 2).await;
    postgres.stop().await;
    ids.extend(answers_continue(&gateway, 10).await);
    health_becomes(&gateway, "degraded").await;
    ids.extend(answers_continue(&gateway, 2).await);
    postgres.start().await;
    rows_appear(&gateway.stack, &ids).await;
    health_becomes(&gateway, "ok").await;
}

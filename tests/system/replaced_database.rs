//! The database file is deleted or replaced while the services are running.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use signalbox_harness::eventually;
use sqlx::{AssertSqlSafe, Executor as _};

use crate::{
    catalog::database,
    gateway::{CHAT, Gateway, chat, logged, recorded_text, request_id},
    lone_router::LoneRouter,
};

async fn health(gateway: &Gateway) -> Value {
    gateway.router.get("/health").await.expect(200).json()
}

async fn health_becomes(gateway: &Gateway, status: &str) {
    let what = format!("health `{status}`");
    eventually(&what, async || (health(gateway).await["status"] == status).then_some(())).await;
}

async fn ask(gateway: &Gateway, times: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..times {
        let answer = gateway.ask("fake/m").await.expect(200);
        assert!(answer.complete);
        ids.push(request_id(&answer));
    }
    ids
}

/// Creates a copy of the database beside it.
async fn back_up(gateway: &Gateway) -> PathBuf {
    let path = gateway.stack.home.data().join("backup.db");
    let text = format!("VACUUM INTO '{}'", path.display());
    database(&gateway.stack.home).await.execute(AssertSqlSafe(text)).await.unwrap();
    path
}

fn file(gateway: &Gateway) -> PathBuf {
    gateway.stack.home.data().join("signalbox.db")
}

/// Adds a provider and waits until the router has it.
async fn a_provider_is_added(gateway: &Gateway, id: &str) {
    eventually("an acknowledged provider", async || {
        let status = gateway.stack.create_provider(id, &gateway.fake.url()).await.status;
        assert!([201, 409, 503].contains(&status), "{status}");
        (status == 201).then_some(())
    })
    .await;
    eventually("the router to load the provider", async || {
        let known = health(gateway).await["registeredProviders"].clone();
        known.as_array()?.iter().any(|known| known == id).then_some(())
    })
    .await;
}

async fn all_are_logged_once(gateway: &Gateway, ids: &[String], before: u64) {
    for id in ids {
        assert_eq!(recorded_text(&gateway.stack.recorded(id).await), "one two three");
    }
    assert_eq!(logged(&gateway.stack).await, before + ids.len() as u64);
    let journal = health(gateway).await["journal"].clone();
    assert_eq!((&journal["unlogged"], &journal["refused"]), (&0.into(), &0.into()), "{journal}");
}

#[tokio::test]
async fn fc_44_all_services_use_a_backup_moved_into_place() {
    let gateway = Gateway::start().await;
    let first = ask(&gateway, 3).await;
    gateway.stack.recorded(&first[2]).await;
    let backup = back_up(&gateway).await;
    let before = logged(&gateway.stack).await;
    ask(&gateway, 3).await;
    fs::rename(backup, file(&gateway)).unwrap();
    let ids = ask(&gateway, 40).await;
    a_provider_is_added(&gateway, "after").await;
    // The three requests before the replacement may be in either file.
    let both = eventually("the rows of the new file", async || {
        gateway.stack.recorded(ids.last()?).await;
        Some(logged(&gateway.stack).await)
    })
    .await;
    assert!((before + 40..=before + 43).contains(&both), "{before} and {both}");
    for id in &ids {
        assert_eq!(recorded_text(&gateway.stack.recorded(id).await), "one two three");
    }
    health_becomes(&gateway, "ok").await;
    let qwen = gateway.stack.qwen().await;
    eventually("qwen-proxy with the new file", async || {
        (qwen.get("/health").await.expect(200).json()["checks"]["database"] == "ok").then_some(())
    })
    .await;
    // The file at that path has all rows and is sound.
    let mut reader = database(&gateway.stack.home).await;
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM requests").fetch_one(&mut reader).await.unwrap();
    assert_eq!(u64::try_from(rows).unwrap(), both);
    let check: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut reader).await.unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn fc_44_services_wait_for_a_deleted_database() {
    let gateway = Gateway::start().await;
    let first = ask(&gateway, 3).await;
    gateway.stack.recorded(&first[2]).await;
    let backup = back_up(&gateway).await;
    let before = logged(&gateway.stack).await;
    fs::remove_file(file(&gateway)).unwrap();
    let ids = ask(&gateway, 20).await;
    health_becomes(&gateway, "degraded").await;
    assert_eq!(health(&gateway).await["database"]["reason"], "db_replaced");
    assert_eq!(gateway.stack.create_provider("lost", &gateway.fake.url()).await.status, 503);
    assert!(!file(&gateway).exists(), "no empty database is created");
    fs::rename(backup, file(&gateway)).unwrap();
    a_provider_is_added(&gateway, "after").await;
    health_becomes(&gateway, "ok").await;
    all_are_logged_once(&gateway, &ids, before).await;
}

#[tokio::test]
async fn a_deleted_index_of_the_log_damages_nothing_when_a_child_opens_the_database_again() {
    let gateway = Gateway::start().await;
    let before = logged(&gateway.stack).await;
    let mut ids = ask(&gateway, 3).await;
    for service in ["provider-router", "qwen-proxy"] {
        fs::remove_file(file(&gateway).with_extension("db-shm")).unwrap();
        gateway.stack.api.post("/api/proxy/restart", &json!({"service": service})).await.expect(200);
        ids.extend(ask(&gateway, 20).await);
        a_provider_is_added(&gateway, &format!("after-{service}")).await;
        health_becomes(&gateway, "ok").await;
    }
    all_are_logged_once(&gateway, &ids, before).await;
    let mut reader = database(&gateway.stack.home).await;
    let check: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut reader).await.unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn a_deleted_journal_loses_no_answered_request() {
    let mut lone = LoneRouter::configured("").await;
    let data = lone.home().data();
    lone.recorded(&request_id(&lone.client().post(CHAT, &chat("fake/m", false)).await.expect(200))).await;
    let (database, aside) = (data.join("signalbox.db"), data.join("aside.db"));
    fs::rename(&database, &aside).unwrap();
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(request_id(&lone.client().post(CHAT, &chat("fake/m", false)).await.expect(200)));
        if n == 4 {
            fs::remove_dir_all(data.join("journal")).unwrap();
        }
    }
    // Rows written before the deletion are copied within a second.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(lone.health().await["journal"]["status"], "ok");
    lone.kill9().await;
    fs::rename(&aside, &database).unwrap();
    lone.start_again().await;
    for id in &ids {
        lone.recorded(id).await;
    }
}

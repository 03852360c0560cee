//! A router whose database has been migrated by the next version keeps the request log in its journal.
//!
//! During a restart without downtime, the old process still serves after the new one has migrated the database. Its
//! statements then name columns that no longer exist. Here the columns are renamed while the router is running.

use nix::sys::signal::Signal;
use signalbox_core::schema::RequestStatus;
use signalbox_harness::{Launch, eventually, postgres::Postgres};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    catalog::database,
    gateway::{CHAT, chat, request_id},
    lone_router::{LoneRouter, text_of},
};

/// The columns that migration 0010 has renamed.
const COLUMNS: [(&str, &str); 4] = [
    ("requests", "request_body"),
    ("requests", "upstream_request"),
    ("responses", "response_body"),
    ("responses", "upstream_response"),
];

/// Returns the statements of the next version's migration, and those that revert it.
fn migration() -> [String; 2] {
    let rename = |from: &str, to: &str| {
        let rename =
            |(table, name): &(&str, &str)| format!("ALTER TABLE {table} RENAME COLUMN {from}{name} TO {to}{name};");
        format!("BEGIN; {} COMMIT;", COLUMNS.iter().map(rename).collect::<String>())
    };
    [rename("", "newer_"), rename("newer_", "")]
}

async fn ask(lone: &LoneRouter) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(request_id(&lone.client().post(CHAT, &chat("fake/m", n % 2 == 0)).await.expect(200)));
    }
    ids
}

async fn the_log_waits_in_the_journal(mut lone: LoneRouter, execute: impl AsyncFn(String)) {
    let [migrate, revert] = migration();
    let mut ids = ask(&lone).await;
    lone.recorded(&ids[9]).await;
    execute(migrate).await;
    ids.extend(ask(&lone).await);
    eventually("a database that refuses the log", async || {
        (lone.health().await["database"]["status"] == "degraded").then_some(())
    })
    .await;
    ids.extend(ask(&lone).await);
    let journal = lone.health().await["journal"].clone();
    for figure in ["unlogged", "refused", "set_aside", "skipped"] {
        assert_eq!(journal[figure], 0, "{journal}");
    }
    lone.stop(Signal::SIGTERM).await;

    execute(revert).await;
    lone.start_again().await;
    lone.inherits_everything().await;
    for id in &ids {
        let (request, response) = lone.recorded(id).await;
        assert_eq!((request.status, &*text_of(response.as_ref())), (RequestStatus::Completed, "one two three"));
    }
    assert_eq!(lone.rows(None).await, ids.len());
    assert_eq!(lone.health().await["journal"]["set_aside"], 0);
}

#[tokio::test]
async fn a_newer_sqlite_leaves_the_log_in_the_journal() {
    let launch = Launch::default();
    let home = launch.home_dir().clone();
    let lone = LoneRouter::launch(launch).await;
    the_log_waits_in_the_journal(lone, async |text| {
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut database(&home).await).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_newer_postgresql_leaves_the_log_in_the_journal() {
    let Some(postgres) = Postgres::launch().await else { return };
    let url = postgres.create_database().await;
    let lone = LoneRouter::launch_on(url.clone(), Launch::default()).await;
    the_log_waits_in_the_journal(lone, async |text| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    })
    .await;
}

//! Measures lists and statistics with millions of requests. Not a regular test: `SIGNALBOX_ROWS=5000000 cargo test
//! --release -p signalbox-store --test it -- --ignored large --nocapture` prints the results.

use signalbox_store::requests::{self, Filter};
use signalbox_store::sessions::{self, Sort};
use signalbox_store::{Page, RowPosition, activity, responses};
use tokio::time::{Duration, Instant};

use crate::fixture::{Database, on_sqlite};

/// The arrival time of the last request.
const NOW: i64 = 1_760_000_000_000;
/// The time span in which the requests arrive.
const SPAN: i64 = 90 * 24 * 3_600_000;

async fn fill(database: &Database, rows: i64) {
    let from = NOW - SPAN;
    let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})");
    let at = format!("{from} + i * {SPAN} / {rows}");
    let sums = include_str!("../../../../migrations/sqlite/0006_usage.sql");
    let sums = sums.split(';').find(|statement| statement.contains("INSERT INTO usage_hours")).unwrap();
    for statement in [
        format!(
            "{numbers} INSERT INTO sessions (id, chat_id, first_user_message, message_count, created_at, last_accessed,
                 expires_at) SELECT printf('s%08d', i), 's', 'hello', 10, {at}, {at}, {at} + 2592000000
             FROM n WHERE i % 10 = 0"
        ),
        format!(
            "{numbers} INSERT INTO requests (session_id, request_id, timestamp, method, path, request_body,
                 upstream_request, model, stream, status, provider_id, created_at)
             SELECT printf('s%08d', MAX(i / 10 * 10, 10)), printf('%08x-0000-7000-8000-%012x', i, i), {at}, 'POST',
                 '/v1/chat/completions', '{{\"model\":\"m\"}}', 'null', 'model-' || (i % 7), i % 2,
                 CASE WHEN i % 50 = 0 THEN 'failed' ELSE 'completed' END, 'provider-' || (i % 3), {at} FROM n"
        ),
        "INSERT INTO responses (id, timestamp, response_body, prompt_tokens, completion_tokens, total_tokens,
             finish_reason, error, duration_ms, provider_id, created_at)
         SELECT id, timestamp + 900, '{}', 10, 20, 30, 'stop', CASE status WHEN 'failed' THEN 'no' END, 900, provider_id,
             timestamp FROM requests ORDER BY id"
            .to_owned(),
        sums.to_owned(),
    ] {
        database.execute(&statement).await;
    }
}

/// Returns the second highest of a hundred durations.
async fn p99(mut call: impl AsyncFnMut()) -> Duration {
    let mut times = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        call().await;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[98]
}

#[tokio::test]
#[ignore = "prints figures, and takes minutes"]
async fn large() {
    let rows = std::env::var("SIGNALBOX_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(200_000);
    on_sqlite(async |database: &Database| {
        fill(database, rows).await;
        let store = &database.store;
        let first = Page { limit: 50, offset: 0 };
        let deep = Page { limit: 50, offset: 500_000.min(rows - 50) };
        let after = Some(RowPosition { at: NOW - SPAN * (deep.offset) / rows, id: rows - deep.offset });
        let all = Filter::default();
        let cursor = Filter { after: after.clone(), ..Filter::default() };
        let model = Filter { models: vec!["model-3".to_owned()], ..Filter::default() };
        let session = Filter { session_id: Some("s00000500".to_owned()), ..Filter::default() };
        let replies = responses::Filter::default();
        let replies_after = responses::Filter { after: after.clone(), ..responses::Filter::default() };
        let old = RowPosition { at: NOW - SPAN / 2, id: String::new() };
        let pages = [("requests", &all, first), ("requests, page 10,000", &all, deep)];
        let more = [("requests by cursor there", &cursor, first), ("of a model", &model, first)];
        for (what, filter, page) in pages.into_iter().chain(more).chain([("of a session", &session, first)]) {
            let p99 = p99(async || assert!(!requests::list(store, filter, page).await.unwrap().items.is_empty())).await;
            println!("{what}: {p99:?}");
        }
        for (what, filter, page) in [
            ("responses", &replies, first),
            ("responses, page 10,000", &replies, deep),
            ("responses by cursor there", &replies_after, first),
        ] {
            let p99 =
                p99(async || assert!(!responses::list(store, filter, page).await.unwrap().items.is_empty())).await;
            println!("{what}: {p99:?}");
        }
        for (what, after) in [("sessions", None), ("sessions by cursor", Some(&old))] {
            let list = async || sessions::list_after(store, Sort::CreatedAt, after, first).await.unwrap();
            let p99 = p99(async || assert!(!list().await.items.is_empty())).await;
            println!("{what}: {p99:?}");
        }
        println!("responses/stats: {:?}", p99(async || assert!(responses::stats(store, None).await.is_ok())).await);
        println!("activity/stats: {:?}", p99(async || assert!(activity::stats(store, NOW).await.is_ok())).await);
        let recent = p99(async || drop(activity::recent(store, None, first).await.unwrap())).await;
        println!("activity/recent: {recent:?}");
    })
    .await;
}

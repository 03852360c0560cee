//! Tests of the journal with a real database file.

#[cfg(unix)]
mod deleted;
mod segments;
#[cfg(unix)]
mod strangers;

use signalbox_core::schema::{Request, RequestStatus, Response};
use signalbox_store::{Page, Store, requests};
use tempfile::TempDir;
use tokio::time::{Duration, sleep, timeout};

use super::*;
use crate::{ledger::Ledger, prices::Prices};

struct World {
    dir: TempDir,
    store: Store,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}/signalbox.db", dir.path().display())).await.unwrap();
        Self { dir, store }
    }

    fn journal(&self, instance: &str) -> (Journal, Loader) {
        Journal::open(self.dir.path(), instance, 2, config()).unwrap()
    }

    fn spawn(&self, loader: Loader) -> Running {
        let keep = RetentionConfig {
            requests: signalbox_daemon::config::Duration::from_secs(0),
            bodies: signalbox_daemon::config::Duration::from_secs(0),
            max_body_bytes: Size::from_bytes(0),
        };
        loader
            .spawn(
                self.store.clone(),
                keep,
                Arc::default(),
                Prices::default(),
                Arc::new(Ledger::new(0)),
                tokio::runtime::Handle::current(),
            )
            .unwrap()
    }

    async fn rows(&self) -> Vec<(Request, Option<Response>)> {
        let page = Page { limit: 1000, offset: 0 };
        let listed = requests::list(&self.store, &requests::Filter::default(), page).await.unwrap();
        let mut rows = Vec::new();
        for (request, _) in listed.items {
            rows.push(requests::get(&self.store, &requests::RequestKey::Id(request.id)).await.unwrap());
        }
        rows
    }

    fn segments(&self, instance: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(instance_dir(self.dir.path(), instance)) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        // Spare files are empty.
        paths.retain(|path| path.extension().is_some() && std::fs::metadata(path).unwrap().len() > 0);
        paths.sort();
        paths
    }
}

fn config() -> JournalConfig {
    JournalConfig {
        enabled: true,
        durability: Durability::Process,
        bodies: Bodies::Full,
        segment_bytes: Size::from_bytes(4096),
        max_bytes: Size::from_mib(64),
        max_answer_bytes: Size::from_mib(8),
        on_failure: OnFailure::Serve,
    }
}

fn begin() -> Begin {
    Begin {
        received_at: 1000,
        path: "/v1/chat/completions".into(),
        model: "m".into(),
        stream: true,
        session: None,
        previous: None,
        key: None,
    }
}

fn end(status: RequestStatus) -> End {
    End {
        status,
        ended_at: 1500,
        provider_id: Some("echo".into()),
        provider_type: None,
        upstream_model: None,
        sent_as: None,
        counted: false,
        status_code: Some(200),
        duration_ms: 500,
        first_byte_ms: Some(10),
        attempts: 1,
        cancelled_nanos: 0,
        estimate: None,
        error: None,
        streamed: true,
        truncated: false,
        summary: None,
        parts: 0,
        plan: None,
        params: None,
    }
}

const BODY: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

fn event(text: &str) -> Vec<u8> {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n").into_bytes()
}

fn one(rows: &[(Request, Option<Response>)]) -> (&Request, &Response) {
    assert_eq!(rows.len(), 1);
    (&rows[0].0, rows[0].1.as_ref().unwrap())
}

#[tokio::test]
async fn closing_the_journal_loads_all_records() {
    let world = World::new().await;
    let (journal, loader) = world.journal("a");
    let running = world.spawn(loader);
    for n in 0..200 {
        let mut entry = journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap();
        entry.part(&event("one "));
        entry.part(&event("two "));
        drop(entry.end(end(RequestStatus::Completed), &event(&format!("{n}"))));
    }
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    let rows = world.rows().await;
    assert_eq!(rows.len(), 200);
    assert!(rows.iter().all(|(request, response)| {
        let response = response.as_ref().unwrap();
        request.status == RequestStatus::Completed && response.response_body.as_ref().unwrap().contains("one two ")
    }));
    assert!(!instance_dir(world.dir.path(), "a").exists(), "no file is left after loading");
}

#[tokio::test]
async fn a_request_in_flight_is_shown_as_pending() {
    let world = World::new().await;
    let (journal, loader) = world.journal("a");
    let running = world.spawn(loader);
    let entry = journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap();
    let pending = async {
        while world.rows().await.is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), pending).await.unwrap();
    assert_eq!(world.rows().await[0].0.status, RequestStatus::Pending);
    drop(entry.end(end(RequestStatus::Completed), &event("done")));
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    let rows = world.rows().await;
    let (request, response) = one(&rows);
    assert_eq!((request.status, request.request_body.as_bytes()), (RequestStatus::Completed, BODY));
    assert!(response.response_body.as_ref().unwrap().contains("done"));
}

/// Simulates a killed process: its files stay, its lock is free, and nothing has been loaded.
fn die(journal: Journal, loader: Loader) {
    drop(loader);
    drop(journal);
}

#[tokio::test]
async fn the_next_process_loads_the_journal_of_a_dead_one() {
    let world = World::new().await;
    let (journal, loader) = world.journal("dead");
    let whole = journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap();
    drop(whole.end(end(RequestStatus::Completed), &event("whole")));
    let mut cut = journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap();
    cut.part(&event("half an answer"));
    std::mem::forget(cut);
    // The kernel would close a dead process's files; here the lock has to be released explicitly.
    journal.0.pool.unlock();
    let torn = world.segments("dead").pop().unwrap();
    let mut bytes = std::fs::read(&torn).unwrap();
    bytes.extend_from_slice(&[90, 0, 0, 0, 1, 2, 3]);
    std::fs::write(&torn, bytes).unwrap();
    die(journal, loader);

    let (journal, loader) = world.journal("next");
    let running = world.spawn(loader);
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    let rows = world.rows().await;
    let statuses: Vec<RequestStatus> = rows.iter().map(|(request, _)| request.status).collect();
    assert_eq!(rows.len(), 2);
    assert!(statuses.contains(&RequestStatus::Completed) && statuses.contains(&RequestStatus::Interrupted));
    let interrupted = rows.iter().find(|(request, _)| request.status == RequestStatus::Interrupted).unwrap();
    assert!(interrupted.1.as_ref().unwrap().response_body.as_ref().unwrap().contains("half an answer"));
    assert!(world.segments("dead").iter().all(|path| path.extension().unwrap() == "damaged"));
}

#[tokio::test]
async fn loading_is_idempotent() {
    let world = World::new().await;
    let (journal, loader) = world.journal("dead");
    for _ in 0..3 {
        drop(journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap().end(end(RequestStatus::Completed), &event("x")));
    }
    let copies: Vec<(PathBuf, Vec<u8>)> =
        world.segments("dead").into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    die(journal, loader);
    for n in 0..2 {
        std::fs::create_dir_all(instance_dir(world.dir.path(), "dead")).unwrap();
        for (path, bytes) in &copies {
            std::fs::write(path, bytes).unwrap();
        }
        let (journal, loader) = world.journal(&format!("next-{n}"));
        let running = world.spawn(loader);
        drop(journal);
        running.finish(Duration::from_secs(60)).await;
        assert_eq!(world.rows().await.len(), 3);
    }
}

#[tokio::test]
async fn the_journal_of_a_live_process_is_not_loaded() {
    let world = World::new().await;
    let (living, _loader) = world.journal("living");
    drop(living.begin(Uuid::now_v7(), &begin(), BODY).unwrap().end(end(RequestStatus::Completed), b""));
    let (journal, loader) = world.journal("other");
    let running = world.spawn(loader);
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    assert_eq!(world.rows().await.len(), 0);
    assert_eq!(world.segments("living").len(), 1);
}

#[tokio::test]
async fn unlogged_requests_are_counted_and_served_or_refused() {
    let world = World::new().await;
    for on_failure in [OnFailure::Serve, OnFailure::Refuse] {
        let config = JournalConfig { max_bytes: Size::from_bytes(1), on_failure, ..config() };
        let (journal, _loader) = Journal::open(world.dir.path(), &format!("{on_failure:?}"), 1, config).unwrap();
        drop(journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap().end(end(RequestStatus::Completed), b""));
        for _ in 0..3 {
            match (on_failure, journal.begin(Uuid::now_v7(), &begin(), BODY)) {
                (OnFailure::Serve, Ok(mut entry)) => {
                    entry.part(b"x");
                    drop(entry.end(end(RequestStatus::Completed), b"x"));
                }
                (OnFailure::Refuse, Err(refused)) => assert!(refused.to_string().contains("max_bytes")),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(journal.unlogged(), 3);
        assert!(journal.is_failing());
    }
}

#[tokio::test]
async fn with_durability_power_the_last_byte_waits_for_the_sync() {
    let world = World::new().await;
    let config = JournalConfig { durability: Durability::Power, ..config() };
    let (journal, loader) = Journal::open(world.dir.path(), "a", 2, config).unwrap();
    let running = world.spawn(loader);
    let ends: Vec<Written> = (0..20)
        .map(|_| journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap().end(end(RequestStatus::Completed), b""))
        .collect();
    for end in ends {
        timeout(Duration::from_secs(60), end).await.unwrap();
    }
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    assert_eq!(world.rows().await.len(), 20);
}

#[tokio::test]
async fn switched_off_it_writes_nothing_and_counts_nothing() {
    let world = World::new().await;
    let config = JournalConfig { enabled: false, ..config() };
    let (journal, loader) = Journal::open(world.dir.path(), "a", 2, config).unwrap();
    let running = world.spawn(loader);
    drop(journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap().end(end(RequestStatus::Completed), b"x"));
    assert_eq!((journal.unlogged(), journal.backlog_bytes()), (0, 0));
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    assert_eq!(world.rows().await.len(), 0);
}

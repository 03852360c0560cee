//! When the journal cannot be written, the router either serves and counts the requests or refuses them, as configured,
//! and recovers by itself.

mod small_disk;
mod whole_disk;

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::{Value, json};
use signalbox_core::schema::RequestStatus;
use signalbox_harness::{Answer, Home, Launch, eventually};
use sqlx::Executor as _;
use tokio::task::JoinSet;

use crate::{
    catalog::database,
    dice::Dice,
    gateway::{CHAT, error_of, request_id},
    lone_router::{LoneRouter, text_of},
};
pub(crate) use small_disk::SmallDisk;

/// Id of a user other than root, so that file permissions apply.
const NOBODY: u32 = 65_534;
/// Small segments, and one thread so that all requests go to the same segment.
const SERVE: &str = "[server]\nworker_threads = 1\n[journal]\non_failure = \"serve\"\nsegment_bytes = \"64KiB\"\n";
const REFUSE: &str = "[server]\nworker_threads = 1\n[journal]\non_failure = \"refuse\"\nsegment_bytes = \"64KiB\"\n";

/// Returns a text longer than the rest of a page of an existing file.
fn long_text() -> String {
    "0123456 ".repeat(2500)
}

async fn ask(lone: &LoneRouter, stream: bool) -> Answer {
    let request = json!({"model": "fake/m", "stream": stream, "messages": [{"role": "user", "content": long_text()}]});
    lone.client().post(CHAT, &request).await
}

async fn unlogged(lone: &LoneRouter) -> u64 {
    lone.health().await["journal"]["unlogged"].as_u64().unwrap()
}

/// Returns the overall status and that of the journal from `/health`.
async fn statuses(lone: &LoneRouter) -> (String, String) {
    let health = lone.health().await;
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    (word(&health["status"]), word(&health["journal"]["status"]))
}

async fn is_logged_whole(lone: &LoneRouter, answer: &Answer) {
    let (request, response) = lone.recorded(&request_id(answer)).await;
    assert_eq!((request.status, text_of(response.as_ref())), (RequestStatus::Completed, long_text()));
}

async fn health_becomes_ok(lone: &LoneRouter) {
    let ok = ("ok".to_owned(), "ok".to_owned());
    eventually("health `ok`", async || (statuses(lone).await == ok).then_some(())).await;
}

/// Asserts that with `on_failure = "serve"` all requests are served, and those missing in the log are counted exactly.
async fn serves_on(lone: &LoneRouter, mend: impl AsyncFnOnce()) {
    let before = unlogged(lone).await;
    for number in 1..=6 {
        let answer = ask(lone, number % 2 == 0).await.expect(200);
        assert!(answer.complete);
        assert_eq!(unlogged(lone).await, before + number);
        assert!(lone.ended(&request_id(&answer)).await.is_none());
    }
    assert_eq!(statuses(lone).await, ("degraded".into(), "degraded".into()));
    mend().await;
    for answer in [ask(lone, false).await.expect(200), ask(lone, true).await.expect(200)] {
        is_logged_whole(lone, &answer).await;
    }
    health_becomes_ok(lone).await;
    assert_eq!(unlogged(lone).await, before + 6);
}

/// Asserts that with `on_failure = "refuse"` requests get 503 before any provider is called.
async fn refuses(lone: &LoneRouter, mend: impl AsyncFnOnce()) {
    let calls = lone.fake.calls_of("m").len();
    for stream in [false, true] {
        let answer = ask(lone, stream).await;
        assert_eq!(error_of(&answer, 503)["code"], "log_unavailable");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    }
    assert_eq!(statuses(lone).await, ("degraded".into(), "degraded".into()));
    assert_eq!(lone.fake.calls_of("m").len(), calls);
    mend().await;
    let answer = ask(lone, false).await.expect(200);
    is_logged_whole(lone, &answer).await;
    health_becomes_ok(lone).await;
    assert_eq!(lone.fake.calls_of("m").len(), calls + 1);
}

/// A router whose journal directory has been made read-only.
struct ReadOnly {
    lone: LoneRouter,
    instance: PathBuf,
}

impl ReadOnly {
    async fn new(config: &str) -> Self {
        let launch = Launch::default().config("provider-router", config);
        let root = nix::unistd::geteuid().is_root();
        let lone = LoneRouter::launch(if root { launch.uid(NOBODY) } else { launch }).await;
        let journal = lone.home().data().join("journal");
        let instance =
            fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
        let read_only = Self { lone, instance };
        read_only.mode(0o500);
        read_only
    }

    fn mode(&self, mode: u32) {
        fs::set_permissions(&self.instance, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Sends requests until the router has no writable journal files left. The database must not free any.
    async fn use_up_spare_files(&self) {
        for _ in 0..100 {
            if ask(&self.lone, false).await.status == 503 || unlogged(&self.lone).await > 0 {
                return;
            }
        }
        panic!("the router creates files without limit");
    }
}

#[tokio::test]
async fn fc_40_a_journal_made_read_only_works_while_its_files_are_open() {
    let read_only = ReadOnly::new("").await;
    for number in 0..6 {
        let answer = ask(&read_only.lone, number % 2 == 0).await.expect(200);
        is_logged_whole(&read_only.lone, &answer).await;
    }
    assert_eq!((unlogged(&read_only.lone).await, statuses(&read_only.lone).await), (0, ("ok".into(), "ok".into())));
}

#[tokio::test]
async fn fc_40_a_read_only_journal_does_not_stop_requests() {
    let read_only = ReadOnly::new(SERVE).await;
    let mut locker = database(read_only.lone.home()).await;
    locker.execute("BEGIN EXCLUSIVE").await.unwrap();
    read_only.use_up_spare_files().await;
    let mend = async || {
        read_only.mode(0o700);
        locker.execute("ROLLBACK").await.unwrap();
    };
    serves_on(&read_only.lone, mend).await;
}

#[tokio::test]
async fn fc_40_a_read_only_journal_refuses_requests_if_configured() {
    let read_only = ReadOnly::new(REFUSE).await;
    let mut locker = database(read_only.lone.home()).await;
    locker.execute("BEGIN EXCLUSIVE").await.unwrap();
    read_only.use_up_spare_files().await;
    let mend = async || {
        read_only.mode(0o700);
        locker.execute("ROLLBACK").await.unwrap();
    };
    refuses(&read_only.lone, mend).await;
}

/// Starts a router whose journal is on a disk of 1 MiB.
async fn on_a_small_disk(config: &str) -> Option<(LoneRouter, SmallDisk)> {
    let home = Home::new();
    let disk = SmallDisk::mount(&home.data().join("journal"))?;
    Some((LoneRouter::launch(Launch::default().home(&home).config("provider-router", config)).await, disk))
}

#[tokio::test]
async fn fc_36_a_full_disk_does_not_stop_requests() {
    let Some((lone, disk)) = on_a_small_disk(SERVE).await else { return };
    disk.fill();
    serves_on(&lone, async || disk.free()).await;
}

#[tokio::test]
async fn fc_36_a_full_disk_refuses_requests_if_configured() {
    let Some((lone, disk)) = on_a_small_disk(REFUSE).await else { return };
    disk.fill();
    refuses(&lone, async || disk.free()).await;
}

#[tokio::test]
async fn i19_a_full_disk_loses_only_counted_requests() {
    const ROUNDS: usize = 8;
    const CLIENTS: usize = 8;
    let Some((lone, disk)) = on_a_small_disk(SERVE).await else { return };
    let mut dice = Dice::new();
    let mut answered: Vec<String> = Vec::new();
    for _ in 0..ROUNDS {
        let mut asking = JoinSet::new();
        let gate = lone.fake.script("m", signalbox_fakes::Turn::echo().split(400));
        gate.open();
        let router = lone.client();
        for number in 0..CLIENTS {
            let request = json!({"model": "fake/m", "stream": number % 2 == 0, "messages": [{"role": "user", "content": long_text()}]});
            asking.spawn(async move { router.post(CHAT, &request).await.expect(200) });
        }
        // The disk is filled in the middle of these requests, at a different point each time.
        let calls = lone.fake.calls_of("m").len() + dice.below(CLIENTS);
        lone.fake.until(|fake| fake.calls_of("m").len() >= calls).await;
        disk.fill();
        answered.extend(asking.join_all().await.iter().map(request_id));
        disk.free();
    }
    assert_eq!(answered.len(), ROUNDS * CLIENTS);
    let last = ask(&lone, false).await.expect(200);
    is_logged_whole(&lone, &last).await;
    let mut whole = 0;
    for id in &answered {
        let found = lone.ended(id).await;
        whole += u64::from(found.is_some_and(|(_, response)| text_of(response.as_ref()) == long_text()));
    }
    assert_eq!(whole + unlogged(&lone).await, answered.len() as u64);
    assert_eq!(lone.rows(Some(RequestStatus::Pending)).await, 0);
}

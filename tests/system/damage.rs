//! Files of a killed router are damaged before it starts again: intact records are loaded, and damaged data is kept for
//! inspection.

use std::{fs, path::PathBuf};

use serde_json::json;
use signalbox_core::schema::RequestStatus;
use signalbox_fakes::Turn;
use signalbox_harness::{Client, Launch};
use sqlx::{Connection as _, Executor as _};

use crate::{
    catalog::database,
    dice::Dice,
    gateway::{CHAT, chat, request_id},
    lone_router::{LoneRouter, text_of},
};

/// Number of requests in the segment.
const REQUESTS: usize = 12;
/// Bytes of a segment's header: magic number and generation.
const HEADER: usize = 16;
/// Number of places in a file that are tried.
const PLACES: usize = 4;

/// A segment left behind by a router that was killed before any of it was in the database.
struct Estate {
    lone: LoneRouter,
    segment: PathBuf,
    /// Ids of the requests in order, with the length of the file at the end of each.
    requests: Vec<(String, usize)>,
}

// === impl Estate ===

impl Estate {
    async fn new() -> Self {
        let config = "[server]\nworker_threads = 1\n";
        let mut lone = LoneRouter::configured(config).await;
        let mut locker = database(lone.home()).await;
        locker.execute("BEGIN EXCLUSIVE").await.unwrap();
        let mut requests = Vec::new();
        let router = lone.client();
        for number in 0..REQUESTS {
            let id = ask(router, &text(number)).await;
            requests.push((id, fs::metadata(Self::find_segment(&lone)).unwrap().len().try_into().unwrap()));
        }
        let segment = Self::find_segment(&lone);
        lone.kill9().await;
        locker.execute("ROLLBACK").await.unwrap();
        Self { lone, segment, requests }
    }

    fn find_segment(lone: &LoneRouter) -> PathBuf {
        let instance = fs::read_dir(lone.home().data().join("journal"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.is_dir())
            .unwrap();
        let files = fs::read_dir(instance).unwrap().map(|entry| entry.unwrap().path());
        // Spare files are empty.
        let mut segments: Vec<PathBuf> = files
            .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
            .filter(|path| fs::metadata(path).unwrap().len() > 0)
            .collect();
        assert_eq!(segments.len(), 1, "{segments:?}");
        segments.remove(0)
    }

    fn len(&self) -> usize {
        self.requests[REQUESTS - 1].1
    }

    /// Applies `damage` to the bytes of the segment, starts the next router, waits until it has loaded the segment, and
    /// returns for each request whether it is complete in the log. Incomplete requests must not appear complete.
    async fn load(&mut self, damage: impl FnOnce(&mut Vec<u8>)) -> Vec<bool> {
        let mut bytes = fs::read(&self.segment).unwrap();
        damage(&mut bytes);
        fs::write(&self.segment, bytes).unwrap();
        self.lone.start_again().await;
        // The loader processes the old segment first, so a new request is loaded after it.
        let id = ask(self.lone.client(), "afterwards").await;
        assert_eq!(self.lone.recorded(&id).await.0.status, RequestStatus::Completed);
        assert_eq!(self.lone.rows(Some(RequestStatus::Pending)).await, 0);
        let mut whole = Vec::new();
        for (number, (id, _)) in self.requests.iter().enumerate() {
            let found = self.lone.ended(id).await;
            let complete = found.as_ref().is_some_and(|(request, _)| request.status == RequestStatus::Completed);
            assert!(found.is_none_or(|(_, response)| !complete || text_of(response.as_ref()) == text(number)));
            whole.push(complete);
        }
        whole
    }

    fn is_kept(&self) -> bool {
        self.segment.with_extension("damaged").exists()
    }
}

fn text(number: usize) -> String {
    format!("this is number {number}")
}

async fn ask(router: Client, text: &str) -> String {
    let request = json!({"model": "fake/m", "messages": [{"role": "user", "content": text}]});
    request_id(&router.post(CHAT, &request).await.expect(200))
}

#[tokio::test]
async fn a_flipped_byte_loses_one_request_and_the_file_is_kept() {
    let mut dice = Dice::new();
    for _ in 0..PLACES {
        let mut estate = Estate::new().await;
        // Damage to the last request could not be distinguished from a record that was being written.
        let at = HEADER + dice.below(estate.requests[REQUESTS - 2].1 - HEADER);
        let flip = u8::try_from(1 + dice.below(255)).unwrap();
        let whole = estate.load(|bytes| bytes[at] ^= flip).await;
        let hit = estate.requests.iter().position(|(_, end)| at < *end).unwrap();
        for (number, whole) in whole.iter().enumerate() {
            assert_eq!(*whole, number != hit, "byte {at} is in request {hit}; request {number}");
        }
        assert!(estate.is_kept(), "byte {at}");
    }
}

#[tokio::test]
async fn a_truncated_segment_yields_its_complete_records() {
    let mut dice = Dice::new();
    for _ in 0..PLACES {
        let mut estate = Estate::new().await;
        let len = dice.below(estate.len());
        let whole = estate.load(|bytes| bytes.truncate(len)).await;
        for (number, (whole, (_, end))) in whole.iter().zip(&estate.requests).enumerate() {
            assert_eq!(*whole, *end <= len, "{len} bytes are left; request {number}");
        }
    }
}

#[tokio::test]
async fn an_invalid_segment_does_not_affect_others() {
    let mut estate = Estate::new().await;
    let whole = estate.load(|bytes| bytes[HEADER..].fill(0xA5)).await;
    assert_eq!(whole, [false; REQUESTS]);
}

/// Restores the database from an older backup: lost rows stay lost, requests in the journal are loaded again, and
/// operation continues.
#[tokio::test]
async fn an_older_backup_is_completed_from_the_journal() {
    let mut lone = LoneRouter::launch(Launch::default()).await;
    let (data, router) = (lone.home().data(), lone.client());
    let before = ask(router, "before the backup").await;
    lone.recorded(&before).await;
    let mut locker = database(lone.home()).await;
    let backup = data.join("backup.db").display().to_string();
    sqlx::query("VACUUM INTO $1").bind(backup).execute(&mut locker).await.unwrap();
    let after = ask(router, "after the backup").await;
    lone.recorded(&after).await;
    // The end of this request is loaded by the next router; its beginning is in the lost part of the database.
    let gate = lone.fake.script("open", Turn::echo().gated());
    gate.release(3);
    let mut open = router.stream(CHAT, &chat("fake/open", true)).await;
    let interrupted = open.header("x-request-id").to_owned();
    open.next_text().await.unwrap();
    signalbox_harness::eventually("the pending row", async || {
        (lone.rows(Some(RequestStatus::Pending)).await == 1).then_some(())
    })
    .await;
    locker.execute("BEGIN EXCLUSIVE").await.unwrap();
    let unloaded = ask(router, "not loaded").await;
    lone.kill9().await;
    lone.store.close().await;
    // Dropping it would close the file in the background, and remove the log of the file that replaces it.
    locker.close().await.unwrap();
    for file in ["signalbox.db-wal", "signalbox.db-shm"] {
        let removed = fs::remove_file(data.join(file));
        assert!(removed.is_ok() || !data.join(file).exists());
    }
    fs::rename(data.join("backup.db"), data.join("signalbox.db")).unwrap();

    lone.start_again().await;
    lone.inherits_everything().await;
    for (id, text) in [(&before, "before the backup"), (&unloaded, "not loaded")] {
        let (request, response) = lone.recorded(id).await;
        assert_eq!((request.status, text_of(response.as_ref()).as_str()), (RequestStatus::Completed, text));
    }
    assert_eq!(lone.recorded(&interrupted).await.0.status, RequestStatus::Interrupted);
    // Whether the journal still has this request depends on how full its segment was; half of it would be an error.
    if let Some((request, response)) = lone.ended(&after).await {
        assert_eq!((request.status, text_of(response.as_ref())), (RequestStatus::Completed, "after the backup".into()));
    }
    let again = ask(lone.client(), "afterwards").await;
    assert_eq!(lone.recorded(&again).await.0.status, RequestStatus::Completed);
}

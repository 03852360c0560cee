//! Tests that files and directories of the journal may be deleted or moved while they are in use.

use std::fs;

use super::*;

type Delete = fn(&Path);

/// Ways to delete or move files of the journal of process `a`, below the data directory.
const DELETIONS: [(&str, Delete); 5] = [
    ("the journal", |data| remove(&data.join("journal"))),
    ("the directory", |data| remove(&instance_dir(data, "a"))),
    ("the journal, moved", |data| fs::rename(data.join("journal"), data.join("aside")).unwrap()),
    ("the segments", |data| {
        for entry in fs::read_dir(instance_dir(data, "a")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some() {
                fs::remove_file(path).unwrap();
            }
        }
    }),
    ("the lock", |data| fs::remove_file(instance_dir(data, "a").join("lock")).unwrap()),
];

/// Deletes a directory in which the journal may be making files.
fn remove(path: &Path) {
    while let Err(error) = fs::remove_dir_all(path) {
        assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty, "{error}");
    }
}

fn ask(journal: &Journal, text: &str) -> String {
    let mut entry = journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap();
    let id = entry.id().to_string();
    entry.part(&event(text));
    drop(entry.end(end(RequestStatus::Completed), &event("end")));
    id
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("{what} did not come true"));
}

/// Loads what `a` has left on disk into a new database, as after its death.
async fn loaded_by_the_next(world: &World) -> Vec<(String, RequestStatus)> {
    let next = World::new().await;
    let from = instance_dir(world.dir.path(), "a");
    let to = instance_dir(next.dir.path(), "dead");
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    let (journal, loader) = next.journal("next");
    let running = next.spawn(loader);
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    let mut rows: Vec<_> =
        next.rows().await.into_iter().map(|(request, _)| (request.request_id, request.status)).collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows
}

#[tokio::test]
async fn requests_before_and_after_a_deletion_survive_the_death_of_the_process() {
    for (name, delete) in DELETIONS {
        let world = World::new().await;
        let database = world.dir.path().join("signalbox.db");
        let (journal, loader) = world.journal("a");
        let running = world.spawn(loader);
        let loaded = ask(&journal, "loaded");
        until("the first row", || journal.loader_status().loaded() == 1).await;
        // Nothing can be loaded from here on.
        fs::rename(&database, world.dir.path().join("aside.db")).unwrap();
        let mut expected = vec![(ask(&journal, "before"), RequestStatus::Completed)];
        let mut cut = journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap();
        cut.part(&event("half"));
        expected.push((cut.id().to_string(), RequestStatus::Interrupted));
        until("an unavailable database", || !journal.loader_status().database_ok()).await;
        delete(world.dir.path());
        for _ in 0..40 {
            expected.push((ask(&journal, "after"), RequestStatus::Completed));
        }
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        let dir = instance_dir(world.dir.path(), "a");
        until("the directory", || dir.join("lock").exists()).await;
        // The loader looks every half second.
        sleep(Duration::from_millis(1200)).await;
        let mut found = loaded_by_the_next(&world).await;
        found.retain(|(id, _)| *id != loaded);
        assert_eq!(found, expected, "{name}");
        assert!(!journal.is_failing() && journal.unlogged() == 0, "{name}");

        // The process that lives on loses nothing either, and leaves nothing.
        fs::rename(world.dir.path().join("aside.db"), &database).unwrap();
        drop(cut.end(end(RequestStatus::Completed), &event("whole")));
        drop(journal);
        running.finish(Duration::from_secs(60)).await;
        let rows = world.rows().await;
        assert_eq!(rows.len(), expected.len() + 1, "{name}");
        assert!(rows.iter().all(|(request, _)| request.status == RequestStatus::Completed), "{name}");
        assert!(!dir.exists(), "{name}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_created_again_is_reported_until_it_can() {
    let world = World::new().await;
    let (journal, loader) = world.journal("a");
    let running = world.spawn(loader);
    ask(&journal, "before");
    let path = world.dir.path().join("journal");
    remove(&path);
    // The journal may have made it again.
    while fs::write(&path, "no directory").is_err() {
        remove(&path);
    }
    until("a failure", || journal.is_failing()).await;
    let entry = journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap();
    drop(entry.end(end(RequestStatus::Completed), b""));
    assert_eq!(journal.unlogged(), 1);
    fs::remove_file(&path).unwrap();
    until("the directory", || instance_dir(world.dir.path(), "a").join("lock").exists()).await;
    ask(&journal, "after");
    until("the end of the failure", || !journal.is_failing()).await;
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    assert_eq!(world.rows().await.len(), 2);
}

//! Tests of files in the journal's directory that are foreign, unreadable or set aside.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Leaves a journal with one request behind, and returns its directory.
fn leave_one(world: &World, name: &str) -> PathBuf {
    let (journal, loader) = world.journal(name);
    drop(journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap().end(end(RequestStatus::Completed), &event("x")));
    die(journal, loader);
    instance_dir(world.dir.path(), name)
}

async fn load_all(world: &World, name: &str) -> (u64, u64) {
    let (journal, loader) = world.journal(name);
    let running = world.spawn(loader);
    let status = Arc::clone(&journal.0.status);
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    (status.loader.skipped(), status.loader.set_aside())
}

#[tokio::test]
async fn files_and_directories_are_private() {
    let world = World::new().await;
    let root = world.dir.path().join("journal");
    std::fs::create_dir(&root).unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    let dir = leave_one(&world, "dead");
    assert_eq!((mode(&root), mode(&dir)), (0o700, 0o700));
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn foreign_files_are_left_unchanged_and_counted() {
    let world = World::new().await;
    let outside = world.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("empty.seg"), "").unwrap();
    let dir = leave_one(&world, "dead");
    let root = dir.parent().unwrap();
    let pipe = |path: &Path| {
        let status = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(status.success());
    };
    symlink(&outside, root.join("link")).unwrap();
    symlink(outside.join("empty.seg"), dir.join("900000.seg")).unwrap();
    symlink(outside.join("nowhere"), dir.join("900001.damaged")).unwrap();
    pipe(&dir.join("900002.seg"));
    pipe(&root.join("pipe"));
    std::fs::create_dir(dir.join("900003.seg")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.join("900004.seg")).unwrap();
    std::fs::write(root.join("notes.txt"), "mine").unwrap();

    let (skipped, _) = timeout(Duration::from_secs(60), load_all(&world, "next")).await.unwrap();
    assert_eq!(skipped, 8);
    assert_eq!(world.rows().await.len(), 1, "own files are loaded");
    let left: Vec<_> = std::fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["empty.seg"], "nothing is created or removed outside");
    assert!(dir.join("900002.seg").exists() && root.join("notes.txt").exists());
}

#[tokio::test]
async fn a_lock_that_is_a_symlink_is_not_followed() {
    let world = World::new().await;
    let dir = instance_dir(world.dir.path(), "trap");
    std::fs::create_dir_all(&dir).unwrap();
    symlink(world.dir.path().join("made"), dir.join("lock")).unwrap();
    std::fs::write(dir.join("000000.seg"), "").unwrap();
    assert_eq!(load_all(&world, "next").await.0, 1);
    assert!(!world.dir.path().join("made").exists());
}

#[tokio::test]
async fn files_set_aside_are_retried_and_loaded_once() {
    let world = World::new().await;
    let dir = leave_one(&world, "dead");
    for path in world.segments("dead") {
        std::fs::rename(&path, path.with_extension("damaged")).unwrap();
    }
    let copies: Vec<(PathBuf, Vec<u8>)> =
        world.segments("dead").into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    assert_eq!(load_all(&world, "next").await, (0, 0));
    assert!(!dir.exists(), "no file is left");
    assert_eq!(world.rows().await.len(), 1);
    // Restore the files, as from a backup.
    std::fs::create_dir_all(&dir).unwrap();
    for (path, bytes) in copies {
        std::fs::write(path, bytes).unwrap();
    }
    load_all(&world, "last").await;
    assert_eq!(world.rows().await.len(), 1);
}

#[tokio::test]
async fn unreadable_files_stay_set_aside_and_are_counted() {
    let world = World::new().await;
    let dir = leave_one(&world, "dead");
    let path = world.segments("dead").remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    for name in ["next", "last"] {
        assert_eq!(load_all(&world, name).await, (0, 1));
        assert!(path.with_extension("damaged").exists() && dir.join("lock").exists());
    }
}

/// The database refuses one of three requests at first, and accepts it later.
#[tokio::test]
async fn a_refused_request_does_not_block_others_and_is_retried() {
    let world = World::new().await;
    let (journal, loader) = world.journal("a");
    let url = format!("sqlite://{}/signalbox.db", world.dir.path().display());
    let sql = |text: &'static str| {
        let status = std::process::Command::new("sqlite3").arg(url.trim_start_matches("sqlite://")).arg(text).status();
        status.is_ok_and(|status| status.success())
    };
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON requests WHEN NEW.model = 'refused'
        BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    if !sql(trigger) {
        assert!(std::env::var_os("CI").is_none(), "this test needs the sqlite3 program");
        return;
    }
    let running = world.spawn(loader);
    for model in ["m", "refused", "n"] {
        let begin = Begin { model: model.into(), ..begin() };
        drop(journal.begin(Uuid::now_v7(), &begin, BODY).unwrap().end(end(RequestStatus::Completed), &event("x")));
    }
    let others = async {
        while world.rows().await.len() < 2 || journal.loader_status().refused() != 1 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), others).await.unwrap();
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    assert_eq!(load_all(&world, "b").await, (0, 1), "the request is rejected again");
    assert!(sql("DROP TRIGGER refuse"));
    assert_eq!(load_all(&world, "c").await, (0, 0));
    let mut models: Vec<String> = world.rows().await.into_iter().map(|(request, _)| request.model).collect();
    models.sort();
    assert_eq!(models, ["m", "n", "refused"]);
}

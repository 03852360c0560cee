//! Tests of segments that are recycled, left behind, damaged or released.

use super::*;

#[tokio::test]
async fn recycled_segments_never_yield_their_former_records() {
    let world = World::new().await;
    let (journal, loader) = world.journal("a");
    let running = world.spawn(loader);
    for round in 1..=10 {
        for _ in 0..50 {
            drop(
                journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap().end(end(RequestStatus::Completed), &event("x")),
            );
        }
        let loaded = async {
            while journal.loader_status().loaded() < round * 50 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), loaded).await.unwrap();
    }
    // Fifty requests fill five segments; without recycling, five hundred would fill fifty.
    let names = world.segments("a");
    assert!(names.len() <= 12, "{names:?}");
    assert!(journal.backlog_bytes() < 50 * 1024, "{}", journal.backlog_bytes());
    // The loader must not read the old records of a recycled file as new ones.
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    assert_eq!(world.rows().await.len(), 500);
}

#[tokio::test]
async fn a_recycled_segment_left_behind_yields_only_its_own_records() {
    let world = World::new().await;
    let (journal, loader) = world.journal("dead");
    drop(journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap().end(end(RequestStatus::Completed), &event("new")));
    let path = world.segments("dead").remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let mut former = bytes[20..].to_vec();
    former[4] ^= 1;
    bytes.extend_from_slice(&former);
    std::fs::write(&path, bytes).unwrap();
    die(journal, loader);
    let (journal, loader) = world.journal("next");
    let running = world.spawn(loader);
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    assert_eq!(world.rows().await.len(), 1);
}

#[tokio::test]
async fn a_request_is_assembled_across_segments_at_any_loader_lag() {
    let world = World::new().await;
    let config = JournalConfig { segment_bytes: Size::from_mib(4), ..config() };
    let (journal, loader) = Journal::open(world.dir.path(), "a", 1, config).unwrap();
    let filler = |bytes: usize| {
        let body = vec![b'x'; bytes];
        drop(journal.begin(Uuid::now_v7(), &begin(), &body).unwrap().end(end(RequestStatus::Completed), b""));
    };
    // The request begins deep in the first segment and ends at the beginning of the second.
    filler(3 << 20);
    let open = journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap();
    let id = open.id().to_string();
    filler(1 << 20);
    drop(open.end(end(RequestStatus::Completed), &event("whole")));
    assert_eq!(world.segments("a").len(), 2);
    let running = world.spawn(loader);
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    let rows = world.rows().await;
    let (request, response) = rows.iter().find(|(request, _)| request.request_id == id).unwrap();
    assert_eq!(request.status, RequestStatus::Completed);
    assert!(response.as_ref().unwrap().response_body.as_ref().unwrap().contains("whole"));
}

#[tokio::test]
async fn a_segment_with_a_damaged_header_is_kept() {
    let world = World::new().await;
    let (journal, loader) = world.journal("dead");
    drop(journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap().end(end(RequestStatus::Completed), b""));
    let path = world.segments("dead").remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    die(journal, loader);
    let (journal, loader) = world.journal("next");
    let running = world.spawn(loader);
    drop(journal);
    running.finish(Duration::from_secs(60)).await;
    assert!(path.with_extension("damaged").exists());
}

#[tokio::test]
async fn answers_that_end_together_are_loaded_in_small_batches() {
    let world = World::new().await;
    let config = JournalConfig { segment_bytes: Size::from_mib(64), ..config() };
    let (journal, loader) = Journal::open(world.dir.path(), "dead", 1, config).unwrap();
    let mut entries: Vec<Entry> = (0..40).map(|_| journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap()).collect();
    for entry in &mut entries {
        entry.part(&event(&"x".repeat(1 << 20)));
    }
    // Half of the requests end, one right after the other; the rest are open when the process dies.
    for entry in entries.drain(..20) {
        drop(entry.end(end(RequestStatus::Completed), b""));
    }
    entries.into_iter().for_each(std::mem::forget);
    let path = world.segments("dead").remove(0);
    die(journal, loader);
    let segment::AbandonedSegment::Segment(segment) = Segment::abandoned(path).unwrap() else { panic!("no segment") };

    let mut assembler = assembler::Assembler::default();
    assembler.add(Arc::new(segment));
    let (mut batches, mut ids) = (Vec::new(), std::collections::HashSet::new());
    let mut take = |assembler: &mut assembler::Assembler| {
        let rows = assembler.take_rows();
        assert_eq!(assembler.retire(&Pool::new(world.dir.path(), 0, 0).unwrap()), 0, "unfinished requests are kept");
        assembler.mark_written(&[]);
        batches.push(rows.len());
        ids.extend(rows.into_iter().map(|row| row.begun.request_id));
    };
    while !assembler.read() {
        take(&mut assembler);
    }
    while !assembler.interrupt() {
        take(&mut assembler);
    }
    take(&mut assembler);
    assert_eq!(ids.len(), 40);
    assert!(batches.len() >= 3 && batches.iter().all(|&rows| rows <= 20), "{batches:?}");
}

#[tokio::test]
async fn transactions_are_filled_and_segments_freed_once_written() {
    let world = World::new().await;
    let (journal, loader) = Journal::open(world.dir.path(), "dead", 1, config()).unwrap();
    let count = 2 * assembler::MAX_BATCH + 100;
    for _ in 0..count {
        drop(journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap().end(end(RequestStatus::Completed), b""));
    }
    die(journal, loader);
    let paths = world.segments("dead");
    let segment = |path: &PathBuf| match Segment::abandoned(path.clone()).unwrap() {
        segment::AbandonedSegment::Segment(segment) => segment,
        other => panic!("{other:?}"),
    };
    let mut segments: Vec<Segment> = paths.iter().map(segment).collect();
    segments.sort_by_key(|segment| segment.generation);

    let mut assembler = assembler::Assembler::default();
    segments.into_iter().for_each(|segment| assembler.add(Arc::new(segment)));
    let pool = Pool::new(world.dir.path(), 0, 0).unwrap();
    let (mut batches, mut left) = (Vec::new(), Vec::new());
    loop {
        let done = assembler.read();
        if done || assembler.is_full() {
            batches.push(assembler.take_rows().len());
            assembler.mark_written(&[]);
            assembler.retire(&pool);
            left.push(paths.iter().filter(|path| path.exists()).count());
        }
        if done {
            break;
        }
    }
    assert_eq!(batches, [assembler::MAX_BATCH, assembler::MAX_BATCH, 100]);
    // The segments of the first batch are removed before the second is written, except for one shared by both.
    assert!(left[0] < paths.len() * 6 / 10 && left[1] < left[0], "{left:?} of {}", paths.len());
    assert_eq!(left[2], 0);
}

#[tokio::test]
async fn requests_are_cached_within_limits_and_reread_beyond_them() {
    const MEGABYTE: usize = 1 << 20;
    let world = World::new().await;
    let config = JournalConfig { segment_bytes: Size::from_mib(64), ..config() };
    let (journal, loader) = Journal::open(world.dir.path(), "dead", 1, config).unwrap();
    let body = |n: u8| vec![b'a' + n; MEGABYTE];
    let entries: Vec<Entry> =
        (0..20).map(|n| journal.begin(Uuid::from_u128(n.into()), &begin(), &body(n)).unwrap()).collect();
    let path = world.segments("dead").remove(0);
    // The loader reads the beginnings before any end is written.
    let begun = std::fs::metadata(&path).unwrap().len();
    entries.into_iter().for_each(|entry| drop(entry.end(end(RequestStatus::Completed), b"")));
    let whole = std::fs::read(&path).unwrap();
    die(journal, loader);
    let segment = |name: &str, bytes: &[u8]| {
        let path = world.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let segment::AbandonedSegment::Segment(segment) = Segment::abandoned(path).unwrap() else {
            panic!("no segment")
        };
        Arc::new(segment)
    };
    let (beginnings, ends) = whole.split_at(usize::try_from(begun).unwrap());

    let mut assembler = assembler::Assembler::default();
    assembler.add(segment("begun.seg", beginnings));
    assert_eq!(assembler.passed(), 0);
    while !assembler.read() {}
    assert_eq!(assembler.retire(&Pool::new(world.dir.path(), 0, 0).unwrap()), 0);
    assert_eq!(assembler.passed(), begun - segment_file::HEADER_LEN, "remaining segments may have been read");
    assert!((10 * MEGABYTE..=16 * MEGABYTE).contains(&assembler.open_bytes()), "{}", assembler.open_bytes());
    assembler.add(segment("ended.seg", &[&whole[..segment_file::HEADER_LEN.try_into().unwrap()], ends].concat()));
    let mut rows = Vec::new();
    while !assembler.read() {
        rows.extend(assembler.take_rows());
        assembler.mark_written(&[]);
    }
    rows.extend(assembler.take_rows());
    assert_eq!((rows.len(), assembler.open_bytes()), (20, 0));
    for row in rows {
        let n = Uuid::parse_str(&row.begun.request_id).unwrap().as_u128();
        assert!(row.begun.request_body.as_bytes() == body(u8::try_from(n).unwrap()), "{n} is another's");
    }
}

#[tokio::test]
async fn an_answer_with_a_damaged_part_is_marked_as_truncated() {
    for part in ["one ", "two ", "three "] {
        let world = World::new().await;
        let (journal, loader) = world.journal("dead");
        let mut entry = journal.begin(Uuid::now_v7(), &begin(), BODY).unwrap();
        for text in ["one ", "two ", "three "] {
            entry.part(&event(text));
        }
        drop(entry.end(end(RequestStatus::Completed), &event("end")));
        journal.0.pool.unlock();
        let segment = world.segments("dead").pop().unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        let at = memchr::memmem::find(&bytes, part.as_bytes()).unwrap();
        bytes[at] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        die(journal, loader);

        let (journal, loader) = world.journal("next");
        let running = world.spawn(loader);
        drop(journal);
        running.finish(Duration::from_secs(60)).await;
        let rows = world.rows().await;
        let (_, response) = one(&rows);
        assert!(response.truncated && response.error.as_ref().unwrap().contains("damaged"), "{response:?}");
        assert!(response.response_body.as_ref().unwrap().contains("end"), "{response:?}");
    }
}

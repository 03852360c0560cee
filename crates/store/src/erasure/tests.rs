use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::exchanges::{Base, Exchange, ExchangeStart, SessionRef, Source, record};

fn ask(id: &str, at: i64, body: &str, base: Option<(&str, usize)>) -> Exchange {
    let begun = ExchangeStart {
        request_id: id.to_owned(),
        received_at: at,
        method: "POST".to_owned(),
        path: "/".to_owned(),
        model: "m".to_owned(),
        stream: false,
        request_body: body.into(),
        first_user_message: String::new(),
        session: SessionRef::Opens,
        base: base.map(|(id, prefix)| Base { request_id: id.to_owned(), prefix, suffix: 0 }),
        source: Source::Router,
        key_id: None,
    };
    Exchange { begun, ended: None }
}

fn text(length: usize) -> String {
    (0..length).map(|at| char::from(b'a' + u8::try_from(at * at % 23).unwrap())).collect()
}

async fn doomed(store: &Store, uuid: &str) -> Vec<Doomed> {
    let key = RequestKey::Uuid(uuid.to_owned());
    store.all(Selection::Request(&key).requests()).await.unwrap()
}

/// Completes the search, and returns the number of chunks to delete if nothing has changed.
async fn released(store: &Store, references: &mut References, rows: &[Doomed]) -> Option<usize> {
    let mut tx = store.write_erasure().await.unwrap();
    references.complete(&mut tx).await.unwrap();
    let current = references.are_current(&mut tx, rows).await.unwrap();
    current.then(|| references.released(rows).len())
}

#[tokio::test]
async fn requests_that_are_logged_or_deleted_during_the_search_count() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    record(&store, &[ask("first", 1, &text(9000), None)]).await.unwrap();
    let rows = doomed(&store, "first").await;
    let mut references = References::new(&rows);
    references.search(&store).await.unwrap();
    assert_eq!(released(&store, &mut references, &rows).await, Some(1));
    // It is found by its number, wherever its time is.
    record(&store, &[ask("second", 1, &text(18_000), Some(("first", 9000)))]).await.unwrap();
    assert_eq!(released(&store, &mut references, &rows).await, Some(0));
    requests(&store, Selection::Request(&RequestKey::Uuid("second".to_owned()))).await.unwrap();
    assert_eq!(released(&store, &mut references, &rows).await, None);
    references.restart();
    references.search(&store).await.unwrap();
    assert_eq!(released(&store, &mut references, &rows).await, Some(1));
}

#[tokio::test]
async fn the_search_does_not_wait_for_a_writer() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite://{}/test.db", directory.path().display())).await.unwrap();
    record(&store, &[ask("first", 1, &text(9000), None)]).await.unwrap();
    let rows = doomed(&store, "first").await;
    let writer = store.write_log().await.unwrap();
    let mut references = References::new(&rows);
    timeout(Duration::from_secs(2), references.search(&store)).await.unwrap().unwrap();
    drop(writer);
    assert_eq!(released(&store, &mut references, &rows).await, Some(1));
}

#[test]
fn a_transaction_deletes_a_limited_number_of_rows_and_bytes() {
    let row = |bytes| Doomed { id: 1, session_id: String::new(), timestamp: 1, chunks: BTreeSet::new(), bytes };
    let rows = |count: usize, bytes| (0..count).map(|_| row(bytes)).collect::<Vec<_>>();
    assert_eq!(group(&rows(7, 1)), 7);
    assert_eq!(group(&rows(1000, 1)), GROUP_ROWS);
    assert_eq!(group(&rows(1000, MAX_GROUP_BYTES / 3)), 3);
    assert_eq!(group(&rows(2, usize::MAX)), 1);
}

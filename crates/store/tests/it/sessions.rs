use signalbox_store::exchanges::{SessionRef, record};
use signalbox_store::sessions::{self, Sort};
use signalbox_store::{Error, Page, requests, responses};

use crate::exchanges::whole;
use crate::fixture::{Database, on_both};

const MONTH: i64 = 30 * 24 * 3_600_000;

on_both!(listed_by_either_time, deleting_takes_everything_along, the_expired_go_in_pieces);

async fn prepare(database: &Database) {
    let named = |id: &str| SessionRef::Named(id.to_owned());
    let batch = [whole("1", 10, named("a")), whole("2", 20, named("b")), whole("3", 30, named("a"))];
    record(&database.store, &batch).await.unwrap();
}

async fn listed_by_either_time(database: &Database) {
    prepare(database).await;
    let ids = async |sort, limit, offset| {
        let listed = sessions::list(&database.store, sort, Page { limit, offset }).await.unwrap();
        assert_eq!(listed.total, 2);
        listed.items.into_iter().map(|session| session.id).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(Sort::CreatedAt, 9, 0).await, "b a");
    assert_eq!(ids(Sort::LastAccessed, 9, 0).await, "a b");
    assert_eq!(ids(Sort::LastAccessed, 1, 1).await, "b");
}

async fn deleting_takes_everything_along(database: &Database) {
    let store = &database.store;
    prepare(database).await;
    database
        .execute(
            "INSERT INTO errors (error_id, timestamp, error_type, error_message, session_id, request_id, severity,
                 created_at)
             SELECT 'e', 1, 't', 'm', 'a', id, 's', 1 FROM requests WHERE request_id = '1'",
        )
        .await;
    sessions::delete(store, "a").await.unwrap();
    for missing in [sessions::delete(store, "a").await, sessions::get(store, "a").await.map(drop)] {
        assert!(matches!(missing, Err(Error::NotFound { entity: "session" })), "{missing:?}");
    }
    let left = requests::list(store, &requests::Filter::default(), Page::ALL).await.unwrap();
    assert_eq!(left.items.iter().map(|(request, _)| &*request.request_id).collect::<Vec<_>>(), ["2"]);
    assert_eq!(responses::stats(store, None).await.unwrap().total_responses, 1);
    // An error report outlives its session: this would fail if the row had been deleted.
    database.execute("INSERT INTO metadata SELECT error_id, severity, 1 FROM errors WHERE session_id IS NULL").await;
    assert!(database.try_execute("INSERT INTO metadata VALUES ('e', 'x', 1)").await.is_err());
}

async fn the_expired_go_in_pieces(database: &Database) {
    let store = &database.store;
    prepare(database).await;
    assert_eq!(sessions::delete_expired(store, MONTH, 10).await.unwrap(), 0);
    assert_eq!(sessions::delete_expired(store, MONTH + 31, 1).await.unwrap(), 1);
    sessions::get(store, "a").await.unwrap();
    assert_eq!(sessions::delete_expired(store, MONTH + 31, 1).await.unwrap(), 1);
    assert_eq!(sessions::delete_expired(store, MONTH + 31, 1).await.unwrap(), 0);
}

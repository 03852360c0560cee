use signalbox_core::schema::RequestStatus;
use signalbox_store::exchanges::{SessionRef, record};
use signalbox_store::requests::{self, Filter, RequestKey};
use signalbox_store::{Error, Page, responses};

use crate::exchanges::{begun, pending, whole};
use crate::fixture::{Database, on_both};

on_both!(lists_are_filtered_by_everything_at_once, found_by_number_and_by_name, deleted_with_the_response);

async fn prepare(database: &Database) {
    let named = || SessionRef::Named("s".to_owned());
    let mut other = whole("b", 20, named());
    other.begun.model = "n".to_owned();
    other.begun.stream = false;
    other.begun.key_id = Some("k1".to_owned());
    other.ended.as_mut().unwrap().status = RequestStatus::Failed;
    other.ended.as_mut().unwrap().provider_id = Some("q".to_owned());
    let batch = [whole("a", 10, named()), other, pending(begun("c", 30, SessionRef::Opens))];
    record(&database.store, &batch).await.unwrap();
}

async fn lists_are_filtered_by_everything_at_once(database: &Database) {
    prepare(database).await;
    let ids = async |filter: Filter| {
        let listed = requests::list(&database.store, &filter, Page { limit: 10, offset: 0 }).await.unwrap();
        assert_eq!(usize::try_from(listed.total), Ok(listed.items.len()));
        listed.items.into_iter().map(|(request, _)| request.request_id).collect::<Vec<_>>().join(" ")
    };
    let text = |text: &str| Some(text.to_owned());
    let none = Filter::default;
    assert_eq!(ids(none()).await, "c b a");
    assert_eq!(ids(Filter { session_id: text("s"), ..none() }).await, "b a");
    assert_eq!(ids(Filter { model: text("m"), ..none() }).await, "c a");
    assert_eq!(ids(Filter { stream: Some(false), ..none() }).await, "b");
    assert_eq!(ids(Filter { start: Some(20), ..none() }).await, "c b");
    assert_eq!(ids(Filter { end: Some(20), ..none() }).await, "b a");
    assert_eq!(ids(Filter { status: Some(RequestStatus::Pending), ..none() }).await, "c");
    assert_eq!(ids(Filter { provider_id: text("q"), ..none() }).await, "b");
    assert_eq!(ids(Filter { key_id: text("k1"), ..none() }).await, "b");
    assert_eq!(ids(Filter { key_id: text("k2"), ..none() }).await, "");
    let all = Filter {
        session_id: text("s"),
        model: text("n"),
        stream: Some(false),
        start: Some(20),
        end: Some(20),
        status: Some(RequestStatus::Failed),
        provider_id: text("q"),
        key_id: text("k1"),
        after: None,
    };
    assert_eq!(ids(all.clone()).await, "b");
    assert_eq!(ids(Filter { model: text("m"), ..all }).await, "");

    let page = requests::list(&database.store, &none(), Page { limit: 1, offset: 1 }).await.unwrap();
    assert_eq!((page.total, page.items.len(), &*page.items[0].0.request_id), (3, 1, "b"));
    let summary = page.items[0].1.as_ref().unwrap();
    assert_eq!((&*summary.response_id, summary.total_tokens, summary.duration_ms), ("b", Some(3), Some(40)));
    assert_eq!((summary.status_code, summary.finish_reason.as_deref()), (Some(200), Some("stop")));
    let pending = requests::list(&database.store, &none(), Page { limit: 1, offset: 0 }).await.unwrap();
    assert_eq!(pending.items[0].1, None);
}

async fn found_by_number_and_by_name(database: &Database) {
    prepare(database).await;
    let by_name = requests::get(&database.store, &RequestKey::Uuid("a".to_owned())).await.unwrap();
    let by_number = requests::get(&database.store, &RequestKey::Id(by_name.0.id)).await.unwrap();
    assert_eq!(by_name, by_number);
    assert!(by_name.1.is_some());
    for missing in [RequestKey::Id(-1), RequestKey::Uuid("1".to_owned())] {
        let missing = requests::get(&database.store, &missing).await;
        assert!(matches!(missing, Err(Error::NotFound { entity: "request" })), "{missing:?}");
    }
}

async fn deleted_with_the_response(database: &Database) {
    let store = &database.store;
    prepare(database).await;
    let key = RequestKey::Uuid("a".to_owned());
    requests::delete(store, &key).await.unwrap();
    assert!(matches!(requests::delete(store, &key).await, Err(Error::NotFound { entity: "request" })));
    let left = responses::list(store, &responses::Filter::default(), Page::ALL).await.unwrap();
    assert_eq!(left.items.iter().map(|response| &*response.response_id).collect::<Vec<_>>(), ["b"]);
}

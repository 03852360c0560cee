use signalbox_core::schema::RequestStatus;
use signalbox_store::exchanges::{SessionRef, record};
use signalbox_store::requests::{self, BodyKind, Filter, Order, RequestKey};
use signalbox_store::{Error, Page, RowPosition, responses};

use crate::exchanges::{begun, pending, whole};
use crate::fixture::{Database, on_both};

on_both!(
    lists_are_filtered_by_everything_at_once,
    answers_are_filtered_too,
    summaries_have_no_bodies,
    a_list_is_read_in_both_directions,
    each_body_is_found,
    found_by_number_and_by_name,
    deleted_with_the_response,
);

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
    let texts = |text: &str| vec![text.to_owned()];
    let none = Filter::default;
    assert_eq!(ids(none()).await, "c b a");
    assert_eq!(ids(Filter { session_id: text("s"), ..none() }).await, "b a");
    assert_eq!(ids(Filter { models: texts("m"), ..none() }).await, "c a");
    assert_eq!(ids(Filter { stream: Some(false), ..none() }).await, "b");
    assert_eq!(ids(Filter { start: Some(20), ..none() }).await, "c b");
    assert_eq!(ids(Filter { end: Some(20), ..none() }).await, "b a");
    assert_eq!(ids(Filter { statuses: vec![RequestStatus::Pending], ..none() }).await, "c");
    assert_eq!(ids(Filter { provider_ids: texts("q"), ..none() }).await, "b");
    assert_eq!(ids(Filter { key_id: text("k1"), ..none() }).await, "b");
    assert_eq!(ids(Filter { key_id: text("k2"), ..none() }).await, "");
    let all = Filter {
        session_id: text("s"),
        models: texts("n"),
        stream: Some(false),
        start: Some(20),
        end: Some(20),
        statuses: vec![RequestStatus::Failed],
        provider_ids: texts("q"),
        key_id: text("k1"),
        ..none()
    };
    assert_eq!(ids(all.clone()).await, "b");
    assert_eq!(ids(Filter { models: texts("m"), ..all }).await, "");

    let page = requests::list(&database.store, &none(), Page { limit: 1, offset: 1 }).await.unwrap();
    assert_eq!((page.total, page.items.len(), &*page.items[0].0.request_id), (3, 1, "b"));
    let summary = page.items[0].1.as_ref().unwrap();
    assert_eq!((&*summary.response_id, summary.total_tokens, summary.duration_ms), ("b", Some(3), Some(40)));
    assert_eq!((summary.status_code, summary.finish_reason.as_deref()), (Some(200), Some("stop")));
    let pending = requests::list(&database.store, &none(), Page { limit: 1, offset: 0 }).await.unwrap();
    assert_eq!(pending.items[0].1, None);
}

async fn answers_are_filtered_too(database: &Database) {
    let store = &database.store;
    let mut log = Vec::new();
    for (id, duration_ms, error) in [("a", 10, None), ("b", 500, Some("429 Quota 100%_used")), ("c", 5000, None)] {
        let mut exchange = whole(id, duration_ms, SessionRef::Opens);
        let ended = exchange.ended.as_mut().unwrap();
        (ended.duration_ms, ended.error) = (duration_ms, error.map(str::to_owned));
        log.push(exchange);
    }
    log[2].begun.path = "/v1/responses".to_owned();
    log.push(pending(begun("open", 9000, SessionRef::Opens)));
    record(store, &log).await.unwrap();
    let ids = async |filter: Filter| {
        let rows = requests::summaries(store, &filter, Page { limit: 10, offset: 0 }).await.unwrap();
        let listed = requests::list(store, &filter, Page { limit: 10, offset: 0 }).await.unwrap();
        let count = requests::count(store, &filter).await.unwrap();
        assert_eq!((count, usize::try_from(count)), (listed.total, Ok(rows.len())), "{filter:?}");
        let names: Vec<_> = rows.into_iter().map(|row| row.request_id).collect();
        let whole: Vec<_> = listed.items.into_iter().map(|(row, _)| row.request_id).collect();
        assert_eq!(names, whole, "{filter:?}");
        names.join(" ")
    };
    let none = Filter::default;
    assert_eq!(ids(Filter { min_ms: Some(500), ..none() }).await, "c b");
    assert_eq!(ids(Filter { max_ms: Some(500), ..none() }).await, "b a");
    assert_eq!(ids(Filter { min_ms: Some(11), max_ms: Some(4999), ..none() }).await, "b");
    assert_eq!(ids(Filter { has_error: Some(true), ..none() }).await, "b");
    assert_eq!(ids(Filter { has_error: Some(false), ..none() }).await, "open c a");
    assert_eq!(ids(Filter { path: Some("/v1/responses".to_owned()), ..none() }).await, "c");
    for (text, found) in [("quota", "b"), ("QUOTA", "b"), ("Quota", "b"), ("100%_", "b"), ("1%u", ""), ("!", "")] {
        assert_eq!(ids(Filter { error: Some(text.to_owned()), ..none() }).await, found, "{text}");
    }
    let models = vec!["m".to_owned(), "other".to_owned()];
    assert_eq!(ids(Filter { models: models.clone(), ..none() }).await, "open c b a");
    let statuses = vec![RequestStatus::Pending, RequestStatus::Failed];
    assert_eq!(ids(Filter { models, statuses, ..none() }).await, "open");
}

async fn summaries_have_no_bodies(database: &Database) {
    let store = &database.store;
    let mut long = whole("long", 20, SessionRef::Opens);
    long.begun.request_body = "x".repeat(300_000).into();
    let ended = long.ended.as_mut().unwrap();
    ended.response_body = Some("y".repeat(9000));
    (ended.error, ended.truncated) = (Some("é".repeat(300)), true);
    record(store, &[long, pending(begun("open", 10, SessionRef::Opens))]).await.unwrap();
    let rows = requests::summaries(store, &Filter::default(), Page { limit: 10, offset: 0 }).await.unwrap();
    let row = &rows[0];
    assert_eq!((row.request_bytes, row.response_bytes, row.truncated), (Some(300_000), Some(9000), true));
    assert_eq!((row.prompt_tokens, row.completion_tokens, row.total_tokens), (Some(1), Some(2), Some(3)));
    assert_eq!((row.duration_ms, row.first_byte_ms, row.attempts), (Some(40), Some(4), Some(2)));
    assert_eq!(row.error, Some("é".repeat(200)));
    let open = &rows[1];
    assert_eq!((open.request_bytes, open.response_bytes, open.attempts, open.truncated), (Some(13), None, None, false));

    let ids = [rows[1].id, -1, rows[0].id];
    let found = requests::summaries_of(store, &ids).await.unwrap();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [rows[1].id, rows[0].id]);
    let (found, response) = requests::summary(store, &RequestKey::Uuid("long".to_owned())).await.unwrap();
    assert_eq!(&found, row);
    let response = response.unwrap();
    assert_eq!((response.response_body, response.upstream_response, response.attempts), (None, None, 2));
    assert_eq!(requests::summary(store, &RequestKey::Id(open.id)).await.unwrap(), (open.clone(), None));
    assert!(matches!(requests::summary(store, &RequestKey::Id(-1)).await, Err(Error::NotFound { .. })));
}

async fn a_list_is_read_in_both_directions(database: &Database) {
    let store = &database.store;
    let log: Vec<_> = (0..7).map(|n| whole(&n.to_string(), n / 2, SessionRef::Opens)).collect();
    record(store, &log).await.unwrap();
    let mut orders = [Order::Newest, Order::Oldest].map(|order| (order, String::new()));
    for (order, seen) in &mut orders {
        let mut filter = Filter { order: *order, ..Filter::default() };
        loop {
            let rows = requests::summaries(store, &filter, Page { limit: 2, offset: 0 }).await.unwrap();
            let Some(last) = rows.last() else { break };
            filter.after = Some(RowPosition { at: last.timestamp, id: last.id });
            seen.extend(rows.iter().map(|row| &*row.request_id));
        }
    }
    let [(_, newest), (_, oldest)] = orders;
    assert_eq!(newest, "6543210");
    assert_eq!(oldest, "0123456");
}

async fn each_body_is_found(database: &Database) {
    let store = &database.store;
    let mut same = whole("same", 1, SessionRef::Opens);
    same.begun.request_body = "x".repeat(9000).into();
    let mut other = whole("other", 2, SessionRef::Opens);
    other.ended.as_mut().unwrap().upstream_request = Some(r#"{"model":"upstream"}"#.to_owned());
    let mut refused = whole("refused", 3, SessionRef::Opens);
    let ended = refused.ended.as_mut().unwrap();
    (ended.provider_id, ended.attempts, ended.response_body) = (None, 0, None);
    record(store, &[same, other, refused, pending(begun("open", 4, SessionRef::Opens))]).await.unwrap();
    let body = async |id: &str, kind| {
        let body = requests::body(store, &RequestKey::Uuid(id.to_owned()), kind).await.unwrap();
        body.map(|body| (body.text, body.is_as_asked))
    };
    use BodyKind::{Answered, Asked, Sent};
    let small = || r#"{"model":"m"}"#.to_owned();
    assert_eq!(body("same", Asked).await, Some(("x".repeat(9000), true)));
    assert_eq!(body("same", Sent).await, Some(("x".repeat(9000), true)));
    assert_eq!(body("same", Answered).await, Some(("{}".to_owned(), false)));
    assert_eq!(body("other", Asked).await, Some((small(), true)));
    assert_eq!(body("other", Sent).await, Some((r#"{"model":"upstream"}"#.to_owned(), false)));
    assert_eq!((body("refused", Sent).await, body("refused", Answered).await), (None, None));
    assert_eq!(body("open", Asked).await, Some((small(), true)));
    assert_eq!((body("open", Sent).await, body("open", Answered).await), (None, None));
    database.execute("DELETE FROM bodies").await;
    assert_eq!((body("same", Asked).await, body("same", Sent).await), (None, None));
    let missing = requests::body(store, &RequestKey::Id(-1), Asked).await;
    assert!(matches!(missing, Err(Error::NotFound { entity: "request" })));
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

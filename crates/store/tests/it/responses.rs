use signalbox_store::exchanges::{SessionRef, record};
use signalbox_store::requests::RequestKey;
use signalbox_store::responses::{self, Filter, ResponseKey, Stats};
use signalbox_store::{Error, Page};

use crate::exchanges::{begun, pending, whole};
use crate::fixture::{Database, on_both};

on_both!(lists_are_filtered_by_everything_at_once, found_and_deleted, sums_are_right);

async fn prepare(database: &Database) {
    let mut failed = whole("b", 20, SessionRef::Named("s".to_owned()));
    let end = failed.ended.as_mut().unwrap();
    end.error = Some("no".to_owned());
    end.finish_reason = Some("error".to_owned());
    end.usage = None;
    end.duration_ms = 41;
    let batch = [whole("a", 10, SessionRef::Named("s".to_owned())), failed, pending(begun("c", 30, SessionRef::Opens))];
    record(&database.store, &batch).await.unwrap();
    record(&database.store, &[whole("d", 40, SessionRef::Opens)]).await.unwrap();
}

async fn lists_are_filtered_by_everything_at_once(database: &Database) {
    prepare(database).await;
    let ids = async |filter: Filter| {
        let listed = responses::list(&database.store, &filter, Page { limit: 10, offset: 0 }).await.unwrap();
        assert_eq!(usize::try_from(listed.total), Ok(listed.items.len()));
        listed.items.into_iter().map(|response| response.response_id).collect::<Vec<_>>().join(" ")
    };
    let text = |text: &str| Some(text.to_owned());
    let none = Filter::default;
    assert_eq!(ids(none()).await, "d b a");
    assert_eq!(ids(Filter { session_id: text("s"), ..none() }).await, "b a");
    assert_eq!(ids(Filter { request_id: text("a"), ..none() }).await, "a");
    assert_eq!(ids(Filter { request_id: text("a"), has_error: Some(true), ..none() }).await, "");
    assert_eq!(ids(Filter { finish_reason: text("stop"), ..none() }).await, "d a");
    assert_eq!(ids(Filter { has_error: Some(true), ..none() }).await, "b");
    assert_eq!(ids(Filter { has_error: Some(false), ..none() }).await, "d a");
    assert_eq!(ids(Filter { start: Some(60), end: Some(60), ..none() }).await, "b");
}

async fn found_and_deleted(database: &Database) {
    let store = &database.store;
    prepare(database).await;
    let by_name = responses::get(store, &ResponseKey::Uuid("a".to_owned())).await.unwrap();
    assert_eq!(responses::get(store, &ResponseKey::Id(by_name.id)).await.unwrap(), by_name);
    let of = async |id: &str| responses::for_request(store, &RequestKey::Uuid(id.to_owned())).await;
    assert_eq!(of("a").await.unwrap(), by_name);
    assert!(matches!(of("c").await, Err(Error::NotFound { entity: "response" })));
    assert!(matches!(of("x").await, Err(Error::NotFound { entity: "request" })));
    responses::delete(store, &ResponseKey::Id(by_name.id)).await.unwrap();
    let again = responses::delete(store, &ResponseKey::Uuid("a".to_owned())).await;
    assert!(matches!(again, Err(Error::NotFound { entity: "response" })));
    assert!(matches!(of("a").await, Err(Error::NotFound { entity: "response" })));
}

async fn sums_are_right(database: &Database) {
    let store = &database.store;
    assert_eq!(responses::stats(store, None).await.unwrap(), Stats::default());
    prepare(database).await;
    let stats = responses::stats(store, Some("s")).await.unwrap();
    let expected = Stats {
        total_responses: 2,
        succeeded: 1,
        total_tokens: 3,
        total_completion_tokens: 2,
        total_prompt_tokens: 1,
        avg_duration_ms: 41,
        ..Stats::default()
    };
    assert_eq!(stats, expected);
    assert!((stats.success_rate() - 50.0).abs() < f64::EPSILON);
    let all = responses::stats(store, None).await.unwrap();
    assert_eq!((all.total_responses, all.total_tokens), (3, 6));
    assert!((all.success_rate() - 66.67).abs() < f64::EPSILON);
}

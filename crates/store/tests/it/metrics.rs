//! Tests of the sums by minute and by hour.

use signalbox_core::openai::Usage;
use signalbox_core::schema::{RequestCost, RequestStatus};
use signalbox_store::exchanges::{Exchange, SessionRef, record};
use signalbox_store::metrics::{By, Facets, Selection, Series, facets, series};
use signalbox_store::requests::{self, RequestKey};
use signalbox_store::responses::{self, ResponseKey};
use signalbox_store::retention::{RetentionPolicy, step};
use signalbox_store::sessions;

use crate::exchanges::{begun, pending, whole};
use crate::fixture::{Database, on_both};

on_both!(
    requests_count_at_their_minute_once,
    hours_add_up_to_the_minutes,
    series_are_split_by_provider_and_model,
    the_smallest_series_are_added_up,
    old_minutes_go_and_hours_stay,
    facets_are_counted,
    series_are_split_by_key_and_status,
    deleted_requests_and_answers_are_subtracted,
    sums_of_earlier_versions_are_subtracted,
);

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn ended(id: &str, at: i64, duration_ms: i64) -> Exchange {
    let mut exchange = whole(id, at, SessionRef::Opens);
    let ended = exchange.ended.as_mut().unwrap();
    ended.duration_ms = duration_ms;
    ended.first_byte_ms = Some(duration_ms / 10);
    ended.usage = Some(Usage::new(10, 20));
    ended.cost = Some(RequestCost { nanos: Some(7), origin: "computed".to_owned(), price_version: None });
    exchange
}

async fn read(database: &Database, selection: &Selection) -> Vec<Series> {
    series(&database.store, selection).await.unwrap()
}

fn minutes(points: usize) -> Selection {
    Selection { points, ..Selection::default() }
}

async fn requests_count_at_their_minute_once(database: &Database) {
    let store = &database.store;
    let mut failed = ended("d", 2 * MINUTE - 1, 400);
    failed.ended.as_mut().unwrap().error = Some("no".to_owned());
    let log = [
        ended("a", 0, 100),
        ended("b", MINUTE, 200),
        ended("c", MINUTE + 1, 300),
        failed,
        pending(begun("open", 1, SessionRef::Opens)),
    ];
    record(store, &log).await.unwrap();
    record(store, &log[1..3]).await.unwrap();
    record(store, &[ended("open", 1, 900), ended("a", 0, 100)]).await.unwrap();
    record(store, &[ended("e", 2 * MINUTE - 2, 500)]).await.unwrap();
    let found = read(database, &minutes(3)).await;
    assert_eq!((found.len(), &found[0].key), (1, &None));
    let points = &found[0].points;
    assert_eq!(points.iter().map(|point| point.requests).collect::<Vec<_>>(), [2, 4, 0]);
    assert_eq!(points.iter().map(|point| point.errors).collect::<Vec<_>>(), [0, 1, 0]);
    let second = &points[1];
    assert_eq!((second.prompt_tokens, second.completion_tokens, second.cost_nanos), (40, 80, 28));
    let near = |found: Option<f64>, exact: f64| (found.unwrap() - exact).abs() <= exact * 0.05;
    // Counted in batches: 200, 300 and 400 together, 500 later.
    assert!(near(second.durations.percentile(50), 300.0), "{second:?}");
    assert!(near(second.durations.percentile(100), 500.0) && near(second.durations.percentile(1), 200.0));
    assert!(near(second.first_bytes.percentile(100), 50.0));
    assert_eq!(points[2].durations.percentile(50), None);
}

async fn hours_add_up_to_the_minutes(database: &Database) {
    let log: Vec<_> = (0..40).map(|n| ended(&n.to_string(), n * 7 * MINUTE, 10 + n)).collect();
    for batch in log.chunks(9) {
        record(&database.store, batch).await.unwrap();
    }
    let by_minute = read(database, &minutes(300)).await;
    let by_hour = read(database, &Selection { points: 5, step: HOUR, ..Selection::default() }).await;
    for (hour, point) in by_hour[0].points.iter().enumerate() {
        let mut sum = signalbox_store::metrics::Point::default();
        by_minute[0].points[hour * 60..(hour + 1) * 60].iter().for_each(|minute| sum.add(minute));
        assert_eq!(point, &sum, "{hour}");
    }
    assert_eq!(by_hour[0].requests(), 40);
}

async fn series_are_split_by_provider_and_model(database: &Database) {
    let mut log: Vec<_> = (0..6).map(|n| ended(&n.to_string(), n, 10)).collect();
    for (n, exchange) in log.iter_mut().enumerate() {
        exchange.begun.model = format!("m{}", n % 2);
        exchange.ended.as_mut().unwrap().provider_id = (n < 4).then(|| "p".to_owned());
    }
    log[0].begun.model = "a\0b".to_owned();
    record(&database.store, &log).await.unwrap();
    let keys = async |selection: Selection| {
        let found = read(database, &selection).await;
        found.into_iter().map(|series| (series.key.clone().unwrap(), series.requests())).collect::<Vec<_>>()
    };
    let pair = |key: &str, count| (key.to_owned(), count);
    assert_eq!(keys(Selection { by: By::Provider, ..minutes(1) }).await, [pair("p", 4), pair("", 2)]);
    let by_model = [pair("m1", 3), pair("m0", 2), pair("a\u{fffd}b", 1)];
    assert_eq!(keys(Selection { by: By::Model, ..minutes(1) }).await, by_model);
    let narrow = Selection {
        by: By::Model,
        models: vec!["m1".to_owned(), "m0".to_owned()],
        provider_ids: vec!["p".to_owned()],
        ..minutes(1)
    };
    assert_eq!(keys(narrow).await, [pair("m1", 2), pair("m0", 1)]);
    assert!(read(database, &Selection { start: HOUR, ..minutes(5) }).await.is_empty());
}

async fn the_smallest_series_are_added_up(database: &Database) {
    let log: Vec<_> = (0..10)
        .map(|n: i64| {
            let mut exchange = ended(&n.to_string(), n, 10);
            exchange.begun.model = format!("m{}", n.isqrt());
            exchange
        })
        .collect();
    record(&database.store, &log).await.unwrap();
    let found = read(database, &Selection { by: By::Model, max_series: 2, ..minutes(1) }).await;
    let counts: Vec<_> = found.iter().map(|series| (series.key.as_deref(), series.requests())).collect();
    // Models with 1, 3, 5 and 1 requests.
    assert_eq!(counts, [(Some("m2"), 5), (Some("m1"), 3), (None, 2)]);
}

async fn old_minutes_go_and_hours_stay(database: &Database) {
    let store = &database.store;
    let day = 24 * HOUR;
    record(store, &[ended("a", 0, 10), ended("b", 10 * day, 10)]).await.unwrap();
    let policy = RetentionPolicy::default();
    let rows =
        async |span: i64| database.number(&format!("SELECT COUNT(*) FROM usage_minutes WHERE span = {span}")).await;
    step(store, &policy, 31 * day).await.unwrap();
    assert_eq!((rows(1).await, rows(60).await), (2, 2));
    assert!(step(store, &policy, 31 * day + MINUTE).await.unwrap().done);
    assert_eq!((rows(1).await, rows(60).await), (1, 2));
    step(store, &policy, 405 * day).await.unwrap();
    assert_eq!((rows(1).await, rows(60).await), (0, 1));
}

async fn facets_are_counted(database: &Database) {
    let mut log: Vec<_> = (0..3).map(|n| ended(&n.to_string(), n * HOUR, 10)).collect();
    log[1].begun.model = "n".to_owned();
    log[1].begun.key_id = Some("k".to_owned());
    log[2].ended.as_mut().unwrap().status = RequestStatus::Failed;
    log.push(pending(begun("open", 0, SessionRef::Opens)));
    record(&database.store, &log).await.unwrap();
    let pair = |value: &str, count| (value.to_owned(), count);
    let found = facets(&database.store, 1, HOUR).await.unwrap();
    let expected = Facets {
        models: vec![pair("m", 2), pair("n", 1)],
        // The open request has reached no provider.
        provider_ids: vec![pair("p", 2)],
        statuses: vec![pair("completed", 2), pair("pending", 1)],
        key_ids: vec![pair("k", 1)],
    };
    assert_eq!(found, expected);
    assert_eq!(facets(&database.store, 9 * HOUR, 10 * HOUR).await.unwrap(), Facets::default());
}

async fn series_are_split_by_key_and_status(database: &Database) {
    let mut log: Vec<_> = (0..6).map(|n| ended(&n.to_string(), n, 10)).collect();
    for (exchange, key) in log.iter_mut().zip([Some("a"), Some("b"), Some("a"), None, Some("config-1"), Some("a")]) {
        exchange.begun.key_id = key.map(str::to_owned);
    }
    let cancelled = log[1].ended.as_mut().unwrap();
    (cancelled.status, cancelled.error) = (RequestStatus::Cancelled, None);
    log[5].ended.as_mut().unwrap().status = RequestStatus::Failed;
    record(&database.store, &log).await.unwrap();
    // Repetitions, as after a restart of the router.
    record(&database.store, &log[..4]).await.unwrap();
    let keys = async |selection: Selection| {
        let found = read(database, &selection).await;
        found.into_iter().map(|series| (series.key.clone(), series.requests())).collect::<Vec<_>>()
    };
    let pair = |key: &str, count| (Some(key.to_owned()), count);
    let by_key = Selection { by: By::Key, ..minutes(1) };
    assert_eq!(keys(by_key.clone()).await, [pair("a", 3), pair("", 1), pair("b", 1), pair("config-1", 1)]);
    assert_eq!(keys(Selection { max_series: 1, ..by_key.clone() }).await, [pair("a", 3), (None, 3)]);
    let by_status = Selection { by: By::Status, ..minutes(1) };
    assert_eq!(keys(by_status.clone()).await, [pair("completed", 4), pair("cancelled", 1), pair("failed", 1)]);
    let of_a = Selection { key_ids: vec!["a".to_owned()], ..by_status };
    assert_eq!(keys(of_a).await, [pair("completed", 2), pair("failed", 1)]);
    let failed = Selection { statuses: vec![RequestStatus::Failed, RequestStatus::Cancelled], ..by_key };
    assert_eq!(keys(failed).await, [pair("a", 1), pair("b", 1)]);
    assert_eq!(keys(minutes(1)).await, [(None, 6)]);
}

/// Returns a request with a number of its own in each figure.
fn distinct(number: i64) -> Exchange {
    let mut exchange = ended(&format!("r{number}"), number * MINUTE / 3, 10 + 37 * number);
    exchange.begun.key_id = (number % 3 > 0).then(|| format!("k{}", number % 3));
    exchange.begun.model = format!("m{}", number % 2);
    let end = exchange.ended.as_mut().unwrap();
    end.usage = Some(Usage::new(number, 1000 * number));
    end.cost =
        Some(RequestCost { nanos: (number % 5 > 0).then_some(number), origin: "x".to_owned(), price_version: None });
    if number % 4 == 0 {
        (end.status, end.error, end.first_byte_ms) = (RequestStatus::Failed, Some("no".to_owned()), None);
    }
    exchange
}

async fn deleted_requests_and_answers_are_subtracted(database: &Database) {
    let store = &database.store;
    let log: Vec<_> = (0..24).map(distinct).collect();
    record(store, &log).await.unwrap();
    record(store, &[pending(begun("open", 1, SessionRef::Opens))]).await.unwrap();
    let all = async || {
        let mut found = Vec::new();
        for by in [By::All, By::Provider, By::Model, By::Key, By::Status] {
            for step in [MINUTE, HOUR] {
                let points = usize::try_from(HOUR / step).unwrap();
                found.push(read(database, &Selection { by, points, step, ..Selection::default() }).await);
            }
        }
        found
    };
    let before = all().await;
    // After each kind of deletion, the sums are those of the remaining requests.
    for id in ["r3", "r7", "r8", "open"] {
        requests::delete(store, &RequestKey::Uuid(id.to_owned())).await.unwrap();
    }
    sessions::delete(store, "r11").await.unwrap();
    let policy = RetentionPolicy { rows_before: Some(2 * MINUTE), ..RetentionPolicy::default() };
    while !step(store, &policy, HOUR).await.unwrap().done {}
    let after = all().await;
    assert_ne!(after, before);
    let points = &after[0][0].points;
    assert_eq!(points.iter().map(|point| point.requests).collect::<Vec<_>>()[..5], [0, 0, 1, 2, 3]);
    // An answer alone takes its figures with it; its request still counts.
    responses::delete(store, &ResponseKey::Uuid("r12".to_owned())).await.unwrap();
    let point = &read(database, &minutes(8)).await[0].points[4];
    assert_eq!((point.requests, point.errors, point.prompt_tokens), (3, 0, 13 + 14));
    let near = |found: Option<f64>, exact: f64| (found.unwrap() - exact).abs() <= exact * 0.05;
    assert!(near(point.durations.percentile(1), f64::from(10 + 37 * 13)), "{point:?}");

    // Recorded anew, the same sums are reached from the other side.
    requests::delete(store, &RequestKey::Uuid("r12".to_owned())).await.unwrap();
    database.execute("DELETE FROM requests").await;
    database.execute("DELETE FROM usage_minutes").await;
    let left: Vec<_> = log.into_iter().enumerate().filter(|(n, _)| *n >= 6 && ![7, 8, 11].contains(n)).collect();
    record(store, &left.into_iter().map(|(_, exchange)| exchange).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(all().await, after);

    for number in 0..24 {
        requests::delete(store, &RequestKey::Uuid(format!("r{number}"))).await.ok();
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM usage_minutes").await, 0);
}

async fn sums_of_earlier_versions_are_subtracted(database: &Database) {
    let store = &database.store;
    record(store, &[distinct(1), distinct(2)]).await.unwrap();
    // As an earlier version has counted them.
    for column in ["key_id", "status"] {
        database.execute(&format!("UPDATE usage_minutes SET {column} = '' WHERE model = 'm1'")).await;
    }
    assert_eq!(read(database, &Selection { by: By::Key, ..minutes(1) }).await.len(), 2);
    requests::delete(store, &RequestKey::Uuid("r1".to_owned())).await.unwrap();
    assert_eq!(database.number("SELECT COUNT(*) FROM usage_minutes WHERE model = 'm1'").await, 0);
    // A request that was never counted does not make a sum negative.
    database.execute("DELETE FROM usage_minutes WHERE span = 1").await;
    database.execute("UPDATE usage_minutes SET prompt_tokens = 1, durations = ''").await;
    requests::delete(store, &RequestKey::Uuid("r2".to_owned())).await.unwrap();
    assert_eq!(database.number("SELECT COUNT(*) FROM usage_minutes").await, 0);
}

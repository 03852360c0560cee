//! Tests that the hourly sums always match the rows.

use signalbox_core::schema::{ApiKeyFields, KeyGrant, NewApiKey, RequestCost, RequestStatus};
use signalbox_store::exchanges::{Exchange, SessionRef, record};
use signalbox_store::requests::{self, Filter, RequestKey};
use signalbox_store::responses::{self, ResponseKey};
use signalbox_store::retention::{self, RetentionPolicy};
use signalbox_store::usage::{self, By, UsageOf};
use signalbox_store::{Page, RowPosition, activity, api_keys, sessions};

use crate::exchanges::{begun, ended, pending, whole};
use crate::fixture::{Database, on_both};

on_both!(
    sums_follow_the_rows,
    sessions_are_counted_by_hour,
    totals_are_those_of_the_rows,
    figures_know_parts_of_hours,
    lists_go_on_behind_a_row,
    sessions_go_on_behind_a_row,
    sums_of_keys_count_each_request_once_and_outlive_it,
);

const HOUR: i64 = 3_600_000;

/// Computes the expected sums from the rows.
const ROWS: &str = "SELECT requests.timestamp / 3600000 AS hour, COALESCE(requests.provider_id, '') AS provider_id,
         requests.model, requests.status, COUNT(*) AS requests, COUNT(responses.id) AS answers,
         COUNT(responses.error) AS errors, COALESCE(SUM(responses.prompt_tokens), 0) AS prompt_tokens,
         COALESCE(SUM(responses.completion_tokens), 0) AS completion_tokens,
         COALESCE(SUM(responses.total_tokens), 0) AS total_tokens, COUNT(responses.duration_ms) AS timed,
         COALESCE(SUM(responses.duration_ms), 0) AS duration_ms,
         COALESCE(SUM(responses.cost_nanos), 0) AS cost_nanos,
         COALESCE(SUM(CASE WHEN responses.cost_origin LIKE 'unknown%' THEN 1 ELSE 0 END), 0) AS unpriced
     FROM requests LEFT JOIN responses ON responses.id = requests.id GROUP BY 1, 2, 3, 4";

const SUMS: &str = "SELECT hour, provider_id, model, status, requests, answers, errors, prompt_tokens,
         completion_tokens, total_tokens, timed, duration_ms, cost_nanos, unpriced FROM usage_hours
     WHERE requests <> 0 OR answers <> 0 OR errors <> 0 OR total_tokens <> 0 OR timed <> 0 OR duration_ms <> 0
         OR cost_nanos <> 0 OR unpriced <> 0";

/// Returns the number of rows of the sums that are wrong.
async fn wrong(database: &Database) -> i64 {
    let less = |a: &str, b: &str| format!("SELECT COUNT(*) FROM (SELECT * FROM ({a}) AS a EXCEPT {b}) AS d");
    database.number(&less(ROWS, SUMS)).await + database.number(&less(SUMS, ROWS)).await
}

fn cost(nanos: Option<i64>, origin: &str) -> RequestCost {
    RequestCost { nanos, origin: origin.to_owned(), price_version: Some("2026-11-29".to_owned()) }
}

/// Returns a request with varying provider, model and outcome.
fn various(number: i64) -> Exchange {
    let session = SessionRef::Named(format!("s{}", number % 3));
    let mut exchange = whole(&format!("r{number}"), number * HOUR / 2, session);
    exchange.begun.model = format!("m{}", number % 2);
    if let Some(ended) = &mut exchange.ended {
        ended.cost = match number % 3 {
            0 => Some(cost(Some(1_000_000_007 * number), "computed")),
            1 => Some(cost(None, "unknown: price")),
            _ => None,
        };
    }
    if let Some(ended) = &mut exchange.ended
        && number % 4 == 0
    {
        (ended.status, ended.error) = (RequestStatus::Failed, Some("refused".to_owned()));
        (ended.usage, ended.provider_id) = (None, None);
    }
    exchange
}

async fn sums_follow_the_rows(database: &Database) {
    let store = &database.store;
    let first: Vec<_> = (0..20).map(various).collect();
    let open: Vec<_> = (20..24).map(|number| pending(various(number).begun)).collect();
    record(store, &first).await.unwrap();
    record(store, &open).await.unwrap();
    assert_eq!(wrong(database).await, 0);
    // Exchanges that a killed router replays are counted once.
    record(store, &[first, open].concat()).await.unwrap();
    record(store, &[various(20), various(21), various(20)]).await.unwrap();
    record(store, &[various(21)]).await.unwrap();
    // Unusual client data must not break the sums.
    let mut odd = whole("odd", 5, SessionRef::Opens);
    odd.begun.model = "a\0b".to_owned();
    let mut same = whole("same", 5, SessionRef::Opens);
    same.begun.model = "a\u{fffd}b".to_owned();
    record(store, &[odd, same]).await.unwrap();
    assert_eq!(wrong(database).await, 0);
    assert_eq!(database.number("SELECT CAST(SUM(requests) AS BIGINT) FROM usage_hours").await, 26);

    // The sums of all statistics are those of the rows.
    let costs = "SELECT CAST(COALESCE(SUM(cost_nanos), 0) AS BIGINT) FROM responses";
    let total = database.number(costs).await;
    let unpriced = database.number("SELECT COUNT(cost_origin) FROM responses WHERE cost_nanos IS NULL").await;
    assert!(total > 5_000_000_000 && unpriced > 5, "{total} {unpriced}");
    let stats = responses::stats(store, None).await.unwrap();
    assert_eq!((stats.cost_nanos, stats.unpriced), (total, unpriced));
    let stats = activity::stats(store, 0).await.unwrap();
    assert_eq!((stats.cost_nanos, stats.unpriced), (total, unpriced));
    let by_provider = activity::by_provider(store).await.unwrap();
    let sum = |count: fn(&activity::ProviderActivity) -> i64| by_provider.iter().map(count).sum::<i64>();
    assert_eq!((sum(|row| row.cost_nanos), sum(|row| row.unpriced)), (total, unpriced));
    let of_session = responses::stats(store, Some("s0")).await.unwrap();
    let s0 = " WHERE id IN (SELECT id FROM requests WHERE session_id = 's0')";
    assert_eq!(of_session.cost_nanos, database.number(&format!("{costs}{s0}")).await);
    assert_eq!(of_session.unpriced, 0);

    responses::delete(store, &ResponseKey::Uuid("r1".to_owned())).await.unwrap();
    responses::delete(store, &ResponseKey::Uuid("r4".to_owned())).await.unwrap();
    assert_eq!(wrong(database).await, 0);
    for id in ["r1", "r2", "r8", "r22"] {
        requests::delete(store, &RequestKey::Uuid(id.to_owned())).await.unwrap();
    }
    assert_eq!(wrong(database).await, 0);
    sessions::delete(store, "s0").await.unwrap();
    assert_eq!(wrong(database).await, 0);
    let policy = RetentionPolicy { rows_before: Some(8 * HOUR), ..RetentionPolicy::default() };
    while !retention::step(store, &policy, i64::MAX).await.unwrap().done {}
    assert_eq!(wrong(database).await, 0);
    assert!(database.number("SELECT CAST(SUM(requests) AS BIGINT) FROM usage_hours").await > 0);
    database.execute("DELETE FROM requests").await;
    // Only the hours with pending requests keep rows.
    assert_eq!(database.number("SELECT COUNT(*) FROM usage_hours WHERE status <> 'pending'").await, 0);
    assert_eq!(wrong(database).await, 0);
}

/// Returns the number of hours whose number of sessions does not match the rows.
async fn miscounted(database: &Database) -> i64 {
    let rows = "SELECT expires_at / 3600000, COUNT(*) FROM sessions GROUP BY 1";
    let sums = "SELECT hour, sessions FROM session_hours WHERE sessions <> 0";
    let less = |a: &str, b: &str| format!("SELECT COUNT(*) FROM (SELECT * FROM ({a}) AS a EXCEPT {b}) AS d");
    database.number(&less(rows, sums)).await + database.number(&less(sums, rows)).await
}

async fn sessions_are_counted_by_hour(database: &Database) {
    let store = &database.store;
    let total =
        async || sessions::list(store, sessions::Sort::CreatedAt, Page { limit: 1, offset: 0 }).await.unwrap().total;
    record(store, &(0..20).map(various).collect::<Vec<_>>()).await.unwrap();
    record(store, &(0..9).map(|n| whole(&format!("o{n}"), n * HOUR / 4, SessionRef::Opens)).collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!((miscounted(database).await, total().await), (0, 12));
    // Sessions that continue expire later.
    record(store, &(20..40).map(various).collect::<Vec<_>>()).await.unwrap();
    assert_eq!((miscounted(database).await, total().await), (0, 12));
    let expires = sessions::get(store, "o4").await.unwrap().expires_at;
    for (now, active) in [(expires - 1, 8), (expires, 7), (expires + 1, 7), (i64::MAX - 2 * HOUR, 0), (0, 12)] {
        assert_eq!(activity::stats(store, now).await.unwrap().active_sessions, active, "{now}");
    }
    sessions::delete(store, "s1").await.unwrap();
    assert_eq!(sessions::delete_expired(store, expires, 3).await.unwrap(), 3);
    assert_eq!((miscounted(database).await, total().await), (0, 8));
    database.execute("DELETE FROM sessions").await;
    assert_eq!((miscounted(database).await, total().await), (0, 0));
}

async fn totals_are_those_of_the_rows(database: &Database) {
    let store = &database.store;
    record(store, &(0..20).map(various).collect::<Vec<_>>()).await.unwrap();
    record(store, &[pending(begun("open", 1, SessionRef::Opens))]).await.unwrap();
    let failed = vec![RequestStatus::Failed];
    let filters = [
        (Filter::default(), 21),
        (Filter { models: vec!["m1".to_owned()], ..Filter::default() }, 10),
        (Filter { statuses: failed.clone(), models: vec!["m0".to_owned()], ..Filter::default() }, 5),
        (Filter { provider_ids: vec!["p".to_owned()], ..Filter::default() }, 15),
        (Filter { provider_ids: vec![String::new()], ..Filter::default() }, 0),
        (Filter { session_id: Some("s1".to_owned()), statuses: failed, ..Filter::default() }, 2),
        (Filter { start: Some(0), after: Some(RowPosition { at: 2, id: 0 }), ..Filter::default() }, 21),
    ];
    for (filter, total) in filters {
        let listed = requests::list(store, &filter, Page::ALL).await.unwrap();
        assert_eq!(listed.total, total, "{filter:?}");
        if filter.after.is_none() {
            assert_eq!(i64::try_from(listed.items.len()).unwrap(), total, "{filter:?}");
        }
    }
    for (has_error, total) in [(None, 20), (Some(true), 5), (Some(false), 15)] {
        let filter = responses::Filter { has_error, ..responses::Filter::default() };
        let listed = responses::list(store, &filter, Page::ALL).await.unwrap();
        assert_eq!((listed.total, listed.items.len()), (total, usize::try_from(total).unwrap()), "{has_error:?}");
    }
    let stats = responses::stats(store, None).await.unwrap();
    assert_eq!((stats.total_responses, stats.succeeded, stats.total_tokens, stats.avg_duration_ms), (20, 15, 45, 40));
}

async fn figures_know_parts_of_hours(database: &Database) {
    let store = &database.store;
    let now = 1000 * HOUR + HOUR / 2;
    let day = 24 * HOUR;
    // On both sides of both boundaries; the second of each pair is inside.
    let at =
        [now - HOUR, now - HOUR + 1, now - day, now - day + 1, 999 * HOUR, 1000 * HOUR, 977 * HOUR, now, now + HOUR];
    let log: Vec<_> = at.iter().enumerate().map(|(n, at)| whole(&n.to_string(), *at, SessionRef::Opens)).collect();
    record(store, &log).await.unwrap();
    let mut failed = whole("failed", now - day + 2, SessionRef::Opens);
    failed.ended = Some(signalbox_store::exchanges::ExchangeEnd { error: Some("no".to_owned()), ..ended(now) });
    record(store, &[failed]).await.unwrap();
    let stats = activity::stats(store, now).await.unwrap();
    assert_eq!((stats.requests, stats.last_hour, stats.last_day), (10, 4, 9));
    assert_eq!((stats.answers_last_day, stats.errors_last_day, stats.avg_duration_ms), (9, 1, 40));
    assert_eq!(stats.active_sessions, 10);
}

async fn lists_go_on_behind_a_row(database: &Database) {
    let store = &database.store;
    // Several rows with the same time are ordered by their numbers.
    let log: Vec<_> = (0..9).map(|n| whole(&format!("r{n}"), n / 4, SessionRef::Named("s".to_owned()))).collect();
    record(store, &log).await.unwrap();
    let page = Page { limit: 2, offset: 0 };
    let (mut seen, mut answers, mut told) = (Vec::new(), Vec::new(), Vec::new());
    let mut filter = Filter { session_id: Some("s".to_owned()), ..Filter::default() };
    loop {
        let listed = requests::list(store, &filter, page).await.unwrap();
        let recent = activity::recent(store, filter.after.as_ref(), page).await.unwrap();
        told.extend(recent.into_iter().map(|request| request.request_id));
        let Some((last, _)) = listed.items.last() else { break };
        filter.after = Some(RowPosition { at: last.timestamp, id: last.id });
        assert_eq!(listed.total, 9);
        seen.extend(listed.items.into_iter().map(|(request, _)| request.request_id));
    }
    let mut filter = responses::Filter::default();
    loop {
        let listed = responses::list(store, &filter, page).await.unwrap();
        let Some(last) = listed.items.last() else { break };
        filter.after = Some(RowPosition { at: last.timestamp, id: last.id });
        assert_eq!(listed.total, 9);
        answers.extend(listed.items.into_iter().map(|response| response.response_id));
    }
    let all = requests::list(store, &Filter::default(), Page::ALL).await.unwrap().items;
    let all: Vec<_> = all.into_iter().map(|(request, _)| request.request_id).collect();
    assert_eq!(all.len(), 9);
    assert_eq!((&seen, &answers, &told), (&all, &all, &all));
    let skipped = requests::list(store, &Filter::default(), Page { limit: 3, offset: 5 }).await.unwrap().items;
    assert_eq!(skipped.into_iter().map(|(request, _)| request.request_id).collect::<Vec<_>>(), all[5..8]);
}

async fn sessions_go_on_behind_a_row(database: &Database) {
    let store = &database.store;
    let log: Vec<_> = (0..7).map(|n| whole(&format!("r{n}"), n / 3, SessionRef::Opens)).collect();
    record(store, &log).await.unwrap();
    for sort in [sessions::Sort::CreatedAt, sessions::Sort::LastAccessed] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = Page { limit: 2, offset: 0 };
            let listed = sessions::list_after(store, sort, after.as_ref(), page).await.unwrap();
            let Some(last) = listed.items.last() else { break };
            after = Some(RowPosition { at: last.created_at, id: last.id.clone() });
            seen.extend(listed.items.into_iter().map(|session| session.id));
        }
        assert_eq!(seen.join(" "), "r6 r5 r4 r3 r2 r1 r0");
    }
}

/// Returns a request of a key that costs this many nano-dollars.
fn of_key(number: i64, key: Option<&str>, nanos: Option<i64>) -> Exchange {
    let mut exchange = whole(&format!("k{number}"), number * HOUR, SessionRef::Opens);
    exchange.begun.key_id = key.map(str::to_owned);
    if let Some(ended) = &mut exchange.ended {
        ended.cost = Some(cost(nanos, if nanos.is_some() { "computed" } else { "unknown: price" }));
    }
    exchange
}

async fn sums_of_keys_count_each_request_once_and_outlive_it(database: &Database) {
    let store = &database.store;
    for (id, owner, tags) in [("a", Some("ann"), vec!["x", "y"]), ("b", Some("ann"), vec!["y"]), ("c", None, vec![])] {
        let grant = KeyGrant {
            owner: owner.map(str::to_owned),
            tags: tags.into_iter().map(str::to_owned).collect(),
            ..KeyGrant::default()
        };
        let fields = ApiKeyFields { name: format!("key {id}"), grant, expires_at: None };
        let new = NewApiKey { id: id.to_owned(), hint: String::new(), digest: id.to_owned(), fields };
        api_keys::insert(store, &new, 1).await.unwrap();
    }
    let whole = [
        of_key(0, Some("a"), Some(1)),
        of_key(1, Some("b"), Some(20)),
        of_key(2, Some("c"), Some(300)),
        of_key(3, Some("gone"), Some(4_000)),
        of_key(4, None, Some(50_000)),
        of_key(5, Some("a"), None),
    ];
    let open = pending(of_key(6, Some("a"), None).begun);
    record(store, &[whole.to_vec(), vec![open]].concat()).await.unwrap();
    // Repetitions, and the end of a request that was pending.
    record(store, &whole).await.unwrap();
    record(store, &[of_key(6, Some("a"), Some(600_000)), of_key(6, Some("a"), Some(600_000))]).await.unwrap();
    record(store, &[of_key(6, Some("a"), Some(600_000))]).await.unwrap();
    let shown = async |by: By, from: Option<i64>, to: Option<i64>| {
        let line = |UsageOf { name, sums, .. }: &UsageOf| {
            format!("{} {} {} {}", name.as_deref().unwrap_or("-"), sums.requests, sums.cost_nanos, sums.unpriced)
        };
        usage::by(store, by, from, to).await.unwrap().iter().map(line).collect::<Vec<_>>()
    };
    let all = ["key a 3 600001 1", "- 1 50000 0", "gone 1 4000 0", "key c 1 300 0", "key b 1 20 0"];
    assert_eq!(shown(By::Key, None, None).await, all);
    assert_eq!(shown(By::Owner, None, None).await, ["ann 4 600021 1", "- 3 54300 0"]);
    assert_eq!(shown(By::Tag, None, None).await, ["y 4 600021 1", "x 3 600001 1", "- 3 54300 0"]);
    assert_eq!(shown(By::Model, None, None).await, ["m 7 654321 1"]);
    assert_eq!(shown(By::Provider, None, None).await, ["p 7 654321 1"]);
    assert_eq!(shown(By::Key, Some(HOUR + 1), Some(2 * HOUR)).await, ["key c 1 300 0", "key b 1 20 0"]);
    assert_eq!(shown(By::Key, Some(100 * HOUR), None).await, [""; 0]);

    let spent = usage::spent_since(store, [0, HOUR, 6 * HOUR, 7 * HOUR]).await.unwrap();
    assert_eq!(spent["a"], [600_001, 600_000, 600_000, 0]);
    assert_eq!(spent[""], [50_000, 50_000, 0, 0]);
    let names = usage::key_names(store, ["a", "gone", "b", "a"].into_iter()).await.unwrap();
    assert_eq!((names.len(), &*names["a"], &*names["b"]), (2, "key a", "key b"));

    requests::delete(store, &RequestKey::Uuid("k0".to_owned())).await.unwrap();
    assert_eq!(shown(By::Key, None, None).await, all, "what was spent stays spent");
    assert_eq!(wrong(database).await, 0);
}

use signalbox_core::schema::RequestStatus;
use signalbox_store::exchanges::{Exchange, SessionRef, record};
use signalbox_store::requests::{self, Filter};
use signalbox_store::retention::{Removed, RetentionPolicy, step};
use signalbox_store::{Page, responses, sessions};

use crate::bodies::{DAY, asked, body, chunks, prose, repeating};
use crate::exchanges::whole;
use crate::fixture::{Database, on_both};

on_both!(
    nothing_goes_without_a_policy,
    bodies_go_by_whole_days,
    bodies_go_until_the_rest_is_small_enough,
    rows_go_with_everything_that_belongs_to_them,
    many_go_in_batches,
    no_row_refers_to_a_deleted_one,
    an_old_answer_does_not_bring_a_body_back,
);

async fn run(database: &Database, policy: RetentionPolicy, now: i64) -> (u64, u64) {
    let (mut requests, mut bodies) = (0, 0);
    loop {
        let removed = step(&database.store, &policy, now).await.unwrap();
        (requests, bodies) = (requests + removed.requests, bodies + removed.bodies);
        if removed.done {
            break;
        }
    }
    let done = Removed { requests: 0, bodies: 0, done: true };
    assert_eq!(step(&database.store, &policy, now).await.unwrap(), done);
    (requests, bodies)
}

fn long(id: &str, at: i64) -> Exchange {
    let mut exchange = asked(id, at, &prose(10_000, usize::try_from(at / DAY).unwrap()));
    exchange.ended.as_mut().unwrap().response_body = Some(prose(5_000, 9));
    exchange
}

async fn ids(database: &Database) -> String {
    let listed = requests::list(&database.store, &Filter::default(), Page::ALL).await.unwrap().items;
    listed.into_iter().map(|(request, _)| request.request_id).collect::<Vec<_>>().join(" ")
}

async fn nothing_goes_without_a_policy(database: &Database) {
    record(&database.store, &[long("a", 1)]).await.unwrap();
    assert_eq!(run(database, RetentionPolicy::default(), i64::MAX).await, (0, 0));
    let generous =
        RetentionPolicy { rows_before: Some(1), bodies_before: Some(DAY - 1), max_body_bytes: Some(1 << 30) };
    assert_eq!(run(database, generous, i64::MAX).await, (0, 0));
    assert_eq!(body(database, "a").await, prose(10_000, 0));
}

async fn bodies_go_by_whole_days(database: &Database) {
    record(&database.store, &[long("a", DAY - 1), long("b", DAY), long("c", 2 * DAY - 50), long("d", 2 * DAY)])
        .await
        .unwrap();
    let until = |before| RetentionPolicy { bodies_before: Some(before), ..RetentionPolicy::default() };
    // The answer to the first request arrived on the next day.
    assert_eq!(run(database, until(2 * DAY - 1), 0).await, (0, 1));
    assert_eq!((&*body(database, "a").await, chunks(database).await), ("null", 7));
    assert_eq!(run(database, until(2 * DAY), 0).await, (0, 5));
    assert_eq!((&*body(database, "c").await, body(database, "d").await), ("null", prose(10_000, 2)));
    assert_eq!(ids(database).await, "d c b a");
    let listed = responses::list(&database.store, &responses::Filter::default(), Page::ALL).await.unwrap().items;
    let answers: Vec<bool> = listed.into_iter().map(|response| response.response_body.is_some()).collect();
    assert_eq!(answers, [true, false, false, false]);
}

async fn bodies_go_until_the_rest_is_small_enough(database: &Database) {
    let batch: Vec<Exchange> = (0..20).map(|n| long(&n.to_string(), n * DAY / 4)).collect();
    record(&database.store, &batch).await.unwrap();
    let size = "SELECT CAST(SUM(LENGTH(bytes)) AS BIGINT) FROM bodies";
    let before = database.number(size).await;
    let most = |bytes| RetentionPolicy { max_body_bytes: Some(bytes), ..RetentionPolicy::default() };
    assert_eq!(run(database, most(before), 0).await, (0, 0));
    assert_eq!(run(database, most(before - 1), 0).await, (0, 1));
    let (_, removed) = run(database, most(before / 2), 0).await;
    let after = database.number(size).await;
    assert!(after <= before / 2 && after > before / 2 - 10_000, "{after} of {before}, {removed} removed");
    assert_eq!(after, database.number("SELECT CAST(SUM(bytes) AS BIGINT) FROM body_days").await);
    assert_eq!((&*body(database, "1").await, body(database, "19").await), ("null", prose(10_000, 4)));
    run(database, most(0), 0).await;
    assert_eq!(chunks(database).await, 0);
}

async fn rows_go_with_everything_that_belongs_to_them(database: &Database) {
    let month = 30 * DAY;
    let named = |id: &str, at| whole(id, at, SessionRef::Named("kept".to_owned()));
    let batch = [long("a", 0), named("b", 1), named("c", 40 * DAY), long("d", 5 * DAY)];
    record(&database.store, &batch).await.unwrap();
    database
        .execute(
            "INSERT INTO sessions (id, chat_id, first_user_message, created_at, last_accessed, expires_at, source)
             VALUES ('q', 'q', 'q', 1, 1, 1, 'qwen-proxy')",
        )
        .await;
    let policy = RetentionPolicy { rows_before: Some(4 * DAY), ..RetentionPolicy::default() };
    // Two requests; the two bodies of one of them, which no request may refer to any more.
    assert_eq!(run(database, policy, 0).await, (2, 2));
    assert_eq!(ids(database).await, "c d");
    assert_eq!(responses::stats(&database.store, None).await.unwrap().total_responses, 2);
    let sessions = async || {
        let listed = sessions::list(&database.store, sessions::Sort::CreatedAt, Page::ALL).await.unwrap().items;
        listed.into_iter().map(|session| session.id).collect::<Vec<_>>().join(" ")
    };
    // The session without requests is kept until it expires.
    assert_eq!(sessions().await, "d q kept a");
    run(database, policy, month + 1).await;
    assert_eq!(sessions().await, "d q kept");
    run(database, RetentionPolicy { rows_before: Some(39 * DAY), ..policy }, i64::MAX).await;
    assert_eq!((sessions().await, ids(database).await), ("q kept".to_owned(), "c".to_owned()));
}

async fn many_go_in_batches(database: &Database) {
    let batch: Vec<Exchange> = (0..1001).map(|n| asked(&n.to_string(), n, &prose(4096, 1))).collect();
    record(&database.store, &batch).await.unwrap();
    let policy = RetentionPolicy { rows_before: Some(2 * DAY + 1), ..RetentionPolicy::default() };
    for (requests, bodies) in [(500, 500), (500, 500), (1, 1), (0, 0)] {
        let removed = step(&database.store, &policy, i64::MAX).await.unwrap();
        assert_eq!(removed, Removed { requests, bodies, done: requests < 500 });
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM sessions").await, 0);
}

async fn no_row_refers_to_a_deleted_one(database: &Database) {
    let (a, b) = (asked("a", 1, &prose(10_000, 1)), asked("b", 2, &prose(10_000, 2)));
    record(&database.store, &[a.clone(), b.clone()]).await.unwrap();
    let size = database.number("SELECT CAST(SUM(LENGTH(bytes)) AS BIGINT) FROM bodies").await;
    let policy = RetentionPolicy { max_body_bytes: Some(size - 1), ..RetentionPolicy::default() };
    assert_eq!(run(database, policy, 0).await, (0, 1));
    let again = [repeating("c", 3, &prose(12_000, 1), &a), repeating("d", 4, &prose(12_000, 2), &b)];
    record(&database.store, &again).await.unwrap();
    assert_eq!((&*body(database, "a").await, body(database, "c").await), ("null", prose(12_000, 1)));
    assert_eq!(body(database, "d").await, prose(12_000, 2));
    // A day whose bodies have all been removed is recorded as well.
    run(database, RetentionPolicy { bodies_before: Some(DAY), ..RetentionPolicy::default() }, 0).await;
    record(&database.store, &[repeating("e", 5, &prose(12_000, 2), &b)]).await.unwrap();
    assert_eq!(body(database, "e").await, prose(12_000, 2));
}

async fn an_old_answer_does_not_bring_a_body_back(database: &Database) {
    let (a, b) = (long("a", 1), asked("b", 2, &prose(10_000, 2)));
    let open = Exchange { ended: None, ..a.clone() };
    record(&database.store, &[open, b.clone()]).await.unwrap();
    let all = RetentionPolicy { bodies_before: Some(DAY), ..RetentionPolicy::default() };
    assert_eq!(run(database, all, 0).await, (0, 2));
    record(&database.store, &[a]).await.unwrap();
    assert_eq!(run(database, all, 0).await, (0, 1));
    record(&database.store, &[repeating("c", 3, &prose(12_000, 2), &b)]).await.unwrap();
    assert_eq!(body(database, "c").await, prose(12_000, 2));
    let (request, _) = requests::get(&database.store, &requests::RequestKey::Uuid("a".to_owned())).await.unwrap();
    assert_eq!((request.status, &*request.request_body), (RequestStatus::Completed, "null"));
}

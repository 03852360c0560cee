//! Tests that nothing is left of what a user deletes, and that everything else can still be read.

use signalbox_store::exchanges::{Exchange, SessionRef, record};
use signalbox_store::qwen_turns::{self, EndedTurn};
use signalbox_store::requests::{self, RequestKey};
use signalbox_store::responses::{self, ResponseKey};
use signalbox_store::{Kind, sessions};

use crate::bodies::{DAY, asked, body, check_totals, chunks, prose, repeating};
use crate::fixture::{Database, on_both, on_sqlite};

on_both!(
    a_request_goes_with_its_bodies,
    a_response_goes_with_its_body,
    a_conversation_can_be_deleted_in_any_order,
    a_shared_chunk_goes_with_the_last_session,
    a_long_session_goes_in_groups,
    expired_sessions_go_with_their_bodies,
    deletions_at_the_same_time_leave_nothing,
    a_preview_goes_with_its_request,
    turns_and_reports_lose_their_texts,
);

async fn delete(database: &Database, id: &str) {
    requests::delete(&database.store, &RequestKey::Uuid(id.to_owned())).await.unwrap();
}

/// Checks that no body is left.
async fn check_empty(database: &Database) {
    assert_eq!(chunks(database).await, 0);
    assert_eq!(database.number("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM body_days").await, 0);
}

fn in_session(mut exchange: Exchange, session: &str) -> Exchange {
    exchange.begun.session = SessionRef::Named(session.to_owned());
    exchange
}

/// Returns the turns of a conversation, on the evening of a day and the next morning. Every other turn has a long
/// answer and a body of its own for the provider.
fn conversation(turns: usize, seed: usize) -> Vec<Exchange> {
    let mut all: Vec<Exchange> = Vec::new();
    for turn in 0..turns {
        let at = DAY - 2 + i64::try_from(turn).unwrap();
        let id = format!("{seed}-{turn}");
        let mut exchange = match all.last() {
            None => asked(&id, at, &prose(10_000, seed)),
            Some(last) => {
                let said = format!("{}{}", last.begun.request_body, prose(1000 + turn * 100, seed + turn));
                repeating(&id, at, &said, last)
            }
        };
        if turn % 2 == 0 {
            let end = exchange.ended.as_mut().unwrap();
            end.upstream_request = Some(format!("{{\"é\"}}{}", exchange.begun.request_body));
            end.response_body = Some(prose(5000, turn));
        }
        all.push(exchange);
    }
    all
}

/// Checks that this request is read as it was written.
async fn check_intact(database: &Database, exchange: &Exchange) {
    let key = RequestKey::Uuid(exchange.begun.request_id.clone());
    let (request, response) = requests::get(&database.store, &key).await.unwrap();
    assert!(request.request_body == *exchange.begun.request_body, "{}", request.request_id);
    let end = exchange.ended.as_ref().unwrap();
    assert!(request.upstream_request == end.upstream_request.as_deref().unwrap_or("null"), "{}", request.request_id);
    assert!(response.unwrap().response_body == end.response_body, "{}", request.request_id);
}

async fn a_request_goes_with_its_bodies(database: &Database) {
    let mut long = asked("long", 1, &prose(100_000, 1));
    let end = long.ended.as_mut().unwrap();
    end.response_body = Some(prose(50_000, 2));
    end.upstream_request = Some(prose(100_000, 1) + "!");
    // The answer ends on another day.
    end.ended_at = 3 * DAY;
    record(&database.store, &[long, asked("other", 1, &prose(10_000, 3))]).await.unwrap();
    assert_eq!(chunks(database).await, 3);
    let id = database.number("SELECT id FROM requests WHERE request_id = 'long'").await;
    requests::delete(&database.store, &RequestKey::Id(id)).await.unwrap();
    assert_eq!((chunks(database).await, body(database, "other").await), (1, prose(10_000, 3)));
    check_totals(database).await;
    delete(database, "other").await;
    check_empty(database).await;
    // Retention and its marks are not affected.
    assert_eq!(database.number("SELECT CAST(SUM(removed_to) AS BIGINT) FROM body_days").await, 0);
}

async fn a_response_goes_with_its_body(database: &Database) {
    let mut turns = conversation(3, 1);
    record(&database.store, &turns).await.unwrap();
    let before = chunks(database).await;
    responses::delete(&database.store, &ResponseKey::Uuid("1-0".to_owned())).await.unwrap();
    responses::delete(&database.store, &ResponseKey::Uuid("1-1".to_owned())).await.unwrap();
    assert_eq!(chunks(database).await, before - 1);
    check_totals(database).await;
    let (request, response) = requests::get(&database.store, &RequestKey::Uuid("1-0".to_owned())).await.unwrap();
    assert_eq!((request.request_body, response), ((*turns[0].begun.request_body).to_owned(), None));
    check_intact(database, &turns.remove(2)).await;
}

async fn a_conversation_can_be_deleted_in_any_order(database: &Database) {
    let turns = conversation(4, 1);
    let mut orders = vec![Vec::new()];
    for _ in 0..turns.len() {
        let longer = |order: Vec<usize>| {
            let next: Vec<usize> = (0..4).filter(|turn| !order.contains(turn)).collect();
            next.into_iter().map(move |turn| [&order[..], &[turn]].concat())
        };
        orders = orders.into_iter().flat_map(longer).collect();
    }
    assert_eq!(orders.len(), 24);
    for order in orders {
        record(&database.store, &turns).await.unwrap();
        assert_eq!(chunks(database).await, 6);
        for (count, turn) in order.iter().enumerate() {
            delete(database, &turns[*turn].begun.request_id).await;
            for left in &order[count + 1..] {
                check_intact(database, &turns[*left]).await;
            }
            // A chunk is left exactly if a later turn has its text, and an answer if its request is left.
            let left = &order[count + 1..];
            let asked = left.iter().max().map_or(0, |newest| newest + 1);
            let answered = left.iter().filter(|turn| **turn % 2 == 0).count();
            assert_eq!(chunks(database).await, i64::try_from(asked + answered).unwrap(), "{order:?} {count}");
            check_totals(database).await;
        }
        check_empty(database).await;
    }
}

async fn a_shared_chunk_goes_with_the_last_session(database: &Database) {
    for first_deleted in ["a", "b"] {
        let first = in_session(asked("first", DAY, &prose(10_000, 1)), "a");
        let second = in_session(repeating("second", DAY + 1, &prose(20_000, 1), &first), "b");
        let third = in_session(repeating("third", DAY + 2, &prose(30_000, 1), &second), "a");
        record(&database.store, &[first, second, third]).await.unwrap();
        assert_eq!(chunks(database).await, 3);
        sessions::delete(&database.store, first_deleted).await.unwrap();
        if first_deleted == "a" {
            assert_eq!((chunks(database).await, body(database, "second").await), (2, prose(20_000, 1)));
            sessions::delete(&database.store, "b").await.unwrap();
        } else {
            assert_eq!((chunks(database).await, body(database, "third").await), (3, prose(30_000, 1)));
            assert_eq!(body(database, "first").await, prose(10_000, 1));
            sessions::delete(&database.store, "a").await.unwrap();
        }
        check_empty(database).await;
    }
}

async fn a_long_session_goes_in_groups(database: &Database) {
    // More than one transaction deletes, and more than one part is loaded. Another session has the text of the first
    // hundred turns.
    let mut turns = vec![in_session(asked("0", 0, &prose(5_000, 0)), "long")];
    for turn in 1..2300 {
        let last = &turns[turn - 1];
        // The history is cut off from time to time, as a limited context does.
        let history = if turn % 120 == 0 { &last.begun.request_body[..5_000] } else { &last.begun.request_body };
        let said = format!("{history}{}", prose(70, turn));
        let at = i64::try_from(turn).unwrap() * 60_000;
        turns.push(in_session(repeating(&turn.to_string(), at, &said, last), "long"));
    }
    turns[7].ended.as_mut().unwrap().response_body = Some(prose(9_000, 7));
    let other = in_session(repeating("other", 200 * 60_000, &turns[100].begun.request_body, &turns[100]), "other");
    for batch in turns.chunks(500) {
        record(&database.store, batch).await.unwrap();
    }
    record(&database.store, std::slice::from_ref(&other)).await.unwrap();
    assert!(chunks(database).await > 2000);
    sessions::delete(&database.store, "long").await.unwrap();
    assert_eq!(database.number("SELECT COUNT(*) FROM requests").await, 1);
    assert_eq!(database.number("SELECT COUNT(*) FROM sessions WHERE id = 'long'").await, 0);
    assert_eq!(body(database, "other").await, *other.begun.request_body);
    check_totals(database).await;
    assert!((90..=101).contains(&chunks(database).await), "{}", chunks(database).await);
    sessions::delete(&database.store, "other").await.unwrap();
    check_empty(database).await;
}

async fn expired_sessions_go_with_their_bodies(database: &Database) {
    let turns = conversation(4, 1);
    let late = asked("late", 50 * DAY, &prose(10_000, 9));
    record(&database.store, &[&turns[..], &[late]].concat()).await.unwrap();
    // The sessions expire thirty days after their newest requests.
    assert_eq!(sessions::delete_expired(&database.store, 40 * DAY, 3).await.unwrap(), 3);
    check_intact(database, &turns[3]).await;
    assert_eq!(sessions::delete_expired(&database.store, 40 * DAY, 3).await.unwrap(), 1);
    assert_eq!((chunks(database).await, body(database, "late").await), (1, prose(10_000, 9)));
    check_totals(database).await;
}

async fn deletions_at_the_same_time_leave_nothing(database: &Database) {
    for round in 0..3 {
        let mut turns = conversation(12, round);
        let kept = turns.pop().unwrap();
        record(&database.store, &turns).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for turn in turns {
            let store = database.store.clone();
            tasks.spawn(async move { requests::delete(&store, &RequestKey::Uuid(turn.begun.request_id)).await });
        }
        // Whether its base is still there depends on the order.
        record(&database.store, std::slice::from_ref(&kept)).await.unwrap();
        while let Some(deleted) = tasks.join_next().await {
            deleted.unwrap().unwrap();
        }
        check_intact(database, &kept).await;
        delete(database, &kept.begun.request_id).await;
        check_empty(database).await;
    }
}

async fn a_preview_goes_with_its_request(database: &Database) {
    let ask = |id: &str, at| in_session(asked(id, at, "{}"), "s");
    record(&database.store, &[ask("1", 10), ask("2", 20), ask("3", 30)]).await.unwrap();
    let preview = async || sessions::get(&database.store, "s").await.unwrap().first_user_message;
    delete(database, "2").await;
    assert_eq!(preview().await, "hello from 1");
    delete(database, "1").await;
    assert_eq!(preview().await, "");
    // If retention has deleted the first request, the first one that was left has the opening too.
    record(&database.store, &[ask("0", 5), ask("4", 40)]).await.unwrap();
    assert_eq!(preview().await, "hello from 0");
    database.execute("DELETE FROM requests WHERE request_id = '0'").await;
    delete(database, "4").await;
    assert_eq!(preview().await, "hello from 0");
    delete(database, "3").await;
    assert_eq!(preview().await, "");
}

async fn turns_and_reports_lose_their_texts(database: &Database) {
    let store = &database.store;
    for by_response in [false, true] {
        let turn = EndedTurn {
            session_id: "s",
            chat_id: "c",
            first_user_message: "hello",
            opening_hash: "h",
            parent_id: "p",
            asked: "h",
            answer: "the beginning of the answer",
            instructed: "h",
            tools: "h",
            ended_at: 100,
            expires_at: 1000,
        };
        qwen_turns::put(store, &turn).await.unwrap();
        record(store, &[in_session(asked("r", 50, "{}"), "s")]).await.unwrap();
        database
            .execute(
                "INSERT INTO errors (error_id, timestamp, error_type, error_message, request_id, request_payload,
                     response_payload, severity, created_at)
                 SELECT 'imported', 1, 't', 'm', id, 'text', 'text', 's', 1 FROM requests
                 UNION ALL SELECT 'own', 60, 't', 'm', NULL, 'text', NULL, 's', 1 FROM requests
                 UNION ALL SELECT 'other', 9000, 't', 'm', NULL, 'text', NULL, 's', 1 FROM requests",
            )
            .await;
        if by_response {
            responses::delete(store, &ResponseKey::Uuid("r".to_owned())).await.unwrap();
        } else {
            delete(database, "r").await;
        }
        assert_eq!(database.number("SELECT COUNT(*) FROM qwen_turns").await, 0);
        assert_eq!(database.number("SELECT COUNT(*) FROM errors WHERE request_payload IS NOT NULL").await, 1);
        assert_eq!(database.number("SELECT COUNT(*) FROM errors WHERE response_payload IS NOT NULL").await, 0);
        assert_eq!(database.number("SELECT COUNT(*) FROM errors WHERE error_id = 'other'").await, 1);
        sessions::delete(store, "s").await.unwrap();
        database.execute("DELETE FROM errors").await;
    }
}

/// The write-ahead log is merged into the file when the last connection is closed; see docs/request-log.md.
#[tokio::test]
async fn deleted_texts_are_overwritten_in_the_file() {
    on_sqlite(async |database: &Database| {
        assert_eq!(database.store.kind(), Kind::Sqlite);
        let short = asked("short", 1, &prose(3000, 1));
        let mut long = asked("long", 1, &prose(100_000, 2));
        long.ended.as_mut().unwrap().response_body = Some(prose(3500, 3));
        record(&database.store, &[short, asked("kept", 1, &prose(3000, 4)), long]).await.unwrap();
        let chunk = database.bytes("SELECT bytes FROM bodies").await;
        // Texts as they are stored: the middle of the compressed chunk, and two short bodies.
        let texts = [chunk[chunk.len() / 2..][..64].to_vec(), prose(3000, 1).into_bytes(), prose(3500, 3).into_bytes()];
        let found = async || {
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
            let file = std::fs::read(database.path()).unwrap();
            let is_in = |text: &[u8]| file.windows(64).any(|window| *window == text[..64]);
            assert!(is_in(prose(3000, 4).as_bytes()));
            texts.iter().filter(|text| is_in(text)).count()
        };
        assert_eq!(found().await, 3);
        delete(database, "short").await;
        delete(database, "long").await;
        assert_eq!(found().await, 0);
    })
    .await;
}

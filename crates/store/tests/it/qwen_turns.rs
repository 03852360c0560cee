use signalbox_store::exchanges::{SessionRef, record};
use signalbox_store::qwen_turns::{self, EndedTurn};
use signalbox_store::sessions;

use crate::exchanges::whole;
use crate::fixture::{Database, on_both};

on_both!(
    found_by_what_was_asked,
    a_turn_stays_when_its_session_goes_on,
    another_chat_replaces_the_turns,
    what_is_over_is_forgotten_and_what_was_logged_stays,
);

fn turn<'a>(session_id: &'a str, parent_id: &'a str, asked: &'a str, ended_at: i64) -> EndedTurn<'a> {
    EndedTurn {
        session_id,
        chat_id: "chat",
        first_user_message: "hi",
        opening_hash: "opening",
        parent_id,
        asked,
        answer: "Hello \0",
        instructed: "",
        tools: "",
        ended_at,
        expires_at: ended_at + 100,
    }
}

async fn put(database: &Database, turn: EndedTurn<'_>) {
    qwen_turns::put(&database.store, &turn).await.unwrap();
}

/// Returns the sessions and parents of the turns that are found, with a mark on the newest.
async fn found(database: &Database, asked: &str, now_ms: i64) -> String {
    let turns = qwen_turns::find(&database.store, asked, now_ms).await.unwrap();
    let each = turns.iter().map(|turn| {
        assert_eq!(turn.answer, "Hello \u{fffd}");
        format!("{}/{}{}", turn.session_id, turn.parent_id, if turn.is_newest { "!" } else { "" })
    });
    each.collect::<Vec<_>>().join(" ")
}

async fn found_by_what_was_asked(database: &Database) {
    put(database, turn("a", "p1", "x", 1)).await;
    put(database, turn("b", "p2", "x", 2)).await;
    put(database, turn("c", "p3", "y", 3)).await;
    assert_eq!(found(database, "x", 50).await, "b/p2! a/p1!");
    assert_eq!(found(database, "x", 101).await, "b/p2!");
    assert_eq!(found(database, "z", 50).await, "");
    assert_eq!(qwen_turns::count(&database.store, 101).await.unwrap(), 2);
    let session = sessions::get(&database.store, "a").await.unwrap();
    assert_eq!((&*session.chat_id, session.parent_id.as_deref(), session.message_count), ("chat", Some("p1"), 1));
}

async fn a_turn_stays_when_its_session_goes_on(database: &Database) {
    put(database, turn("a", "p1", "x", 1)).await;
    put(database, turn("a", "p2", "xx", 2)).await;
    assert_eq!(found(database, "x", 50).await, "a/p1");
    assert_eq!(found(database, "xx", 50).await, "a/p2!");
    // Continues again from the first turn.
    put(database, turn("a", "p3", "xx", 3)).await;
    assert_eq!(found(database, "xx", 50).await, "a/p3! a/p2");
    assert_eq!(sessions::get(&database.store, "a").await.unwrap().message_count, 3);
}

async fn another_chat_replaces_the_turns(database: &Database) {
    put(database, turn("a", "p1", "x", 1)).await;
    put(database, EndedTurn { chat_id: "other", ..turn("a", "p2", "xx", 2) }).await;
    assert_eq!(found(database, "x", 50).await, "");
    assert_eq!(found(database, "xx", 50).await, "a/p2!");
}

async fn what_is_over_is_forgotten_and_what_was_logged_stays(database: &Database) {
    let store = &database.store;
    put(database, turn("a", "p1", "x", 1)).await;
    put(database, turn("b", "p2", "x", 1)).await;
    put(database, turn("c", "p3", "x", 50)).await;
    record(store, &[whole("1", 1, SessionRef::Named("b".to_owned()))]).await.unwrap();
    assert_eq!(sessions::get(store, "b").await.unwrap().expires_at, 101, "the log does not change the session");
    assert_eq!(qwen_turns::delete_expired(store, 100, 10).await.unwrap(), 0);
    assert_eq!(qwen_turns::delete_expired(store, 101, 10).await.unwrap(), 2);
    assert_eq!(qwen_turns::delete_expired(store, 101, 10).await.unwrap(), 0);
    assert!(sessions::get(store, "a").await.is_err());
    sessions::get(store, "b").await.unwrap();
    assert_eq!(database.number("SELECT COUNT(*) FROM requests").await, 1);
    assert_eq!(found(database, "x", 0).await, "c/p3!");
}

//! Tests of the turns of sessions.

use signalbox_core::openai::Usage;
use signalbox_core::token_classes::TokenClasses;
use signalbox_store::exchanges::{Exchange, SessionRef, record};
use signalbox_store::turns;

use crate::exchanges::whole;
use crate::fixture::{Database, on_both};

on_both!(the_turn_before_is_of_the_same_session_and_model);

fn turn(name: &str, at: i64, session: &str, model: &str, cached: Option<i64>) -> Exchange {
    let mut exchange = whole(name, at, SessionRef::Named(session.to_owned()));
    exchange.begun.model = model.to_owned();
    if let Some(ended) = &mut exchange.ended {
        ended.usage = cached.map(|cache_read| Usage {
            classes: TokenClasses { cache_read, ..TokenClasses::default() },
            ..Usage::new(1_000, 5)
        });
    }
    exchange
}

async fn the_turn_before_is_of_the_same_session_and_model(database: &Database) {
    let store = &database.store;
    let rows = [
        turn("r1", 1_000, "a", "m", Some(100)),
        turn("r2", 2_000, "a", "other", Some(200)),
        turn("r3", 3_000, "b", "m", Some(300)),
        turn("r4", 4_000, "a", "m", None),
        turn("r5", 5_000, "a", "m", Some(500)),
    ];
    record(store, &rows).await.unwrap();
    let newest = turns::newest(store, "a", 10).await.unwrap();
    let names: Vec<&str> = newest.iter().map(|turn| &*turn.request_id).collect();
    assert_eq!(names, ["r5", "r2", "r1"]);
    let last = &newest[0];
    assert_eq!((last.tokens.prompt, last.tokens.cached), (1_000, 500));
    let before = turns::before(store, "a", "m", (last.timestamp, last.id), 1).await.unwrap().remove(0);
    assert_eq!(before, newest[2]);
    assert_eq!(turns::before(store, "a", "m", (before.timestamp, before.id), 9).await.unwrap(), []);
    assert_eq!(turns::newest(store, "a", 1).await.unwrap().len(), 1);
    assert_eq!(turns::newest(store, "none", 1).await.unwrap(), []);
}

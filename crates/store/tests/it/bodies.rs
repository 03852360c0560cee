//! Tests that a body is read as it was written, regardless of how it is stored.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use signalbox_core::excerpt::excerpt;
use signalbox_store::exchanges::{Base, Exchange, ExchangeEnd, SessionRef, record};
use signalbox_store::requests::{self, Filter, RequestKey};
use signalbox_store::responses::{self, ResponseKey};
use signalbox_store::{Page, retention};

use crate::exchanges::{ended, pending, whole};
use crate::fixture::{Database, on_both};

on_both!(
    every_shape_is_read_as_it_was_written,
    what_conversations_repeat_is_stored_once,
    a_base_that_is_gone_or_does_not_fit_is_ignored,
    a_base_of_another_day_is_ignored,
    repetitions_write_nothing_twice,
    a_nul_in_a_long_body_is_replaced,
    a_deleted_request_leaves_its_body_to_those_who_share_it,
    what_is_gone_or_damaged_is_null,
    any_history_is_read_as_it_was_written,
);

pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

/// Returns a text of `length` bytes that compresses only moderately, with multi-byte characters.
pub(crate) fn prose(length: usize, seed: usize) -> String {
    let mut text = String::new();
    for word in 0.. {
        if text.len() >= length {
            break;
        }
        text.push_str(&format!("{}é{} ", (word * 7919 + seed * 104_729) % 9973, (word + seed) % 10));
    }
    let mut end = length;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text + &"x".repeat(length - end)
}

/// Returns the body as shown in a list.
fn shown(body: &str) -> String {
    if body.len() <= 8192 { body.to_owned() } else { excerpt(&body[..body.floor_char_boundary(8192)]) }
}

/// Returns a completed request with this body.
pub(crate) fn asked(id: &str, at: i64, body: &str) -> Exchange {
    let mut exchange = whole(id, at, SessionRef::Opens);
    exchange.begun.request_body = body.into();
    exchange
}

/// Returns a request whose base is another request, with the actual common prefix and suffix.
pub(crate) fn repeating(id: &str, at: i64, body: &str, base: &Exchange) -> Exchange {
    let earlier = base.begun.request_body.as_bytes();
    let prefix = earlier.iter().zip(body.as_bytes()).take_while(|(a, b)| a == b).count();
    let rest = (&earlier[prefix..], &body.as_bytes()[prefix..]);
    let suffix = rest.0.iter().rev().zip(rest.1.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut exchange = asked(id, at, body);
    exchange.begun.base = Some(Base { request_id: base.begun.request_id.clone(), prefix, suffix });
    exchange
}

pub(crate) async fn body(database: &Database, id: &str) -> String {
    requests::get(&database.store, &RequestKey::Uuid(id.to_owned())).await.unwrap().0.request_body
}

pub(crate) async fn chunks(database: &Database) -> i64 {
    database.number("SELECT COUNT(*) FROM bodies").await
}

/// Checks that the totals match the stored bodies.
pub(crate) async fn check_totals(database: &Database) {
    let stored = database.number("SELECT CAST(COALESCE(SUM(LENGTH(bytes)), 0) AS BIGINT) FROM bodies").await;
    let counted = database.number("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM body_days").await;
    assert_eq!(stored, counted);
}

async fn every_shape_is_read_as_it_was_written(database: &Database) {
    let store = &database.store;
    let lengths = [0, 1, 4095, 4096, 4097, 100_000, 1_000_000];
    for (index, length) in lengths.into_iter().enumerate() {
        let id = format!("r{index}");
        let body = prose(length, index);
        let mut exchange = asked(&id, 1, &body);
        let end = exchange.ended.as_mut().unwrap();
        end.upstream_request = Some(format!("{{\"model\":\"é\"}}{body}"));
        end.response_body = Some(prose(length, index + 1));
        let (up, answer) = (end.upstream_request.clone(), end.response_body.clone());
        record(store, &[exchange]).await.unwrap();
        let (request, response) = requests::get(store, &RequestKey::Uuid(id.clone())).await.unwrap();
        assert_eq!((request.request_body, Some(request.upstream_request)), (body, up));
        let response = response.unwrap();
        assert_eq!(response.response_body, answer);
        assert_eq!(responses::get(store, &ResponseKey::Id(response.id)).await.unwrap(), response);
        assert_eq!(responses::for_request(store, &RequestKey::Uuid(id)).await.unwrap(), response);
    }
    assert_eq!(chunks(database).await, 8);
    let page = Page { limit: 3, offset: 2 };
    let listed = requests::list(store, &Filter::default(), page).await.unwrap().items;
    let expected: Vec<String> = [4, 3, 2].map(|index| shown(&prose(lengths[index], index))).to_vec();
    assert_eq!(listed.into_iter().map(|(request, _)| request.request_body).collect::<Vec<_>>(), expected);
    let listed = responses::list(store, &responses::Filter::default(), Page::ALL).await.unwrap().items;
    assert_eq!(listed.len(), lengths.len());
    for response in listed {
        let index: usize = response.response_id.trim_start_matches('r').parse().unwrap();
        assert_eq!(response.response_body, Some(shown(&prose(lengths[index], index + 1))));
    }
    check_totals(database).await;
}

async fn what_conversations_repeat_is_stored_once(database: &Database) {
    let mut turns = vec![asked("0", 1, &prose(100_000, 0))];
    for turn in 1..40 {
        let said = turns.last().map(|last: &Exchange| last.begun.request_body.clone()).unwrap();
        let (history, closing) = said.split_at(cut(&said, 254));
        let body = format!("{history}{}{closing}", prose(turn * 10, turn));
        turns.push(repeating(&turn.to_string(), 1, &body, turns.last().unwrap()));
    }
    // The first turns in one batch, the others in one batch each.
    record(&database.store, &turns[..20]).await.unwrap();
    for turn in &turns[20..] {
        record(&database.store, std::slice::from_ref(turn)).await.unwrap();
    }
    for turn in &turns {
        assert_eq!(body(database, &turn.begun.request_id).await, *turn.begun.request_body);
    }
    // The first body, and the new part of each turn unless it is very short.
    let whole = database.number("SELECT CAST(LENGTH(bytes) AS BIGINT) FROM bodies ORDER BY request_id LIMIT 1").await;
    let all = database.number("SELECT CAST(SUM(LENGTH(bytes)) AS BIGINT) FROM bodies").await;
    assert!(all < 2 * whole, "{all} bytes are stored, the first turn has {whole}");
    assert_eq!(chunks(database).await, 34);
    check_totals(database).await;
}

async fn a_base_that_is_gone_or_does_not_fit_is_ignored(database: &Database) {
    let first = asked("first", 1, &prose(10_000, 1));
    let small = asked("small", 1, &prose(4_000, 1));
    let text = prose(10_000, 1) + "!";
    let based = |id: &str, on: &str, prefix, suffix| {
        let mut exchange = asked(id, 1, &text);
        exchange.begun.base = Some(Base { request_id: on.to_owned(), prefix, suffix });
        exchange
    };
    let batch = [
        first,
        small,
        based("fits", "first", 10_000, 0),
        based("unknown", "nobody", 10_000, 0),
        based("itself", "itself", 10_000, 0),
        based("later", "last", 10_000, 0),
        based("short", "small", 4_000, 0),
        based("long", "first", 10_001, 0),
        based("overlapping", "first", 9_000, 9_000),
        based("absurd", "first", usize::MAX, usize::MAX),
        asked("last", 1, &text),
    ];
    record(&database.store, &batch).await.unwrap();
    for exchange in &batch {
        assert_eq!(body(database, &exchange.begun.request_id).await, *exchange.begun.request_body);
    }
    // Only one request could use its base, and its single new letter needed no chunk.
    assert_eq!(chunks(database).await, 9);
}

async fn a_base_of_another_day_is_ignored(database: &Database) {
    let text = prose(10_000, 1);
    let old = asked("old", DAY - 1, &text);
    let next = repeating("next", DAY, &text, &old);
    let later = repeating("later", 2 * DAY, &text, &next);
    record(&database.store, &[old]).await.unwrap();
    record(&database.store, &[next]).await.unwrap();
    assert_eq!(chunks(database).await, 1);
    record(&database.store, &[later]).await.unwrap();
    assert_eq!(chunks(database).await, 2);
    assert_eq!(database.number("SELECT MAX(day) FROM bodies").await, 2);
    assert_eq!(body(database, "later").await, text);
}

async fn repetitions_write_nothing_twice(database: &Database) {
    let text = prose(10_000, 1);
    let first = asked("first", 1, &text);
    let mut second = repeating("second", 1, &(text.clone() + &prose(5_000, 2)), &first);
    let end = second.ended.as_mut().unwrap();
    end.response_body = Some(prose(6_000, 3));
    end.upstream_request = Some(second.begun.request_body.replacen('é', "e", 1));
    let state = async || {
        let (request, response) = requests::get(&database.store, &RequestKey::Uuid("second".to_owned())).await.unwrap();
        (request, response, chunks(database).await)
    };
    record(&database.store, &[first.clone(), pending(second.begun.clone())]).await.unwrap();
    assert_eq!(chunks(database).await, 2);
    record(&database.store, &[second.clone(), pending(second.begun.clone()), first.clone()]).await.unwrap();
    let expected = state().await;
    assert_eq!(expected.2, 3);
    assert_eq!(Some(&expected.0.upstream_request), second.ended.as_ref().unwrap().upstream_request.as_ref());
    assert_eq!(expected.1.as_ref().unwrap().response_body, Some(prose(6_000, 3)));
    for batch in [vec![first.clone()], vec![pending(second.begun.clone()), second.clone()], vec![second, first]] {
        record(&database.store, &batch).await.unwrap();
        assert_eq!(state().await, expected);
    }
    check_totals(database).await;
}

async fn a_nul_in_a_long_body_is_replaced(database: &Database) {
    let clean = asked("clean", 1, &prose(10_000, 1));
    let with_nul = prose(10_000, 1) + "\0" + &prose(5_000, 2);
    let mut odd = repeating("odd", 1, &with_nul, &clean);
    odd.ended.as_mut().unwrap().response_body = Some(with_nul.clone());
    odd.ended.as_mut().unwrap().upstream_request = Some(with_nul.clone());
    let after = repeating("after", 1, &prose(15_000, 1), &odd);
    record(&database.store, &[clean, odd, after]).await.unwrap();
    let expected = with_nul.replace('\0', "\u{fffd}");
    let (request, response) = requests::get(&database.store, &RequestKey::Uuid("odd".to_owned())).await.unwrap();
    assert_eq!((&request.request_body, &request.upstream_request), (&expected, &expected));
    assert_eq!(response.unwrap().response_body, Some(expected));
    assert_eq!(body(database, "after").await, prose(15_000, 1));
}

async fn a_deleted_request_leaves_its_body_to_those_who_share_it(database: &Database) {
    let first = asked("first", 1, &prose(10_000, 1));
    let second = repeating("second", 1, &prose(20_000, 1), &first);
    record(&database.store, &[first.clone(), second.clone()]).await.unwrap();
    requests::delete(&database.store, &RequestKey::Uuid("first".to_owned())).await.unwrap();
    assert_eq!(body(database, "second").await, prose(20_000, 1));
    // A base with this UUID no longer exists.
    record(&database.store, &[repeating("third", 1, &prose(10_000, 1), &first)]).await.unwrap();
    assert_eq!(body(database, "third").await, prose(10_000, 1));
    assert_eq!(chunks(database).await, 3);
    check_totals(database).await;
}

async fn what_is_gone_or_damaged_is_null(database: &Database) {
    let first = asked("first", 1, &prose(10_000, 1));
    let mut second = repeating("second", 1, &prose(20_000, 1), &first);
    second.ended.as_mut().unwrap().upstream_request = Some(prose(20_000, 1) + "!");
    second.ended.as_mut().unwrap().response_body = Some(prose(5_000, 2));
    record(&database.store, &[first, second, asked("other", 1, &prose(5_000, 3))]).await.unwrap();
    let read = async || {
        let (request, response) = requests::get(&database.store, &RequestKey::Uuid("second".to_owned())).await.unwrap();
        let listed = requests::list(&database.store, &Filter::default(), Page::ALL).await.unwrap().items;
        let mut short = request.clone();
        short.request_body = shown(&request.request_body);
        short.upstream_request = shown(&request.upstream_request);
        assert!(listed.iter().any(|(listed, _)| *listed == short));
        assert!(listed.iter().any(|(listed, _)| listed.request_body == prose(5_000, 3)));
        (request.request_body, request.upstream_request, response.unwrap().response_body)
    };
    assert_eq!(read().await, (prose(20_000, 1), prose(20_000, 1) + "!", Some(prose(5_000, 2))));
    let null = || "null".to_owned();
    let zstd_of_2_to_40 = "0128b52ffde00000000000010000";
    for damage in ["", "09", "0100", zstd_of_2_to_40] {
        let blob = match database.store.kind() {
            signalbox_store::Kind::Sqlite => format!("x'{damage}'"),
            signalbox_store::Kind::Postgres => format!("'\\x{damage}'"),
        };
        let damage = format!("UPDATE bodies SET bytes = {blob} WHERE request_id <= 2");
        database.execute(&damage).await;
        assert_eq!(read().await, (null(), null(), None));
    }
    database.execute("DELETE FROM bodies WHERE request_id <= 2").await;
    assert_eq!(read().await, (null(), null(), None));
    for pieces in ["", "[[0,3,0,9999999]]", "[[0,3,9,-1]]", "[[0,3,18446744073709551615,1]]", "[[0,99999]]", "[0]"] {
        database.execute(&format!("UPDATE requests SET pieces = '{pieces}' WHERE request_id = 'second'")).await;
        assert_eq!(read().await, (null(), null(), None));
    }
}

/// An operation on the log.
#[derive(Clone, Debug)]
enum Event {
    /// A new request: an earlier body, cut at two positions (in 1/256 of its length), with new bytes in between.
    Asks { of: usize, cut: (u8, u8), new: usize, at: i64, claim: bool },
    /// A request is deleted.
    Deletes(usize),
    /// The limit for the total size of bodies is lowered to this many bytes.
    Shrinks(i64),
    /// The waiting requests are written, shuffled and partly twice.
    Writes(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let asks = (0..100_usize, any::<(u8, u8)>(), 0..6000_usize, 0..3 * DAY, prop::bool::weighted(0.9))
        .prop_map(|(of, cut, new, at, claim)| Event::Asks { of, cut, new, at, claim });
    prop_oneof![
        12 => asks,
        1 => (0..100_usize).prop_map(Event::Deletes),
        2 => (0..20_000_i64).prop_map(Event::Shrinks),
        3 => any::<u64>().prop_map(Event::Writes),
    ]
}

fn cut(text: &str, at: u8) -> usize {
    (text.len() * usize::from(at) / 255..).find(|&at| text.is_char_boundary(at)).unwrap()
}

fn ask(index: usize, history: &[Exchange], event: &Event) -> Exchange {
    let Event::Asks { of, cut: (one, two), new, at, claim } = event else { panic!("{event:?}") };
    let id = index.to_string();
    let Some(base) = history.len().checked_sub(1).map(|last| &history[of.min(&last).to_owned()]) else {
        return asked(&id, *at, &prose(20_000, index));
    };
    let said = &base.begun.request_body;
    let (from, to) = (cut(said, *one.max(two)), cut(said, *one.min(two)));
    let body = format!("{}{}{}", &said[..from], prose(*new, index), &said[to..]);
    let body = if body.len() > 60_000 { prose(9_000, index) } else { body };
    let mut asked = if *claim { repeating(&id, *at, &body, base) } else { asked(&id, *at, &body) };
    if index.is_multiple_of(3) {
        asked.ended = Some(ExchangeEnd {
            upstream_request: Some(body.replacen('é', "model", 1)),
            response_body: Some(prose(*new, index)),
            ..ended(at + 1)
        });
    }
    asked
}

async fn any_history_is_read_as_it_was_written(database: &Database) {
    let mut runner = TestRunner::deterministic();
    for round in 0..12 {
        let events = prop::collection::vec(event(), 10..60).new_tree(&mut runner).unwrap().current();
        play(database, &events).await.unwrap_or_else(|id| panic!("round {round}: request {id} of {events:#?}"));
        for id in 0..events.len() {
            drop(requests::delete(&database.store, &RequestKey::Uuid(id.to_string())).await);
        }
        check_totals(database).await;
        assert_eq!(chunks(database).await, 0);
    }
}

/// Runs the events. `Err` contains the request that was read differently from how it was written.
async fn play(database: &Database, events: &[Event]) -> Result<(), String> {
    let (mut history, mut waiting) = (Vec::new(), Vec::<Exchange>::new());
    let mut expected = BTreeMap::<String, Exchange>::new();
    for event in events.iter().chain([&Event::Writes(7)]) {
        match event {
            Event::Asks { .. } => {
                let asked = ask(history.len(), &history, event);
                history.push(asked.clone());
                waiting.push(asked);
            }
            Event::Deletes(index) => {
                let id = index.to_string();
                if expected.remove(&id).is_some() {
                    requests::delete(&database.store, &RequestKey::Uuid(id)).await.unwrap();
                }
            }
            Event::Shrinks(most) => {
                let policy =
                    retention::RetentionPolicy { max_body_bytes: Some(*most), ..retention::RetentionPolicy::default() };
                while !retention::step(&database.store, &policy, 0).await.unwrap().done {}
                // Bodies written before may have been removed; later ones must not be.
                expected.retain(|_, exchange| exchange.begun.request_body.len() < 4096);
                expected.values_mut().for_each(|exchange| exchange.ended = None);
            }
            Event::Writes(order) => {
                let mut batch: Vec<Exchange> = waiting.iter().map(|asked| pending(asked.begun.clone())).collect();
                let some = usize::try_from(order % 7).unwrap();
                batch.extend(waiting.iter().cloned());
                batch.extend(expected.values().take(some).map(|asked| pending(asked.begun.clone())));
                if order % 3 == 0 {
                    let by = some.min(batch.len());
                    batch.rotate_left(by);
                }
                if order % 5 == 0 {
                    batch.reverse();
                }
                for batch in batch.chunks(1 + some * 3) {
                    record(&database.store, batch).await.unwrap();
                }
                expected.extend(waiting.drain(..).map(|asked| (asked.begun.request_id.clone(), asked)));
            }
        }
    }
    for (id, exchange) in expected {
        let (request, response) = requests::get(&database.store, &RequestKey::Uuid(id.clone())).await.unwrap();
        if request.request_body != *exchange.begun.request_body {
            return Err(id);
        }
        let Some(end) = exchange.ended else { continue };
        let upstream = end.upstream_request.unwrap_or_else(|| "null".to_owned());
        if request.upstream_request != upstream || response.unwrap().response_body != end.response_body {
            return Err(id);
        }
    }
    Ok(())
}

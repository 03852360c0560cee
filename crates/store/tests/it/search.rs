use std::time::Duration;

use serde_json::{Value, json};
use signalbox_store::exchanges::record;
use signalbox_store::requests::{Filter, SearchLimits, search};

use crate::bodies::{asked, prose, repeating};
use crate::exchanges::pending;
use crate::fixture::{Database, on_both};

on_both!(what_was_said_is_found_in_every_place_a_body_can_be, a_search_stops_and_goes_on);

const WIDE: SearchLimits = SearchLimits { found: 1000, read: 10_000, bytes: usize::MAX, time: Duration::from_secs(60) };

fn talk(texts: &[&str]) -> String {
    let messages: Vec<Value> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
    json!({"model": "needle", "messages": messages}).to_string()
}

async fn found(database: &Database, text: &str) -> Vec<String> {
    let found = search(&database.store, &Filter::default(), text, 0, WIDE).await.unwrap();
    assert_eq!(found.next, None);
    found.items.into_iter().map(|(request, _)| request.request_id).collect()
}

async fn what_was_said_is_found_in_every_place_a_body_can_be(database: &Database) {
    let long = prose(20_000, 1);
    let first = asked("in-a-chunk", 1000, &talk(&[&long, "the needle in the first"]));
    let second = repeating(
        "in-pieces",
        2000,
        &talk(&[&long, "the needle in the first", &prose(9000, 2), "and a thimble"]),
        &first,
    );
    let mut short = asked("in-its-row", 3000, &talk(&["a NEEDLE"]));
    let mut answered = asked("in-its-answer", 4000, &talk(&["?"]));
    let mut long_answer = asked("in-a-long-answer", 5000, &talk(&["?"]));
    let say = |text: &str| Some(json!({"choices": [{"message": {"role": "assistant", "content": text}}]}).to_string());
    short.ended.as_mut().unwrap().response_body = say("no");
    answered.ended.as_mut().unwrap().response_body = say("Needles!");
    long_answer.ended.as_mut().unwrap().response_body = say(&format!("{long} needle"));
    let off = asked("off", 6000, "null");
    let redacted = asked("redacted", 7000, &talk(&["[6 characters]"]));
    let not_yet = pending(asked("not-answered", 8000, &talk(&["needle"])).begun);
    let all = [first, second, short, answered, long_answer, off, redacted, not_yet];
    record(&database.store, &all).await.unwrap();

    let everywhere = ["not-answered", "in-a-long-answer", "in-its-answer", "in-its-row", "in-pieces", "in-a-chunk"];
    assert_eq!(found(database, "needle").await, everywhere);
    assert_eq!(found(database, "THIMBLE").await, ["in-pieces"]);
    assert_eq!(found(database, "6 characters").await, [""; 0], "the length of a text is not searched");
    assert_eq!(found(database, "assistant").await, [""; 0], "a role is not searched");
    let filter = Filter { session_id: Some("in-pieces".to_owned()), ..Filter::default() };
    let narrow = search(&database.store, &filter, "needle", 0, WIDE).await.unwrap();
    assert_eq!((narrow.items.len(), narrow.read, narrow.total), (1, 1, 1));

    // A deleted body is not searched, and does not stop the search.
    database.execute("DELETE FROM bodies").await;
    assert_eq!(found(database, "needle").await, ["not-answered", "in-its-answer", "in-its-row"]);
}

async fn a_search_stops_and_goes_on(database: &Database) {
    let log: Vec<_> =
        (0..100).map(|n| asked(&format!("{n:03}"), 1000 + n, &talk(&[&format!("number {}", n % 50)]))).collect();
    record(&database.store, &log).await.unwrap();
    for bounds in [
        SearchLimits { found: 1, ..WIDE },
        SearchLimits { read: 1, ..WIDE },
        SearchLimits { time: Duration::ZERO, ..WIDE },
        SearchLimits { bytes: 1, ..WIDE },
        SearchLimits { found: 1, read: 30, ..WIDE },
    ] {
        let (mut filter, mut ids, mut read) = (Filter::default(), Vec::new(), 0);
        loop {
            let found = search(&database.store, &filter, "NUMBER 7", 0, bounds).await.unwrap();
            assert!(found.read > 0 || found.next.is_none(), "the search advances");
            assert_eq!(found.total, 100);
            assert!(found.read < bounds.read.saturating_add(16) && found.items.len() <= bounds.found, "{bounds:?}");
            read += found.read;
            ids.extend(found.items.into_iter().map(|(request, _)| request.request_id));
            let Some(next) = found.next else { break };
            filter.after = Some(next);
        }
        let skipped = search(&database.store, &Filter::default(), "number 7", 50, WIDE).await.unwrap();
        assert_eq!((skipped.items.len(), skipped.read, skipped.total), (1, 50, 100));
        assert_eq!((ids.join(" "), read), ("057 007".to_owned(), 100), "{bounds:?}");
    }
}

use proptest::prelude::*;

use super::*;
use crate::qwen::event::Phase;

/// Returns the events of a stream that arrives in these pieces. As in production, all events of a read are taken before
/// the next read.
fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut reader = EventReader::new();
    let mut events = Vec::new();
    for piece in pieces {
        reader.push(Bytes::copy_from_slice(piece)).unwrap();
        events.extend(std::iter::from_fn(|| reader.pop()));
    }
    reader.finish();
    events.extend(std::iter::from_fn(|| reader.pop()));
    events
}

fn word(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\",\"phase\":\"answer\"}}}}]}}\n\n")
}

fn stream() -> Vec<String> {
    let mut stream = vec!["data: {\"response.created\":{\"chat_id\":\"c\",\"parent_id\":\"p\"}}\n\n".to_owned()];
    stream.extend(["one ", "two ", "\\ud83d", "\\ude00 three ", "", "four ", "é"].map(word));
    stream.push(": a comment\n\n".to_owned());
    stream.push("data: {\"choices\":[{\"delta\":{\"content\":\"\",\"status\":\"finished\"}}]}\n\n".to_owned());
    stream
}

#[test]
fn joined_events_give_the_same_answer() {
    let stream = stream();
    let apart = events(stream.iter().map(|event| event.as_bytes()));
    let text: String = apart
        .iter()
        .map(|event| match event {
            Event::Delta { text, phase: Phase::Answer, .. } => text.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(text, "one two \u{1F600} three four é");
    assert_eq!(apart.last(), Some(&Event::Finished { text: String::new(), usage: None }));
    // Each bit stands for a boundary between two events: if it is set, a read ends there.
    for joins in 0..1_u32 << (stream.len() - 1) {
        let mut reads = vec![String::new()];
        for (index, event) in stream.iter().enumerate() {
            reads.last_mut().unwrap().push_str(event);
            if joins >> index & 1 == 1 {
                reads.push(String::new());
            }
        }
        assert_eq!(events(reads.iter().map(|read| read.as_bytes())), apart, "{reads:?}");
    }
}

#[test]
fn events_split_anywhere_give_the_same_answer() {
    let stream = stream().concat();
    for stream in [stream.clone(), stream.replace('\n', "\r\n"), stream.replace('\n', "\r")] {
        let stream = stream.as_bytes();
        let whole = events([stream]);
        assert_eq!(whole.len(), 9);
        for at in 0..=stream.len() {
            assert_eq!(events([&stream[..at], &stream[at..]]), whole, "cut at {at}");
        }
        assert_eq!(events(stream.chunks(1)), whole);
    }
}

#[test]
fn the_last_event_needs_no_blank_line() {
    let stream = stream().concat();
    assert_eq!(events([stream.trim_end().as_bytes()]), events([stream.as_bytes()]));
}

#[test]
fn a_line_may_be_as_long_as_an_answer() {
    let text = "x".repeat(3 << 20);
    let stream = word(&text) + &word("y");
    let read = events(stream.as_bytes().chunks(16 << 10));
    let [Event::Delta { text: first, .. }, Event::Delta { text: second, .. }] = &*read else { panic!("two events") };
    assert!(*first == text && second == "y");
}

#[test]
fn events_before_an_oversized_event_are_kept() {
    let mut reader = EventReader::new();
    reader.push(Bytes::from(word("one"))).unwrap();
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let refused = (0..=MAX_EVENT >> 20).find_map(|_| reader.push(piece.clone()).err());
    assert!(matches!(refused, Some(Failure::Unreadable(_))));
    assert!(matches!(reader.pop(), Some(Event::Delta { .. })));
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_answer(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let stream = stream().concat();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        at.sort_unstable();
        at.push(stream.len());
        let mut from = 0;
        let pieces = at.into_iter().map(|to| &stream.as_bytes()[std::mem::replace(&mut from, to)..to]);
        prop_assert_eq!(events(pieces), events([stream.as_bytes()]));
    }
}

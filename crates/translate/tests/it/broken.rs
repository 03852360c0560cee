//! Streams as bytes: cut anywhere, with events twice, missing, out of order, or of another API, and arbitrary bytes.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use signalbox_core::sse::Splitter;
use signalbox_translate::hub::{Answer, Event, Fold};
use signalbox_translate::{
    Api, Decoder, EmitOptions, Emitter, Target, read_answer, read_request, write_answer, write_request,
};

use super::requests;
use super::streams::{APIS, answer};
use signalbox_grammar::{self as grammar, frames};

/// Pieces of the framing of events.
const PIECES: [&str; 8] = ["data: ", "\n\n", "\r\n", "event: ", "{\"type\":\"", "\"}", "[DONE]", "{\"choices\":["];

/// A change of a list of events.
#[derive(Clone, Debug)]
enum Edit {
    Double(Index),
    Swap(Index, Index),
    Remove(Index),
    /// An event of another stream.
    Insert(Index, usize, Index),
    /// Arbitrary bytes within an event.
    Bytes(Index, Index, Vec<u8>),
    /// The end of the stream, in the middle of an event.
    Cut(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        3 => at().prop_map(Edit::Double),
        2 => (at(), at()).prop_map(|(one, other)| Edit::Swap(one, other)),
        2 => at().prop_map(Edit::Remove),
        3 => (at(), 0_usize..3, at()).prop_map(|(at, api, event)| Edit::Insert(at, api, event)),
        1 => (at(), at(), prop::collection::vec(any::<u8>(), 1..6)).prop_map(|(at, to, bytes)| Edit::Bytes(at, to, bytes)),
        1 => (at(), at()).prop_map(|(at, to)| Edit::Cut(at, to)),
    ]
}

/// Writes an answer as the events of a stream.
fn events(api: Api, answer: &Answer) -> Vec<Vec<u8>> {
    let mut emitter = Emitter::new(
        api,
        EmitOptions { id: "1".into(), include_usage: true, summaries: true, ..EmitOptions::default() },
    );
    let mut out = Vec::new();
    answer.clone().into_events().into_iter().for_each(|event| emitter.push(event, &mut out));
    let text = String::from_utf8(out).unwrap();
    text.split_inclusive("\n\n").map(|event| event.as_bytes().to_vec()).collect()
}

fn apply(edits: &[Edit], list: &mut Vec<Vec<u8>>, others: &[Vec<Vec<u8>>]) {
    for edit in edits {
        if list.is_empty() {
            return;
        }
        let len = list.len();
        match edit {
            Edit::Double(at) => {
                let event = list[at.index(len)].clone();
                list.insert(at.index(len), event);
            }
            Edit::Swap(one, other) => list.swap(one.index(len), other.index(len)),
            Edit::Remove(at) => drop(list.remove(at.index(len))),
            Edit::Insert(at, api, event) => {
                let other = &others[*api];
                list.insert(at.index(len), other[event.index(other.len())].clone());
            }
            Edit::Bytes(at, to, bytes) => {
                let event = &mut list[at.index(len)];
                let to = to.index(event.len() + 1);
                event.splice(to..to, bytes.iter().copied());
            }
            Edit::Cut(at, to) => {
                list.truncate(at.index(len) + 1);
                if let Some(event) = list.last_mut().filter(|event| !event.is_empty()) {
                    event.truncate(to.index(event.len()));
                }
            }
        }
    }
}

/// Reads a stream that arrives in chunks of the given sizes, over and over.
fn decode(api: Api, stream: &[u8], sizes: &[usize]) -> Vec<Event> {
    let (mut splitter, mut decoder, mut out) = (Splitter::new(1 << 20), Decoder::new(api, "1"), Vec::new());
    let mut push = |frame: signalbox_core::sse::Frame, out: &mut Vec<Event>| {
        if let Some(data) = frame.data() {
            decoder.push(frame.event().and_then(|name| std::str::from_utf8(name).ok()), &data, out);
        }
    };
    let (mut rest, mut sizes) = (stream, sizes.iter().cycle());
    while !rest.is_empty() {
        let (chunk, more) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        splitter.push(chunk.to_vec().into());
        rest = more;
        while let Some(frame) = splitter.next_frame().unwrap() {
            push(frame, &mut out);
        }
    }
    while let Some(frame) = splitter.finish() {
        push(frame, &mut out);
    }
    decoder.finish(&mut out);
    out
}

/// Checks that an answer has one end, and that every client gets a stream of its grammar.
fn check(events: &[Event]) -> Result<(), TestCaseError> {
    let is_end = |event: &Event| matches!(event, Event::Finish(_) | Event::Failed(_));
    prop_assert_eq!(events.iter().filter(|event| is_end(event)).count(), 1);
    prop_assert!(events.last().is_some_and(is_end));
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.push(event.clone()));
    let folded = fold.finish();
    prop_assert_eq!(folded.is_ok(), matches!(events.last(), Some(Event::Finish(_))));
    for to in APIS {
        let options = || EmitOptions { id: "1".into(), include_usage: true, ..EmitOptions::default() };
        let (mut emitter, mut out) = (Emitter::new(to, options()), Vec::new());
        events.iter().for_each(|event| emitter.push(event.clone(), &mut out));
        prop_assert!(emitter.has_ended());
        let said = match to {
            Api::Chat => grammar::chat(&frames(&out), true),
            Api::Messages => grammar::messages(&frames(&out)),
            Api::Responses => grammar::responses(&frames(&out)),
        };
        prop_assert!(said.end.is_some());
        if let Ok(answer) = &folded {
            let (body, _) = write_answer(to, answer.clone(), options()).unwrap();
            prop_assert!(read_answer(to, &body).is_ok(), "{}", String::from_utf8_lossy(&body));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_broken_stream_has_one_end(answer in answer(), other in answer(), edits in prop::collection::vec(edit(), 0..6),
        sizes in prop::collection::vec(1_usize..40, 1..8)) {
        let others: Vec<_> = APIS.into_iter().map(|api| events(api, &other)).collect();
        for api in APIS {
            let mut list = events(api, &answer);
            apply(&edits, &mut list, &others);
            let stream = list.concat();
            let read = decode(api, &stream, &sizes);
            // The borders of chunks mean nothing.
            prop_assert_eq!(&decode(api, &stream, &[usize::MAX]), &read);
            check(&read)?;
        }
    }

    #[test]
    fn arbitrary_bytes_have_one_end(pieces in prop::collection::vec(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..24),
        prop::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
    ], 0..24), sizes in prop::collection::vec(1_usize..9, 1..4)) {
        let stream = pieces.concat();
        for api in APIS {
            let read = decode(api, &stream, &sizes);
            prop_assert!(matches!(read.last(), Some(Event::Failed(_) | Event::Finish(_))));
            check(&read)?;
        }
    }

    #[test]
    fn a_broken_request_is_read_or_refused(request in requests::all_kinds(Api::Responses), at in any::<Index>(),
        to in any::<Index>(), bytes in prop::collection::vec(any::<u8>(), 0..4)) {
        for from in APIS {
            let Ok(written) = write_request(from, &request, &Target::default()) else { continue };
            let mut body = written.body;
            let (at, to) = (at.index(body.len()), to.index(body.len()));
            body.splice(at.min(to)..at.max(to).min(at.min(to) + 8), bytes.iter().copied());
            let Ok(read) = read_request(from, &body) else { continue };
            for to in APIS {
                if let Ok(written) = write_request(to, &read, &Target::default()) {
                    prop_assert!(serde_json::from_slice::<Value>(&written.body).is_ok());
                }
            }
        }
    }
}

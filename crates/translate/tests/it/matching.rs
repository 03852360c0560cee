//! Texts and calls of a provider of Responses are passed on once, with any ids and indices.

use proptest::prelude::*;
use serde_json::{Value, json};
use signalbox_translate::{Api, Decoder, EmitOptions, Emitter, read_answer, write_answer};

use super::provider::{Form, IDS, INDICES, Ids, Item, PLAIN, Provider, body};
use signalbox_grammar::{self as grammar, Said};

const APIS: [Api; 3] = [Api::Chat, Api::Messages, Api::Responses];

fn options() -> EmitOptions {
    EmitOptions { id: "1".into(), summaries: true, ..EmitOptions::default() }
}

fn said(to: Api, out: &[u8]) -> Said {
    let frames = grammar::frames(out);
    match to {
        Api::Chat => grammar::chat(&frames, false),
        Api::Messages => grammar::messages(&frames),
        Api::Responses => grammar::responses(&frames),
    }
}

fn streamed(to: Api, events: &[Value]) -> Said {
    let (mut decoder, mut emitter) = (Decoder::new(Api::Responses, "1"), Emitter::new(to, options()));
    let (mut read, mut out) = (Vec::new(), Vec::new());
    for event in events {
        decoder.push(None, event.to_string().as_bytes(), &mut read);
        read.drain(..).for_each(|event| emitter.push(event, &mut out));
    }
    assert!(decoder.is_complete());
    decoder.finish(&mut read);
    read.drain(..).for_each(|event| emitter.push(event, &mut out));
    said(to, &out)
}

/// Checks texts, thinking and calls of a stream, in their order.
fn check(form: Form, items: &[Item], events: &[Value]) {
    let joined = |is_it: fn(&Item) -> bool| items.iter().filter(|item| is_it(item)).map(Item::text).collect::<String>();
    let text = joined(|item| matches!(item, Item::Message(_)));
    let thinking = joined(|item| matches!(item, Item::Reasoning(_)));
    let calls: Vec<(String, Value)> = items
        .iter()
        .filter_map(|item| match item {
            Item::Call(name, input) => Some((name.clone(), json!(input))),
            Item::Custom(name, input) => Some((name.clone(), json!(input))),
            _ => None,
        })
        .collect();
    for to in APIS {
        let said = streamed(to, events);
        assert_eq!(said.text, text, "{to:?} {form:?}");
        assert_eq!(said.thinking.replace("\n\n", ""), thinking, "{to:?} {form:?}");
        let found: Vec<(String, Value)> = said
            .calls
            .iter()
            .map(|(_, name, input)| {
                let wrapped =
                    serde_json::from_str::<Value>(input).ok().filter(|_| name == "custom" && to == Api::Messages);
                (name.clone(), wrapped.map_or_else(|| json!(input), |input| input["input"].clone()))
            })
            .collect();
        assert_eq!(found, calls, "{to:?} {form:?}");
        let ids: std::collections::HashSet<&String> = said.calls.iter().map(|(id, ..)| id).collect();
        assert_eq!(ids.len(), calls.len());
        assert!(ids.iter().all(|id| !id.is_empty()));
    }
}

fn call(name: &str, number: u32) -> Item {
    Item::Call(name.into(), format!("{{\"n\":{number}}}"))
}

fn message(text: &str) -> Item {
    Item::Message(text.into())
}

/// Answers with items of all types, of one type, and with equal texts.
fn answers() -> Vec<Vec<Item>> {
    vec![
        vec![message("TEXT")],
        vec![message("TE"), message("XT")],
        vec![message("same"), message("same")],
        vec![call("f", 1), call("g", 2)],
        vec![call("f", 1), call("f", 1)],
        vec![
            Item::Reasoning("R1".into()),
            message("TE"),
            call("f", 1),
            Item::Reasoning("R2".into()),
            message("XT"),
            Item::Custom("custom".into(), "raw text".into()),
            call("g", 2),
        ],
    ]
}

#[test]
fn items_are_told_apart_whatever_their_ids_and_indices_are() {
    for items in answers() {
        for (ids, indices) in IDS.into_iter().flat_map(|ids| INDICES.map(|indices| (ids, indices))) {
            for bits in 0..8_u32 {
                let form = Form {
                    ids,
                    indices,
                    has_new_calls: bits & 1 > 0,
                    has_text_done: bits & 2 > 0,
                    has_final: bits & 4 > 0,
                    ..PLAIN
                };
                check(form, &items, &Provider::stream(form, &items));
            }
        }
    }
}

#[test]
fn items_that_never_end_are_told_apart_by_ids_or_indices() {
    for items in answers() {
        for (ids, indices) in IDS.into_iter().flat_map(|ids| INDICES.map(|indices| (ids, indices))) {
            // Without an end, something must tell that a further item has begun.
            for has_final in [true, false] {
                let form = Form { ids, indices, has_done: false, has_final, ..PLAIN };
                check(form, &items, &Provider::stream(form, &items));
            }
        }
    }
}

#[test]
fn items_without_a_beginning_are_kept() {
    for items in answers() {
        for (has_done, has_final) in [(true, true), (true, false), (false, true)] {
            let form = Form { has_added: false, has_done, has_final, ..PLAIN };
            check(form, &items, &Provider::stream(form, &items));
        }
    }
    let form = Form { has_added: false, has_done: false, has_final: false, ..PLAIN };
    let items = [message("Hello "), message("world")];
    check(form, &items, &Provider::stream(form, &items));
}

#[test]
fn a_text_that_an_item_begins_with_is_said_once() {
    for items in answers() {
        for repeats in [true, false] {
            for (has_done, has_final, has_text_done) in
                [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
            {
                let form = Form { announced: Some(repeats), has_done, has_final, has_text_done, ..PLAIN };
                check(form, &items, &Provider::stream(form, &items));
            }
        }
    }
    // Deltas that follow the text that the item began with.
    for done in [true, false] {
        let mut events = Provider::stream(
            Form { has_final: false, has_done: done, has_text_done: false, ..PLAIN },
            &[message("lo world")],
        );
        events[1]["item"]["content"] = json!([{"type": "output_text", "text": "Hel"}]);
        if done {
            let at = events.len() - 2;
            events[at]["item"]["content"][0]["text"] = json!("Hello world");
        }
        check(PLAIN, &[message("Hello world")], &events);
    }
}

#[test]
fn repeated_and_misplaced_events_change_nothing() {
    let items = [message("Hello "), call("f", 1), message("world")];
    let plain = Provider::stream(PLAIN, &items);
    let is_of = |event: &Value, kind: &str, at: usize| {
        event["type"] == format!("response.{kind}") && event["output_index"] == at
    };
    for (kind, at) in
        [("output_item.added", 0), ("output_item.done", 0), ("output_item.done", 1), ("output_text.done", 2)]
    {
        let twice = plain.iter().flat_map(|event| vec![event.clone(); if is_of(event, kind, at) { 2 } else { 1 }]);
        let twice: Vec<Value> = (0..)
            .zip(twice)
            .map(|(number, mut event): (u32, _)| {
                event["sequence_number"] = json!(number);
                event
            })
            .collect();
        check(PLAIN, &items, &twice);
    }
    // Pieces that name the call instead of its item, and the announcements of all items before their pieces.
    let mut named = plain.clone();
    for event in named.iter_mut().filter(|event| event["type"].as_str().unwrap().contains("arguments")) {
        event["item_id"] = json!("call_1");
    }
    check(PLAIN, &items, &named);
    let (mut first, rest): (Vec<Value>, Vec<Value>) =
        plain.iter().skip(1).cloned().partition(|event| event["type"] == "response.output_item.added");
    first.reverse();
    let all: Vec<Value> = plain[..1].iter().cloned().chain(first).chain(rest).collect();
    assert_eq!(streamed(Api::Responses, &all).calls.len(), 1);
    assert_eq!(streamed(Api::Messages, &all).text.len(), "Hello world".len());
}

#[test]
fn parts_of_a_message_may_share_their_index() {
    for indices in [[0, 1], [0, 0], [1, 2], [1, 1]] {
        for has_done in [true, false] {
            let mut events = vec![json!({"type": "response.created", "response": {"id": "r", "model": "m"}})];
            let parts = [json!({"type": "output_text", "text": "He"}), json!({"type": "output_text", "text": "llo"})];
            let item = json!({"type": "message", "id": "a", "role": "assistant", "content": parts});
            events.push(json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "a", "content": []}}));
            for (part, index) in parts.iter().zip(indices) {
                let mut push = |kind: &str, field: &str, value: Value| {
                    let mut event = json!({"type": format!("response.{kind}"), "item_id": "a", "output_index": 0, "content_index": index});
                    event[field] = value;
                    events.push(event);
                };
                push("content_part.added", "part", json!({"type": "output_text", "text": ""}));
                push("output_text.delta", "delta", part["text"].clone());
                push("output_text.done", "text", part["text"].clone());
                push("content_part.done", "part", part.clone());
            }
            if has_done {
                events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
            }
            events.push(json!({"type": "response.completed", "response": body(&[item])}));
            check(PLAIN, &[message("Hello")], &events);
        }
    }
}

/// Streams two messages whose events take turns.
fn interleaved(form: Form, items: &[Item; 2]) -> Vec<Value> {
    let all = Provider::stream(form, items);
    let (begin, end) = (all[0].clone(), all[all.len() - 1].clone());
    let per_item = (all.len() - 2) / 2;
    let (first, second) = all[1..all.len() - 1].split_at(per_item);
    let turns = first.iter().zip(second).flat_map(|(one, other)| [one.clone(), other.clone()]);
    std::iter::once(begin).chain(turns).chain([end]).collect()
}

#[test]
fn items_that_take_turns_are_not_mixed() {
    let items = [message("Hello "), message("world!")];
    for ids in IDS {
        for has_final in [true, false] {
            let form = Form { ids, has_final, ..PLAIN };
            check(form, &items, &interleaved(form, &items));
        }
    }
    for indices in INDICES {
        for ids in [Ids::Distinct, Ids::OtherInFinal] {
            let form = Form { ids, indices, ..PLAIN };
            check(form, &items, &interleaved(form, &items));
        }
    }
    let calls = [call("f", 1), call("g", 2)];
    let form = Form { ids: Ids::Rotating, ..PLAIN };
    check(form, &calls, &interleaved(form, &calls));
}

#[test]
fn whole_answers_say_the_same_as_streams() {
    for items in answers() {
        for ids in IDS {
            let provider = Provider { form: Form { ids, ..PLAIN }, events: Vec::new() };
            let whole = body(&provider.output(&items));
            for to in APIS {
                let answer = read_answer(Api::Responses, whole.to_string().as_bytes()).unwrap();
                assert_eq!(answer.blocks.len(), items.len(), "{ids:?}");
                let (out, _) = write_answer(to, answer, options()).unwrap();
                let out = String::from_utf8(out).unwrap();
                for item in &items {
                    let text = json!(item.text()).to_string();
                    assert!(
                        matches!(item, Item::Call(..)) || out.contains(text.trim_matches('"')) || out.contains("TEXT"),
                        "{out}"
                    );
                }
                let events = [
                    json!({"type": "response.created", "response": {"id": "r", "model": "m"}}),
                    json!({"type": "response.completed", "response": whole}),
                ];
                check(provider.form, &items, &events);
            }
        }
    }
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        "[a-c]{1,6}".prop_map(Item::Reasoning),
        "[a-c ]{0,3}[a-c]{1,4}".prop_map(Item::Message),
        ("[fg]", 0..3_u32).prop_map(|(name, number)| Item::Call(name, format!("{{\"n\":{number}}}"))),
        "[a-c]{1,4}".prop_map(|input| Item::Custom("custom".into(), input)),
    ]
}

fn form() -> impl Strategy<Value = Form> {
    let bits = (any::<bool>(), any::<bool>(), any::<bool>(), prop::option::of(any::<bool>()));
    (prop::sample::select(&IDS[..]), prop::sample::select(&INDICES[..]), bits).prop_map(
        |(ids, indices, (has_new_calls, has_text_done, has_final, announced))| Form {
            ids,
            indices,
            has_new_calls,
            has_text_done,
            has_final,
            announced,
            ..PLAIN
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn all_is_said_once(form in form(), items in prop::collection::vec(item(), 1..7)) {
        check(form, &items, &Provider::stream(form, &items));
    }
}

//! Tests of streams of Messages and Responses that break off.

use serde_json::json;

use super::*;

/// Returns an event of the type that its data name.
fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

/// Returns the data of the events.
fn data_of(stream: &str) -> Vec<Value> {
    stream.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

/// Returns a message that begins with this block, without an end.
fn message(id: &str, block: &Value) -> String {
    let start = json!({"type": "message_start", "message": {"id": id}});
    event(&start) + &event(&json!({"type": "content_block_start", "index": 0, "content_block": block}))
}

fn delta(delta: &Value) -> String {
    event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
}

#[test]
fn the_signature_of_a_thought_reaches_the_client_once() {
    let thought = |id: &str, text: &str| {
        message(id, &json!({"type": "thinking", "thinking": "", "signature": ""}))
            + &delta(&json!({"type": "thinking_delta", "thinking": text}))
    };
    let signature = |text: &str| delta(&json!({"type": "signature_delta", "signature": text}));
    let rest = format!("{MESSAGES_END}{MESSAGE_STOP}");
    for (first, expected) in [
        // It broke off right behind the thought, or behind its signature.
        (thought("a", "hm"), ["b"]),
        (thought("a", "hm") + &signature("a"), ["a"]),
    ] {
        let other = thought("b", "hm") + &signature("b") + &rest;
        let (all, ended, switches) =
            received(Api::Messages, Script::breaking(&first), vec![Some(Script::texts([other]))]);
        let signatures: Vec<String> =
            data_of(&all).iter().filter_map(|event| event["delta"]["signature"].as_str().map(str::to_owned)).collect();
        assert_eq!((ended, switches), (true, 1), "{all}");
        assert_eq!(signatures, expected, "{all}");
        assert!(all.starts_with(&first) && all.ends_with(&rest), "{all}");
    }
}

#[test]
fn the_rest_of_a_block_that_begins_with_text_is_a_delta() {
    for kind in ["text", "thinking"] {
        let name = format!("{kind}_delta");
        let first = message("a", &json!({"type": kind, kind: ""})) + &delta(&json!({"type": name, kind: "one "}));
        let other = message("b", &json!({"type": kind, kind: "one two "}))
            + &delta(&json!({"type": name, kind: "three"}))
            + MESSAGES_END
            + MESSAGE_STOP;
        let (all, ended, _) = received(Api::Messages, Script::breaking(&first), vec![Some(Script::texts([other]))]);
        assert!(ended && all.starts_with(&first), "{all}");
        assert_eq!(all.matches("event: content_block_start").count(), 1, "{all}");
        let added = &data_of(&all[first.len()..])[0];
        let expected = json!({"type": "content_block_delta", "index": 0, "delta": {"type": name, kind: "two "}});
        assert_eq!(*added, expected, "{all}");
        assert!(all[first.len()..].starts_with("event: content_block_delta\n"), "{all}");
    }
}

#[test]
fn the_counts_of_a_message_are_those_of_the_target_that_continues_it() {
    let begun = |id: &str, usage: Value| {
        event(&json!({"type": "message_start", "message": {"id": id, "usage": usage}}))
            + &event(&json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}))
    };
    let word = |text: &str| delta(&json!({"type": "text_delta", "text": text}));
    let end = |usage: Value| {
        event(&json!({"type": "content_block_stop", "index": 0}))
            + &event(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}))
            + MESSAGE_STOP
    };
    // A translated stream begins with zeros.
    let zeros = json!({"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0});
    let native = json!({"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 1});
    let whole = json!({"input_tokens": 12, "cache_read_input_tokens": 4, "output_tokens": 20});
    for (first, second, last, expected) in [
        (&zeros, &native, json!({"output_tokens": 20}), (14, 20)),
        (&zeros, &native, json!({"input_tokens": null, "output_tokens": 20}), (14, 20)),
        (&native, &json!({"input_tokens": 11}), json!({"output_tokens": 20}), (15, 20)),
        (&native, &zeros, whole.clone(), (16, 20)),
        (&zeros, &native, whole, (16, 20)),
        (&zeros, &native, Value::Null, (14, 1)),
    ] {
        let first = begun("a", first.clone()) + &word("one ");
        let other = begun("b", second.clone()) + &word("one two") + &end(last.clone());
        let (all, ended, switches) =
            received(Api::Messages, Script::breaking(&first), vec![Some(Script::texts([other]))]);
        assert_eq!((ended, switches), (true, 1), "{all}");
        // As clients and the log add them up.
        let usage = signalbox_core::typed::fold_stream(Api::Messages, &all.clone().into()).usage.unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), expected, "{all}");
    }
}

/// Returns the events of a response, without an end: the first word is a message, and the others are another one.
fn responses(id: &str, words: &[&str]) -> String {
    let mut events = vec![json!({"type": "response.created", "response": {"id": format!("resp_{id}")}})];
    for (n, word) in words.iter().enumerate() {
        let index = n.min(1);
        let item = format!("msg_{id}_{index}");
        if n == index {
            events.push(json!({
                "type": "response.output_item.added",
                "output_index": index,
                "item": {"id": item, "type": "message"},
            }));
        }
        events.push(json!({
            "type": "response.output_text.delta",
            "item_id": item,
            "output_index": index,
            "content_index": 0,
            "delta": word,
        }));
    }
    let numbered = (1..).zip(events).map(|(n, mut data)| {
        data["sequence_number"] = json!(n);
        event(&data)
    });
    numbered.collect()
}

#[test]
fn names_that_a_second_target_gave_are_kept_by_a_third_one() {
    let first = responses("a", &["one "]);
    let second = responses("b", &["one ", "two "]);
    let third = responses("c", &["one ", "two ", "three"])
        + &event(&json!({
            "type": "response.completed",
            "sequence_number": 7,
            "response": {"id": "resp_c", "output": [{"id": "msg_c_0"}, {"id": "msg_c_1"}]},
        }));
    let others = vec![Some(Script::breaking(&second)), Some(Script::texts([third]))];
    let (all, ended, switches) = received(Api::Responses, Script::breaking(&first), others);
    assert_eq!((ended, switches), (true, 2), "{all}");
    let events = data_of(&all);
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>(), "{all}");
    let items: Vec<&str> =
        events.iter().filter_map(|event| event["item_id"].as_str().or_else(|| event["item"]["id"].as_str())).collect();
    assert_eq!(items, ["msg_a_0", "msg_a_0", "msg_b_1", "msg_b_1", "msg_b_1"], "{all}");
    let end = &events.last().unwrap()["response"];
    assert_eq!(*end, json!({"id": "resp_a", "output": [{"id": "msg_a_0"}, {"id": "msg_b_1"}]}));
}

use serde_json::json;
use signalbox_core::Api;
use signalbox_translate::{
    Decoder,
    hub::{Block, CarriedCall, Event, Thinking},
};

use super::*;

fn origin(conversation: u64) -> Origin {
    Origin { scope: 1, maker: Maker { account: 2, model: Some("m".into()) }, conversation }
}

fn carried(id: &str, bytes: usize) -> Carried {
    let thinking = Thinking { text: "x".repeat(bytes), signature: Some("s".into()) };
    Carried { calls: vec![CarriedCall { thinking: vec![Block::Thinking(thinking)], ..CarriedCall::new(id.into()) }] }
}

fn is_found(memory: &ReasoningMemory, id: &str, now: u64) -> bool {
    matches!(memory.find(&origin(3), id, now), Found::Carried(_))
}

#[test]
fn only_the_same_model_account_and_conversation_get_thinking_back() {
    let memory = ReasoningMemory::default();
    memory.keep(origin(3), carried("c", 1), 10);
    assert!(is_found(&memory, "c", 10));
    let of = |change: fn(&mut Origin)| {
        let mut asked = origin(3);
        change(&mut asked);
        match memory.find(&asked, "c", 10) {
            Found::Carried(_) => "carried",
            Found::Foreign(why) => why,
            Found::Unknown => "unknown",
        }
    };
    assert_eq!(of(|_| {}), "carried");
    assert_eq!(of(|asked| asked.scope = 9), "unknown");
    assert_eq!(of(|asked| asked.maker.account = 9), "organization_binding");
    assert_eq!(of(|asked| asked.maker.model = None), "model_binding");
    assert_eq!(of(|asked| asked.conversation = 9), "prefix_binding");
    assert!(!is_found(&memory, "other", 10));
}

#[test]
fn answers_are_forgotten_by_age_number_and_size() {
    let memory = ReasoningMemory::default();
    memory.keep(origin(3), carried("old", 1), 10);
    assert!(is_found(&memory, "old", 9 + TTL_MS) && !is_found(&memory, "old", 10 + TTL_MS));
    memory.keep(origin(3), carried("new", 1), 10 + TTL_MS);
    assert_eq!(memory.kept.lock().unwrap().order.len(), 1, "the old one makes room");

    for n in 0..=MAX_ANSWERS {
        memory.keep(origin(3), carried(&format!("c{n}"), 1), 10 + TTL_MS);
    }
    assert_eq!(memory.kept.lock().unwrap().order.len(), MAX_ANSWERS);
    assert!(!is_found(&memory, "c0", 10 + TTL_MS) && is_found(&memory, "c1", 10 + TTL_MS));

    let memory = ReasoningMemory::default();
    memory.keep(origin(3), carried("too long", MAX_ANSWER_BYTES + 1), 1);
    assert!(!is_found(&memory, "too long", 1));
    let half = MAX_ANSWER_BYTES / 2;
    for n in 0..300 {
        memory.keep(origin(3), carried(&format!("c{n}"), half), 1);
    }
    let kept = memory.kept.lock().unwrap();
    assert!(kept.bytes <= MAX_BYTES && kept.bytes > MAX_BYTES / 2, "{}", kept.bytes);
    assert_eq!(kept.by_call.len(), kept.order.len());
}

#[test]
fn a_call_with_the_id_of_an_earlier_one_replaces_it() {
    let memory = ReasoningMemory::default();
    memory.keep(origin(3), carried("c", 1), 1);
    memory.keep(origin(3), carried("c", 2), 2);
    memory.keep(origin(3), carried("d", 2), 1 + TTL_MS);
    assert!(is_found(&memory, "c", 1 + TTL_MS), "the later one stays");
}

/// Plays a stream of Messages, up to `events`, and returns whether its call is known.
fn played(events: usize, thinking: &str) -> bool {
    let start = |index: usize, block: serde_json::Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |delta: serde_json::Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let stream = [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "m"}}),
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(json!({"type": "thinking_delta", "thinking": thinking})),
        delta(json!({"type": "signature_delta", "signature": "s"})),
        json!({"type": "content_block_stop", "index": 0}),
        start(1, json!({"type": "tool_use", "id": "c", "name": "f", "input": {}})),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ];
    let memory = Arc::new(ReasoningMemory::default());
    let (mut decoder, mut out) = (Decoder::new(Api::Messages, "1"), Vec::<Event>::new());
    for event in &stream[..events] {
        decoder.push(event["type"].as_str(), event.to_string().as_bytes(), &mut out);
    }
    decoder.finish(&mut out);
    let mut recorder = Recorder::new(Arc::clone(&memory), origin(3));
    out.iter().for_each(|event| recorder.push(event));
    match memory.find(&origin(3), "c", health_now()) {
        Found::Carried(carried) => {
            let expected = Thinking { text: thinking.to_owned(), signature: Some("s".into()) };
            assert_eq!(carried.calls[0].thinking, [Block::Thinking(expected)]);
            true
        }
        _ => false,
    }
}

fn health_now() -> u64 {
    crate::health::now()
}

#[test]
fn a_complete_stream_is_kept_and_a_broken_or_endless_one_is_not() {
    assert!(played(9, "t"));
    assert!((0..8).all(|events| !played(events, "t")));
    assert!(!played(9, &"t".repeat(MAX_ANSWER_BYTES + 1)));
}

//! Providers that number events, items or calls in their own way lose nothing.

use signalbox_translate::hub::{Answer, Block, Event, Fold};
use signalbox_translate::{Api, Decoder, read_answer};

fn decoded(api: Api, events: &[String]) -> Answer {
    let mut decoder = Decoder::new(api, "1");
    let (mut out, mut fold) = (Vec::<Event>::new(), Fold::default());
    events.iter().for_each(|event| decoder.push(None, event.as_bytes(), &mut out));
    decoder.finish(&mut out);
    out.into_iter().for_each(|event| fold.push(event));
    fold.finish().unwrap()
}

fn texts(answer: &Answer) -> Vec<&str> {
    let texts = answer.blocks.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn response(numbers: [u64; 5], index: u32, place: &str) -> Vec<String> {
    let message =
        r#"{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"one two"}]}"#;
    vec![
        format!(r#"{{"type":"response.created","sequence_number":{},"response":{{"id":"r"}}}}"#, numbers[0]),
        format!(
            r#"{{"type":"response.output_item.added","sequence_number":{},"output_index":{index},"item":{{"type":"message","id":"msg_1","content":[]}}}}"#,
            numbers[1]
        ),
        format!(
            r#"{{"type":"response.output_text.delta","sequence_number":{},"output_index":{index},"item_id":"msg_1","content_index":0,"delta":"one "}}"#,
            numbers[2]
        ),
        format!(
            r#"{{"type":"response.output_text.delta","sequence_number":{},"output_index":{index},"item_id":"msg_1","content_index":0,"delta":"two"}}"#,
            numbers[3]
        ),
        format!(
            r#"{{"type":"response.completed","sequence_number":{},"response":{{"id":"r","status":"completed","output":[{place}{message}]}}}}"#,
            numbers[4]
        ),
    ]
}

#[test]
fn events_may_have_any_sequence_number() {
    for numbers in [[0, 1, 2, 3, 4], [0; 5], [0, 0, 1, 1, 2], [9, 8, 7, 6, 5], [50, 1, 2, 3, 4], [0, 1, 0, 1, 0]] {
        assert_eq!(texts(&decoded(Api::Responses, &response(numbers, 0, ""))), ["one two"], "{numbers:?}");
    }
    // An event that is sent twice counts once.
    let twice: Vec<String> =
        response([0, 1, 2, 3, 4], 0, "").into_iter().flat_map(|event| [event.clone(), event]).collect();
    assert_eq!(texts(&decoded(Api::Responses, &twice)), ["one two"]);
}

#[test]
fn items_may_have_any_index() {
    assert_eq!(texts(&decoded(Api::Responses, &response([0, 1, 2, 3, 4], 7, ""))), ["one two"]);
    // Two items share an index.
    let search = r#"{"type":"web_search_call","id":"ws_1","status":"completed"},"#;
    let mut events = response([0, 1, 2, 3, 4], 0, search);
    let done =
        format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{}}}"#, search.trim_end_matches(','));
    events.insert(1, done);
    assert_eq!(texts(&decoded(Api::Responses, &events)), ["one two"]);
}

#[test]
fn calls_of_a_whole_answer_need_no_ids() {
    for id in [r#""id":"","#, r#""id":null,"#, r#""id":"call_1","#, ""] {
        let call =
            |name: &str| format!(r#"{{{id}"type":"function","function":{{"name":"{name}","arguments":"{{}}"}}}}"#);
        let body = format!(
            r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":null,"tool_calls":[{},{}]}},"finish_reason":"tool_calls"}}]}}"#,
            call("f"),
            call("g")
        );
        let answer = read_answer(Api::Chat, body.as_bytes()).unwrap();
        let calls = answer.blocks.iter().filter_map(|block| match block {
            Block::ToolCall(call) => Some((call.name.as_str(), call.input.as_str(), !call.id.is_empty())),
            _ => None,
        });
        assert_eq!(calls.collect::<Vec<_>>(), [("f", "{}", true), ("g", "{}", true)], "{id}");
    }
}

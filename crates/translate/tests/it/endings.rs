//! Ends of chat answers: a translated answer ends as one that is passed on as it is.

use serde_json::{Value, json};
use signalbox_core::openai::{EndScanner, Scan};
use signalbox_core::sse::Splitter;
use signalbox_translate::hub::{Block, ErrorClass, Event, Finish, FinishReason, Fold};
use signalbox_translate::{Api, Decoder, EmitOptions, read_answer, write_answer};

/// The outcome of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Complete,
    Failed,
    Incomplete,
}

use Outcome::{Complete, Failed, Incomplete};

const TEXT: &str = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
const BARE: &str = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
const ROLE: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#;
const CALL: &str = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}}]}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const EMPTY: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":""}]}"#;
const FAIL: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}"#;
const ERROR: &str = r#"{"error":{"message":"busy"}}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
const DONE: &str = "[DONE]";

/// Returns the outcome for a client of Chat Completions, whose stream is passed on.
fn passed_on(stream: &str) -> Outcome {
    let mut scanner = EndScanner::new(1);
    let is_complete = match scanner.scan(stream.as_bytes()) {
        Scan::Done(_) => true,
        Scan::Failed(_) => return Failed,
        Scan::Hold(at) if scanner.end(&stream.as_bytes()[at..]).is_some() => return Failed,
        Scan::Pass if scanner.end(b"").is_some() => return Failed,
        Scan::Hold(_) | Scan::Pass => scanner.is_complete(),
    };
    match scanner.ending().failure {
        Some(_) => Failed,
        None if is_complete => Complete,
        None => Incomplete,
    }
}

/// Returns the events of a stream for clients of the other APIs.
fn decoded(stream: &str) -> Vec<Event> {
    let (mut splitter, mut decoder, mut out) = (Splitter::new(usize::MAX), Decoder::new(Api::Chat, "1"), Vec::new());
    splitter.push(stream.as_bytes().to_vec().into());
    while let Some(frame) = splitter.finish() {
        frame.data().into_iter().for_each(|data| decoder.push(None, &data, &mut out));
    }
    decoder.finish(&mut out);
    out
}

fn outcome(events: &[Event]) -> Outcome {
    match events.last() {
        Some(Event::Finish(_)) => Complete,
        Some(Event::Failed(failure)) if failure.class == ErrorClass::Incomplete => Incomplete,
        _ => Failed,
    }
}

#[test]
fn a_stream_has_the_same_outcome_for_the_clients_of_every_api() {
    for (events, expected) in [
        (&[TEXT, STOP, DONE][..], Complete),
        (&[TEXT, STOP], Complete),
        (&[TEXT, STOP, USAGE], Complete),
        (&[TEXT, DONE], Complete),
        (&[BARE, DONE], Complete),
        (&[ROLE, DONE], Complete),
        (&[CALL, DONE], Complete),
        (&[TEXT, EMPTY, DONE], Complete),
        (&[TEXT, USAGE, DONE], Complete),
        (&[TEXT], Incomplete),
        (&[TEXT, EMPTY], Incomplete),
        (&[TEXT, USAGE], Incomplete),
        (&[CALL], Incomplete),
        (&[USAGE], Incomplete),
        (&[TEXT, FAIL], Failed),
        (&[TEXT, FAIL, DONE], Failed),
        (&[TEXT, ERROR], Failed),
        (&[TEXT, ERROR, DONE], Failed),
    ] {
        let stream: String = events.iter().map(|data| format!("data: {data}\n\n")).collect();
        assert_eq!(passed_on(&stream), expected, "{stream}");
        assert_eq!(outcome(&decoded(&stream)), expected, "{stream}");
        // The blank line of the last event is missing, and each line ends with CRLF.
        let joined = stream.trim_end().replace('\n', "\r\n");
        assert_eq!((passed_on(&joined), outcome(&decoded(&joined))), (expected, expected), "{joined}");
    }
}

#[test]
fn an_answer_without_a_finish_reason_has_stopped_or_waits_for_its_calls() {
    let call = json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    for (chunk, message, reason, words) in [
        (TEXT, json!({"content": "a"}), FinishReason::Stop, ["end_turn", "completed"]),
        (CALL, json!({"content": null, "tool_calls": call}), FinishReason::Tool, ["tool_use", "completed"]),
    ] {
        let events = decoded(&format!("data: {chunk}\n\ndata: [DONE]\n\n"));
        assert_eq!(events.last(), Some(&Event::Finish(Finish::new(reason))), "{chunk}");
        for choice in
            [json!({"index": 0, "message": message}), json!({"message": message, "finish_reason": null, "index": 0})]
        {
            let body = json!({"object": "chat.completion", "choices": [choice]}).to_string();
            let answer = read_answer(Api::Chat, body.as_bytes()).unwrap();
            assert_eq!(answer.finish, Finish::new(reason), "{body}");
            for (api, (field, word)) in
                [Api::Messages, Api::Responses].into_iter().zip(["stop_reason", "status"].into_iter().zip(words))
            {
                let (body, losses) = write_answer(api, answer.clone(), EmitOptions::default()).unwrap();
                let body: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(body[field], word, "{body}");
                assert!(losses.to_header().is_empty(), "{}", losses.to_header());
            }
        }
    }
    for nothing in [json!({"choices": []}), json!({"choices": [{"index": 1, "message": {"content": "a"}}]})] {
        assert!(read_answer(Api::Chat, nothing.to_string().as_bytes()).is_err(), "{nothing}");
    }
}

#[test]
fn a_message_that_breaks_off_has_no_counts() {
    let start = json!({"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}});
    let text = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}});
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
    let last = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}});
    let bare = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}});
    let stop = json!({"type": "message_stop"});
    for (events, expected) in [
        (vec![&start, &text, &error], None),
        (vec![&start, &text], None),
        (vec![&start, &text, &last, &stop], Some((3, 2))),
        // No later counts come.
        (vec![&start, &text, &bare, &stop], Some((3, 1))),
    ] {
        let (mut decoder, mut out) = (Decoder::new(Api::Messages, "1"), Vec::new());
        events.iter().for_each(|event| decoder.push(None, event.to_string().as_bytes(), &mut out));
        decoder.finish(&mut out);
        let counts = out.iter().rev().find_map(|event| match event {
            Event::Usage(usage) => Some((usage.prompt(), usage.completion())),
            _ => None,
        });
        assert_eq!(counts, expected, "{events:?}");
    }
}

#[test]
fn content_of_the_beginning_counts_unless_blocks_follow() {
    let start = |content: Value| json!({"type": "message_start", "message": {"content": content}});
    let text = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "later"}});
    let last = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}});
    let stop = json!({"type": "message_stop"});
    let begun = json!([{"type": "text", "text": "begun"}]);
    let call = json!([{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]);
    let is_text = |block: &Block, expected: &str| matches!(block, Block::Text(text) if text.text == expected);
    for (events, expected) in [
        (vec![start(begun.clone()), last.clone(), stop.clone()], vec!["begun"]),
        (vec![start(json!("begun")), last.clone(), stop.clone()], vec!["begun"]),
        (vec![start(begun), text, last.clone(), stop.clone()], vec!["later"]),
        (vec![start(json!([])), last.clone(), stop.clone()], vec![]),
    ] {
        let blocks = folded(&events);
        let is_same =
            blocks.len() == expected.len() && blocks.iter().zip(expected).all(|(one, text)| is_text(one, text));
        assert!(is_same, "{events:?} {blocks:?}");
    }
    let blocks = folded(&[start(call), last, stop]);
    assert!(matches!(&blocks[..], [Block::ToolCall(call)] if call.input == "{\"a\":1}"), "{blocks:?}");
}

/// Returns the content of a complete stream of Messages.
fn folded(events: &[Value]) -> Vec<Block> {
    let (mut decoder, mut out) = (Decoder::new(Api::Messages, "1"), Vec::new());
    events.iter().for_each(|event| decoder.push(None, event.to_string().as_bytes(), &mut out));
    let mut fold = Fold::default();
    out.into_iter().for_each(|event| fold.push(event));
    fold.finish().unwrap().blocks
}

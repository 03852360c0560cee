use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use signalbox_core::openai::{DONE_EVENT, fold_stream};

use super::*;
use crate::qwen::{Failure, event_reader::EventReader};

/// A recorded response of chat.qwen.ai, the tools of the request, and the expected output, streamed and complete.
struct Golden {
    name: &'static str,
    upstream: &'static str,
    tools: Value,
    stream: &'static str,
    whole: &'static str,
}

macro_rules! golden {
    ($name:literal, $tools:expr) => {
        Golden {
            name: $name,
            upstream: include_str!(concat!("golden/", $name, ".upstream.sse")),
            tools: $tools,
            stream: include_str!(concat!("golden/", $name, ".stream.sse")),
            whole: include_str!(concat!("golden/", $name, ".json")),
        }
    };
}

fn goldens() -> Vec<Golden> {
    let tool = |name: &str, properties: Value| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": properties}}});
    let text = json!({"type": "string"});
    let tools = json!([
        tool("read_file", json!({"path": text, "lines": {"type": "integer"}})),
        tool("write_file", json!({"path": text, "content": text})),
    ]);
    vec![
        golden!("text", json!([])),
        golden!("thinking", tools.clone()),
        golden!("calls", tools.clone()),
        golden!("foreign_markup", json!([])),
        golden!("call_cut_off", tools),
    ]
}

fn answer(tools: &Value) -> AnswerBuilder {
    let tools = Tools::parse(tools.as_array().unwrap()).unwrap();
    AnswerBuilder::new("chatcmpl-1".into(), 1_700_000_000, "qwen3-max".into(), &tools)
}

fn events(upstream: &str) -> Vec<Event> {
    let mut reader = EventReader::new();
    reader.push(Bytes::from(upstream.to_owned())).unwrap();
    std::iter::from_fn(|| reader.pop()).collect()
}

fn sse(chunks: &[Chunk]) -> String {
    chunks.iter().map(|chunk| format!("data: {}\n\n", serde_json::to_string(chunk).unwrap())).collect()
}

#[test]
fn whole_answers_are_unchanged() {
    for golden in goldens() {
        let mut answer = answer(&golden.tools);
        let mut chunks = Vec::new();
        events(golden.upstream).iter().for_each(|event| answer.push(event, &mut chunks));
        answer.finish(&mut chunks);
        let whole = serde_json::to_string_pretty(&answer.into_completion()).unwrap() + "\n";
        // With GOLDEN_OUT=<folder> the files are written anew, to be reviewed before they are committed.
        if let Ok(folder) = std::env::var("GOLDEN_OUT") {
            std::fs::write(format!("{folder}/{}.stream.sse", golden.name), sse(&chunks) + DONE_EVENT).unwrap();
            std::fs::write(format!("{folder}/{}.json", golden.name), &whole).unwrap();
            continue;
        }
        assert_eq!(sse(&chunks) + DONE_EVENT, golden.stream, "{}", golden.name);
        assert_eq!(whole, golden.whole, "{}", golden.name);
    }
}

#[test]
fn only_the_first_chunk_has_the_role() {
    for golden in goldens() {
        assert_eq!(golden.stream.find(r#""role":"assistant""#), golden.stream.rfind(r#""role":"assistant""#));
        assert!(golden.stream.lines().next().unwrap().contains(r#""role":"assistant""#), "{}", golden.name);
    }
}

#[test]
fn each_text_is_sent_before_the_next_arrives() {
    let golden = &goldens()[2];
    let mut answer = answer(&golden.tools);
    let mut chunks = Vec::new();
    for event in &events(golden.upstream)[..2] {
        answer.push(event, &mut chunks);
    }
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].choices[0].delta.content.as_deref(), Some("I re"));
}

#[test]
fn an_incomplete_answer_is_never_marked_complete() {
    let golden = &goldens()[4];
    let mut answer = answer(&golden.tools);
    let mut chunks = Vec::new();
    events(golden.upstream).iter().for_each(|event| answer.push(event, &mut chunks));
    assert_eq!((answer.text(), answer.is_finished()), ("ok ", false));
    answer.flush(&mut chunks);
    assert_eq!(answer.text(), "ok <write_file><path>a</path><content>half");
    assert!(chunks.iter().all(|chunk| chunk.choices[0].finish_reason.is_none() && chunk.usage.is_none()));
}

#[test]
fn an_answer_without_content_is_detected_as_empty() {
    let mut answer = answer(&json!([]));
    let mut chunks = Vec::new();
    let [created] =
        &*events("data: {\"response.created\":{\"chat_id\":\"\",\"parent_id\":\"\",\"response_id\":null}}\n\n")
    else {
        panic!("one event")
    };
    for event in [created.clone(), Event::Failure(Failure::Empty), Event::Finished { text: String::new(), usage: None }]
    {
        answer.push(&event, &mut chunks);
    }
    assert!(answer.is_empty() && answer.is_finished() && chunks.is_empty());
    assert_eq!((answer.parent_id(), answer.response_id(), answer.usage()), (None, None, None));
}

#[test]
fn usage_is_the_last_one_received() {
    let usage = |total_tokens: i64| Some(Usage::new(1, total_tokens - 1));
    let delta = |usage| Event::Delta { text: "a".into(), phase: Phase::Answer, usage };
    for (events, seen) in [
        (vec![delta(usage(2)), delta(usage(3)), delta(None)], usage(3)),
        (vec![delta(usage(2)), Event::Finished { text: String::new(), usage: usage(4) }], usage(4)),
        (vec![delta(None)], None),
    ] {
        let mut answer = answer(&json!([]));
        let mut chunks = Vec::new();
        events.iter().for_each(|event| answer.push(event, &mut chunks));
        answer.finish(&mut chunks);
        assert_eq!(chunks.last().unwrap().usage, seen);
        assert_eq!(answer.into_completion().completion.usage, seen);
    }
}

#[test]
fn calls_have_unique_ids() {
    let golden = &goldens()[2];
    let ids = |id: &str| {
        let tools = Tools::parse(golden.tools.as_array().unwrap()).unwrap();
        let answer = AnswerBuilder::new(id.into(), 0, String::new(), &tools);
        [answer.call_id(0), answer.call_id(1)]
    };
    let (one, other) = (ids("chatcmpl-1"), ids("chatcmpl-2"));
    assert!(one[0] != one[1] && one[0] != other[0] && one == ids("chatcmpl-1"));
    assert!(one[0].len() == "call_".len() + 8 && one[0].starts_with("call_"));
}

/// Generates pieces of answers, including calls and malformed calls.
fn pieces() -> impl Strategy<Value = Vec<(bool, &'static str)>> {
    let piece = prop::sample::select(vec![
        "text ",
        "<",
        "<read_file>",
        "<path>",
        "a",
        "</path>",
        "</read_file>",
        "\n",
        "<lines>",
        "7",
        "</lines>",
        "é",
    ]);
    prop::collection::vec((prop::bool::weighted(0.2), piece), 0..24)
}

proptest! {
    #[test]
    fn streamed_and_whole_answers_are_equal(pieces in pieces(), complete: bool) {
        let mut answer = answer(&goldens()[2].tools);
        let mut chunks = Vec::new();
        for (thinking, text) in pieces {
            let phase = if thinking { Phase::Thinking } else { Phase::Answer };
            answer.push(&Event::Delta { text: text.into(), phase, usage: None }, &mut chunks);
        }
        if complete {
            answer.push(&Event::Finished { text: String::new(), usage: None }, &mut chunks);
        }
        answer.finish(&mut chunks);
        let streamed: Value = serde_json::from_str(&fold_stream(&sse(&chunks).into()).json.unwrap()).unwrap();
        let mut whole = serde_json::to_value(answer.into_completion()).unwrap();
        whole.as_object_mut().unwrap().remove("_qwen_metadata");
        whole["object"] = streamed["object"].clone();
        // The folded stream cannot distinguish an empty text beside calls from an absent one.
        let content = &mut whole["choices"][0]["message"]["content"];
        if content == "" && streamed["choices"][0]["message"]["content"].is_null() {
            *content = Value::Null;
        }
        prop_assert_eq!(streamed, whole);
    }
}

//! Translates the examples in `golden/`, which are written by hand from the documents of the APIs.
//!
//! A file holds a list of cases. `out` and `frames` state a part of the result: members that are not named may have any
//! value, lists have to have the same length. Losses are written as `FIELD ACTION`, in any order.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use signalbox_grammar::frames;
use signalbox_translate::hub::{Event, Failure, Finish, FinishReason, Json};
use signalbox_translate::{
    Added, Api, Decoder, EmitOptions, Emitter, Losses, RequestError, Target, ThinkingSwitch, Written, read_answer,
    read_continued_request, read_request, write_answer, write_error, write_request,
};

fn api(name: &Value) -> Api {
    match name.as_str().unwrap() {
        "chat" => Api::Chat,
        "messages" => Api::Messages,
        "responses" => Api::Responses,
        other => panic!("unknown API {other}"),
    }
}

fn target(fields: &Value) -> Target {
    let mut target = Target::default();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let flag = value.as_bool().unwrap_or_default();
        match name.as_str() {
            "model" => target.model = value.as_str().map(str::to_owned),
            "sampling" => target.sampling = flag,
            "top_k" => target.top_k = flag,
            "forced_tools" => target.forced_tools = flag,
            "mid_conversation_system" => target.mid_conversation_system = flag,
            "prefill" => target.prefill = flag,
            "disable_thinking" => target.disable_thinking = flag,
            "adaptive_thinking" => target.adaptive_thinking = flag,
            "developer_role" => target.developer_role = flag,
            "max_completion_tokens" => target.max_completion_tokens = flag,
            "custom_tools" => target.custom_tools = flag,
            "reasoning_effort" => target.reasoning_effort = flag,
            "web_search" => target.web_search = flag,
            "cache_breakpoints" => target.cache_breakpoints = flag,
            "same_files" => target.same_files = flag,
            "refused" => {
                let names = value.as_array().unwrap().iter();
                target.refused = names.map(|name| &*name.as_str().unwrap().to_owned().leak()).collect();
            }
            "max_temperature" => target.max_temperature = u32::try_from(value.as_u64().unwrap()).unwrap(),
            "tool_choice" => target.tool_choice = flag,
            "call_id_len" => target.call_id_len = value.as_u64().and_then(|len| len.try_into().ok()),
            "user_after_tool" => target.user_after_tool = flag,
            "reasoning_required" => target.reasoning_required = flag,
            "usage_option" => target.usage_option = flag,
            "pads_streams" => target.pads_streams = flag,
            "whole_answers" => target.whole_answers = flag,
            "seed_field" => target.seed_field = value.as_str().unwrap().to_owned().leak(),
            "efforts" => {
                let words = value.as_object().unwrap().iter();
                let words = words.map(|(from, to)| (&*from.clone().leak(), &*to.as_str().unwrap().to_owned().leak()));
                target.efforts = words.collect::<Vec<(&str, &str)>>().leak();
            }
            "thinking" => {
                target.thinking = match value.as_str() {
                    Some("type") => ThinkingSwitch::Type,
                    Some("flag") => ThinkingSwitch::Flag,
                    other => panic!("unknown switch {other:?}"),
                }
            }
            "added" => {
                let added = |(field, value): (&String, &Value)| Added {
                    field: field.clone().leak(),
                    value: value["value"].to_string().leak(),
                    is_for_streamed_tools: value["streamed_tools"] == true,
                };
                target.added = value.as_object().unwrap().iter().map(added).collect::<Vec<_>>().leak();
            }
            "reasoning_field" => target.reasoning_field = Some("reasoning_content"),
            other => panic!("unknown field {other}"),
        }
    }
    target
}

/// Checks that `actual` has everything that `expected` has.
fn assert_part(expected: &Value, actual: &Value, at: &str) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(fields)) => {
            for (name, value) in expected {
                let found = fields.get(name).unwrap_or_else(|| panic!("{at}.{name} is missing in {actual}"));
                assert_part(value, found, &format!("{at}.{name}"));
            }
        }
        (Value::Array(expected), Value::Array(elements)) => {
            assert_eq!(expected.len(), elements.len(), "{at}: {actual}");
            for (index, (expected, actual)) in expected.iter().zip(elements).enumerate() {
                assert_part(expected, actual, &format!("{at}.{index}"));
            }
        }
        _ => assert_eq!(expected, actual, "{at}"),
    }
}

fn assert_losses(expected: &Value, losses: &Losses, at: &str) {
    let mut actual: Vec<String> = losses.iter().map(|loss| format!("{} {}", loss.field, loss.action)).collect();
    let mut expected: Vec<String> =
        expected.as_array().into_iter().flatten().map(|loss| loss.as_str().unwrap().to_owned()).collect();
    actual.sort();
    expected.sort();
    assert_eq!(expected, actual, "{at}: losses");
}

/// Completes a request, so that a case only has what it is about.
fn body(case: &Value, from: Api) -> String {
    if let Some(text) = case["in_text"].as_str() {
        return text.to_owned();
    }
    let mut body = case["in"].clone();
    let fields = body.as_object_mut().unwrap();
    fields.entry("model").or_insert(json!("m"));
    match from {
        Api::Chat => fields.entry("messages").or_insert(json!([{"role": "user", "content": "hi"}])),
        Api::Responses => fields.entry("input").or_insert(json!("hi")),
        Api::Messages => {
            fields.entry("max_tokens").or_insert(json!(100));
            fields.entry("messages").or_insert(json!([{"role": "user", "content": "hi"}]))
        }
    };
    body.to_string()
}

fn translate(case: &Value) -> Result<Written, RequestError> {
    let (from, to) = (api(&case["from"]), api(&case["to"]));
    let body = body(case, from);
    let request = match case["stored"].as_array() {
        Some(stored) => {
            let stored: Vec<Json> = stored.iter().map(|item| Json::parse(&item.to_string()).unwrap()).collect();
            read_continued_request(body.as_bytes(), &stored)?
        }
        None => read_request(from, body.as_bytes())?,
    };
    let mut target = target(&case["target"]);
    if to == Api::Messages && case["target"].get("default").is_none() && case["in"].get("max_tokens").is_none() {
        target.default_max_tokens = 16_000;
    }
    write_request(to, &request, &target)
}

fn check_request(case: &Value, at: &str) {
    let result = translate(case);
    if let Some(field) = case["refused"].as_str() {
        let error = result.expect_err(at);
        assert_eq!(error.field, field, "{at}: {error}");
        assert!(error.message.contains(case["says"].as_str().unwrap_or_default()), "{at}: {error}");
        let sentences = error.message.matches(['.', '?']).count() - error.field.matches('.').count();
        assert!((1..=2).contains(&sentences), "{at}: {error}");
        return;
    }
    let written = result.unwrap_or_else(|error| panic!("{at}: {error}"));
    let out: Value = serde_json::from_slice(&written.body).unwrap();
    assert_part(&case["out"], &out, at);
    for name in case["absent"].as_array().into_iter().flatten() {
        assert_eq!(out.get(name.as_str().unwrap()), None, "{at}: {out}");
    }
    if let Some(text) = case["contains"].as_str() {
        let body = String::from_utf8(written.body.clone()).unwrap();
        assert!(body.contains(text), "{at}: {body}");
    }
    let mut losses = written.losses.clone();
    // Most cases are not about the limit that Messages requires.
    if case["to"] == "messages" && case["from"] != "messages" && case["limit"].is_null() {
        losses = Losses::default();
        written.losses.iter().filter(|loss| loss.field != "max_tokens").for_each(|loss| losses.add(loss.clone()));
    }
    assert_losses(&case["losses"], &losses, at);
    // A strict client is told the first of them.
    let refusal = written.losses.to_error();
    assert_eq!(refusal.is_none(), written.losses.is_empty(), "{at}");
    if let (Some(refusal), Some(first)) = (refusal, written.losses.iter().next()) {
        assert!(refusal.message.contains(&format!("`{}`", first.field)), "{at}: {refusal}");
    }
    if case["stops"].is_array() {
        assert_eq!(json!(written.stops), case["stops"], "{at}");
    }
}

fn options(case: &Value, losses: &mut Losses) -> EmitOptions {
    let mut options = EmitOptions {
        id: "1".into(),
        created: 7,
        model: "shown".into(),
        include_usage: case["options"]["include_usage"] == true,
        summaries: case["options"]["summaries"] == true,
        ..EmitOptions::default()
    };
    if let Some(request) = case.get("request") {
        let written = translate(request).unwrap();
        losses.append(written.losses.clone());
        (options.tools, options.stops) = (written.tools, written.stops);
    }
    options
}

fn check_stream(case: &Value, at: &str) {
    let (from, to) = (api(&case["from"]), api(&case["to"]));
    let mut losses = Losses::default();
    let (mut decoder, mut emitter) = (Decoder::new(from, "1"), Emitter::new(to, options(case, &mut losses)));
    let (mut events, mut out) = (Vec::new(), Vec::new());
    for event in case["stream"].as_array().unwrap() {
        // The relay takes a comment of the provider for a sign of life.
        if event.as_str().is_some_and(|line| line.starts_with(':')) {
            emitter.push(Event::Ping, &mut out);
            continue;
        }
        let data = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
        decoder.push(event["type"].as_str(), data.as_bytes(), &mut events);
        events.drain(..).for_each(|event| emitter.push(event, &mut out));
    }
    decoder.finish(&mut events);
    events.drain(..).for_each(|event| emitter.push(event, &mut out));
    assert!(emitter.has_ended(), "{at}");
    let frames = frames(&out);
    for (name, data) in &frames {
        assert_eq!(name.as_deref(), data["type"].as_str().filter(|_| to != Api::Chat), "{at}");
    }
    let data: Vec<Value> = frames.into_iter().map(|(_, data)| data).collect();
    assert_part(&case["frames"], &json!(data), at);
    losses.append(emitter.losses().clone());
    assert_losses(&case["losses"], &losses, at);
}

fn check_body(case: &Value, at: &str) {
    let (from, to) = (api(&case["from"]), api(&case["to"]));
    let mut losses = Losses::default();
    let answer =
        read_answer(from, case["body"].to_string().as_bytes()).unwrap_or_else(|error| panic!("{at}: {error:?}"));
    let (out, more) = write_answer(to, answer, options(case, &mut losses)).unwrap();
    assert_part(&case["out"], &serde_json::from_slice(&out).unwrap(), at);
    losses.append(more);
    assert_losses(&case["losses"], &losses, at);
}

fn check_error(case: &Value, at: &str) {
    let status = case["status"].as_u64().map(|status| u16::try_from(status).unwrap());
    let failure = Failure::read(status, case["error"].to_string().as_bytes());
    assert_eq!(format!("{:?}", failure.class), case["class"].as_str().unwrap(), "{at}");
    for to in ["chat", "messages", "responses"] {
        let Some(expected) = case.get(to) else { continue };
        let (status, body) = write_error(api(&json!(to)), &failure, "req_1");
        assert_eq!(json!(status), expected["status"], "{at}: {to}");
        assert_part(&expected["body"], &serde_json::from_slice(&body).unwrap(), at);
    }
}

/// Checks all cases of a file. Returns their number and the messages of those that failed.
fn check_file(path: &Path) -> (usize, Vec<String>) {
    let text = fs::read_to_string(path).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut failed = Vec::new();
    for case in &cases {
        let at = format!("{}: {}", path.file_stem().unwrap().to_string_lossy(), case["name"].as_str().unwrap());
        let result = std::panic::catch_unwind(|| match case {
            case if case.get("stream").is_some() => check_stream(case, &at),
            case if case.get("body").is_some() => check_body(case, &at),
            case if case.get("error").is_some() => check_error(case, &at),
            case => check_request(case, &at),
        });
        if let Err(panic) = result {
            let message = panic.downcast_ref::<String>().cloned();
            failed.push(format!("{at}: {}", message.unwrap_or_default()));
        }
    }
    (cases.len(), failed)
}

#[test]
fn every_example_is_translated_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let (counts, failed): (Vec<usize>, Vec<Vec<String>>) = files.iter().map(|path| check_file(path)).unzip();
    let failed = failed.concat();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    let count: usize = counts.into_iter().sum();
    assert!(count > 450, "{count}");
}

#[test]
fn every_row_has_its_examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names = std::collections::HashSet::new();
    for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        let number: String = file.file_name().unwrap().to_string_lossy().chars().take(2).collect();
        let cases = serde_json::from_str::<Vec<Value>>(&fs::read_to_string(file).unwrap()).unwrap_or_default();
        names.extend(cases.iter().map(|case| format!("{number}:{}", case["name"].as_str().unwrap())));
    }
    let rows = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut count = 0;
    let next = rows.lines().skip(1).chain([""]);
    let is_row = |(line, next): &(&str, &str)| line.starts_with("| ") && !next.starts_with("|--");
    for (row, _) in rows.lines().zip(next).filter(is_row) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").skip(1).collect();
        assert!(cells.iter().all(|cell| cell.contains(['`', '('])), "{row}");
        for name in row.split('`').filter(|word| word.as_bytes().get(2) == Some(&b':')) {
            assert!(names.contains(name), "{name}");
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn a_call_that_cannot_be_read_is_an_error_where_the_client_cannot_judge_it() {
    for (to, end) in [(Api::Chat, "[DONE]"), (Api::Messages, "error"), (Api::Responses, "response.failed")] {
        let mut emitter = Emitter::new(to, EmitOptions { id: "1".into(), ..EmitOptions::default() });
        let mut out = Vec::new();
        emitter.push(Event::Finish(Finish::new(FinishReason::MalformedTool)), &mut out);
        let (name, data) = frames(&out).pop().unwrap();
        assert!(emitter.has_ended() && (name.as_deref() == Some(end) || data == end), "{data}");
    }
}

#[test]
fn a_failed_event_ends_a_stream_that_has_not_begun() {
    for (to, first) in [(Api::Chat, "error"), (Api::Messages, "error"), (Api::Responses, "response.created")] {
        let mut emitter = Emitter::new(to, EmitOptions { id: "1".into(), ..EmitOptions::default() });
        let mut out = Vec::new();
        emitter.push(Event::Failed(Failure::incomplete()), &mut out);
        let (name, data) = frames(&out).remove(0);
        assert!(name.as_deref() == Some(first) || data.get(first).is_some(), "{data}");
    }
}

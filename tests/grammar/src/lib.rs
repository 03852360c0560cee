//! Strict parsers of the streams of the three APIs. They panic at the first event that the grammar does not allow.
//!
//! They share no code with the readers of the product, which are tolerant: what both make of a stream can be compared.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

/// The content of a stream.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    /// The text of the answer.
    pub text: String,
    /// The text with which the model refuses.
    pub refusal: String,
    /// The reasoning, or its summary.
    pub thinking: String,
    /// Ids, names and inputs of the calls.
    pub calls: Vec<(String, String, String)>,
    /// The finish reason, or `error`; `None` if the stream has no terminal event.
    pub end: Option<String>,
}

/// An event: its name, and its data.
pub type Frame = (Option<String>, Value);

/// Splits a stream into its events; comments are skipped.
///
/// # Panics
/// Panics if the last event is cut off, or if an event has other lines than a name and data.
#[must_use]
pub fn frames(stream: &[u8]) -> Vec<Frame> {
    let text = std::str::from_utf8(stream).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"), "{text}");
    let blocks = text
        .split("\n\n")
        .map(|block| block.trim_start_matches('\n'))
        .filter(|block| !block.is_empty() && !block.starts_with(':'));
    let frame = |block: &str| {
        let (name, data) = match block.strip_prefix("event: ").and_then(|rest| rest.split_once('\n')) {
            Some((name, data)) => (Some(name.to_owned()), data),
            None => (None, block),
        };
        let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("no data: {block:?}"));
        assert!(!data.contains('\n'), "{data}");
        (name, serde_json::from_str(data).unwrap_or_else(|_| json!(data)))
    };
    blocks.map(frame).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

/// Parses a stream of Chat Completions, whose last chunk has the token counts if `include_usage` was asked for.
///
/// # Panics
/// Panics if the stream is not one of the grammar.
#[must_use]
pub fn chat(frames: &[Frame], include_usage: bool) -> Said {
    let mut said = Said::default();
    let (mut has_role, mut finish, mut has_usage, mut is_done) = (false, None, false, false);
    for (index, (name, data)) in frames.iter().enumerate() {
        assert!(name.is_none() && !is_done && said.end.is_none(), "{data}");
        if data == "[DONE]" {
            assert!(finish.is_some() && has_usage == include_usage, "no usage or no finish");
            is_done = true;
            continue;
        }
        if let Some(error) = data.get("error") {
            for field in ["message", "type", "param", "code"] {
                assert!(error.get(field).is_some());
            }
            said.end = Some("error".into());
            continue;
        }
        for field in ["id", "object", "created", "model"] {
            assert_eq!(data[field], frames[0].1[field], "{index}");
        }
        let Some(choice) = data["choices"].get(0) else {
            assert!(finish.is_some() && !has_usage && include_usage);
            has_usage = true;
            continue;
        };
        assert!(finish.is_none() && choice["index"] == 0);
        assert_eq!(data.get("usage").is_some(), include_usage);
        let delta = &choice["delta"];
        assert_eq!(delta.get("role").is_some(), !std::mem::replace(&mut has_role, true), "{delta}");
        for (field, all) in
            [("content", &mut said.text), ("refusal", &mut said.refusal), ("reasoning_content", &mut said.thinking)]
        {
            delta.get(field).into_iter().for_each(|more| all.push_str(text(more)));
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            let (inner, field) =
                call.get("function").map_or_else(|| (&call["custom"], "input"), |inner| (inner, "arguments"));
            if call.get("id").is_some() {
                assert!(at == said.calls.len() && call.get("type").is_some());
                said.calls.push((text(&call["id"]).into(), text(&inner["name"]).into(), String::new()));
            }
            said.calls[at].2.push_str(text(&inner[field]));
        }
        if !choice["finish_reason"].is_null() {
            assert_eq!(*delta, json!({}));
            finish = Some(text(&choice["finish_reason"]).to_owned());
        }
    }
    assert!(said.end.is_some() || is_done || finish.is_none());
    said.end = said.end.or(finish);
    said
}

/// Parses a stream of Messages.
///
/// # Panics
/// Panics if the stream is not one of the grammar.
#[must_use]
pub fn messages(frames: &[Frame]) -> Said {
    let mut said = Said::default();
    let (mut has_started, mut next, mut open, mut reason) = (false, 0, None::<Value>, None);
    for (name, data) in frames {
        let kind = text(&data["type"]);
        assert_eq!(name.as_deref(), Some(kind));
        assert!(said.end.is_none(), "{kind} follows the end");
        assert!(has_started || matches!(kind, "message_start" | "error"), "{kind}");
        match kind {
            "message_start" => {
                assert!(!std::mem::replace(&mut has_started, true));
                let message = &data["message"];
                assert!(message["content"] == json!([]) && message["stop_reason"].is_null());
                assert!(message["usage"]["output_tokens"].is_u64() && message["usage"]["input_tokens"].is_u64());
            }
            "content_block_start" => {
                assert!(open.is_none() && reason.is_none() && data["index"] == next);
                let block = data["content_block"].clone();
                if block["type"] == "tool_use" {
                    assert_eq!(block["input"], json!({}));
                    said.calls.push((text(&block["id"]).into(), text(&block["name"]).into(), String::new()));
                }
                open = Some(block);
            }
            "content_block_delta" => {
                let kind = &open.as_ref().expect("a block is open")["type"];
                assert_eq!(data["index"], next);
                let delta = &data["delta"];
                match (text(kind), text(&delta["type"])) {
                    ("text", "text_delta") => said.text.push_str(text(&delta["text"])),
                    ("thinking", "thinking_delta") => said.thinking.push_str(text(&delta["thinking"])),
                    ("thinking", "signature_delta") => assert!(delta["signature"].is_string()),
                    ("tool_use", "input_json_delta") => {
                        said.calls.last_mut().unwrap().2.push_str(text(&delta["partial_json"]));
                    }
                    other => panic!("{other:?}"),
                }
            }
            "content_block_stop" => {
                assert!(open.take().is_some() && data["index"] == next);
                next += 1;
            }
            "message_delta" => {
                assert!(open.is_none() && reason.is_none());
                assert!(data["delta"].get("stop_sequence").is_some() && data["usage"]["output_tokens"].is_u64());
                reason = Some(text(&data["delta"]["stop_reason"]).to_owned());
            }
            "message_stop" => said.end = Some(reason.clone().expect("a stop reason")),
            "ping" => {}
            "error" => {
                assert!(data["error"]["message"].is_string() && data["error"]["type"].is_string());
                said.end = Some("error".into());
            }
            other => panic!("{other}"),
        }
    }
    said
}

/// The item that is open in a stream of Responses.
#[derive(Default)]
struct Item {
    id: String,
    kind: String,
    index: usize,
    /// The kind of the part that is open, and its text.
    part: Option<(String, String)>,
    parts: Vec<Value>,
    summary: Option<String>,
    summaries: Vec<Value>,
    input: String,
    has_done: bool,
}

/// Parses a stream of Responses.
///
/// # Panics
/// Panics if the stream is not one of the grammar.
#[must_use]
pub fn responses(frames: &[Frame]) -> Said {
    let mut said = Said::default();
    let (mut item, mut output): (Option<Item>, Vec<Value>) = (None, Vec::new());
    for (index, (name, data)) in frames.iter().enumerate() {
        let kind = text(&data["type"]);
        assert_eq!(name.as_deref(), Some(kind));
        assert!(said.end.is_none(), "{kind} follows the end");
        assert_eq!(data["sequence_number"], index);
        let kind = kind.strip_prefix("response.").unwrap();
        match (index, kind) {
            (0, "created") | (1, "in_progress") => {
                assert!(data["response"]["output"] == json!([]) && data["response"]["usage"].is_null());
                assert_eq!(data["response"]["id"], frames[0].1["response"]["id"]);
            }
            (2.., "output_item.added") => {
                assert!(item.is_none() && data["output_index"] == output.len());
                assert!(data["item"]["status"] == "in_progress" || has_no_status(&data["item"]));
                let (id, kind) = (text(&data["item"]["id"]).to_owned(), text(&data["item"]["type"]).to_owned());
                assert!(!id.is_empty() && output.iter().all(|item| item["id"] != id));
                if kind.ends_with("_call") {
                    let call = &data["item"];
                    said.calls.push((text(&call["call_id"]).into(), text(&call["name"]).into(), String::new()));
                }
                item = Some(Item { id, kind, index: output.len(), ..Item::default() });
            }
            (2.., "output_item.done") => {
                let item = item.take().expect("an item is open");
                assert!(data["output_index"] == item.index && data["item"]["id"] == item.id);
                assert!(item.part.is_none() && item.summary.is_none());
                match item.kind.as_str() {
                    "message" => assert_eq!(data["item"]["content"], json!(item.parts)),
                    "reasoning" => {
                        assert_eq!(data["item"].get("content").cloned().unwrap_or(json!([])), json!(item.parts));
                        assert_eq!(data["item"]["summary"], json!(item.summaries));
                    }
                    _ => {
                        let field = if item.kind == "function_call" { "arguments" } else { "input" };
                        assert!(item.has_done && data["item"][field] == item.input);
                    }
                }
                // Arguments with raw control characters are complete, too.
                let may_be_cut = item.kind == "function_call" && serde_json::from_str::<Value>(&item.input).is_err();
                let status = &data["item"]["status"];
                let is_cut = status == "incomplete" && may_be_cut;
                assert!(status == "completed" || is_cut || has_no_status(&data["item"]), "{status}");
                output.push(data["item"].clone());
            }
            (2.., "completed" | "incomplete" | "failed") => {
                let response = &data["response"];
                assert!(item.is_none() || kind == "failed");
                assert_eq!(response["output"], json!(output));
                assert!(response["status"] == kind && response["id"] == frames[0].1["response"]["id"]);
                assert_eq!(response["error"].is_null(), kind != "failed");
                assert_eq!(response["incomplete_details"].is_null(), kind != "incomplete");
                said.end = Some(if kind == "failed" { "error".into() } else { kind.to_owned() });
            }
            (2.., kind) => inner(item.as_mut().expect("an item is open"), kind, data, &mut said),
            _ => panic!("{kind} at {index}"),
        }
    }
    said
}

/// Returns whether an item has no status, as those of reasoning may have none.
fn has_no_status(item: &Value) -> bool {
    item["type"] == "reasoning" && item.get("status").is_none()
}

/// Reads an event within an item.
fn inner(item: &mut Item, kind: &str, data: &Value, said: &mut Said) {
    assert!(data["item_id"] == item.id && data["output_index"] == item.index, "{kind}");
    let part_kind = match kind {
        "output_text.delta" | "output_text.done" => "output_text",
        "refusal.delta" | "refusal.done" => "refusal",
        _ => "reasoning_text",
    };
    match kind {
        "content_part.added" => {
            assert!(item.part.is_none() && item.summary.is_none() && data["content_index"] == item.parts.len());
            item.part = Some((text(&data["part"]["type"]).to_owned(), String::new()));
            item.has_done = false;
        }
        "output_text.delta" | "refusal.delta" | "reasoning_text.delta" => {
            let (kind, all) = item.part.as_mut().expect("a part is open");
            assert!(kind == part_kind && data["content_index"] == item.parts.len() && !item.has_done);
            all.push_str(text(&data["delta"]));
            assert_eq!(data.get("logprobs").is_some(), part_kind == "output_text");
        }
        "output_text.done" | "refusal.done" | "reasoning_text.done" => {
            let (kind, all) = item.part.as_ref().expect("a part is open");
            let field = if part_kind == "refusal" { "refusal" } else { "text" };
            assert!(kind == part_kind && data[field] == **all && !std::mem::replace(&mut item.has_done, true));
            match part_kind {
                "output_text" => said.text.push_str(all),
                "refusal" => said.refusal.push_str(all),
                _ => said.thinking.push_str(all),
            }
        }
        "content_part.done" => {
            let (kind, all) = item.part.take().expect("a part is open");
            let field = if kind == "refusal" { "refusal" } else { "text" };
            assert!(item.has_done && data["part"]["type"] == kind && data["part"][field] == all);
            item.parts.push(data["part"].clone());
        }
        "reasoning_summary_part.added" => {
            assert!(item.summary.is_none() && item.part.is_none() && data["summary_index"] == item.summaries.len());
            item.summary = Some(String::new());
            item.has_done = false;
        }
        "reasoning_summary_text.delta" => {
            assert_eq!(data["summary_index"], item.summaries.len());
            item.summary.as_mut().expect("a part is open").push_str(text(&data["delta"]));
        }
        "reasoning_summary_text.done" => {
            assert_eq!(data["text"], item.summary.clone().expect("a part is open"));
            item.has_done = true;
        }
        "reasoning_summary_part.done" => {
            let all = item.summary.take().expect("a part is open");
            assert!(item.has_done && data["part"]["text"] == all && data["summary_index"] == item.summaries.len());
            said.thinking.push_str(&all);
            item.summaries.push(data["part"].clone());
        }
        "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
            assert!(!item.has_done);
            item.input.push_str(text(&data["delta"]));
        }
        "function_call_arguments.done" | "custom_tool_call_input.done" => {
            let field = if item.kind == "function_call" { "arguments" } else { "input" };
            assert!(data[field] == item.input && !std::mem::replace(&mut item.has_done, true));
            said.calls.last_mut().unwrap().2.clone_from(&item.input);
        }
        other => panic!("{other}"),
    }
}

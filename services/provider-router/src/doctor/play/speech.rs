//! The words of a fake provider, as the events of each API.

use serde_json::{Value, json};
use signalbox_core::Api;

/// Number of words of the whole answer.
pub(super) const WORDS: usize = 60;
/// Arguments of the tool call, in two pieces.
pub(super) const ARGUMENTS: [&str; 2] = ["{\"city\":", "\"Bern\"}"];

/// Token counts that a fake reports: prompt, of these read from a cache, answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) prompt: u32,
    pub(super) cached: u32,
    pub(super) answer: u32,
}

/// The events of a stream.
#[derive(Debug)]
pub(super) struct Events {
    /// Events without content.
    pub(super) preamble: Vec<String>,
    /// One per word, or the pieces of a tool call.
    pub(super) content: Vec<String>,
    /// Events behind the content, such as that with the finish reason.
    pub(super) closing: Vec<String>,
    /// The event that ends the stream.
    pub(super) last: String,
}

/// Returns the whole answer of a fake.
pub(super) fn words(count: usize) -> String {
    (1..=count).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ")
}

fn word(n: usize) -> String {
    if n == 0 { "word1".to_owned() } else { format!(" word{}", n + 1) }
}

fn named(kind: &str, event: &Value) -> String {
    format!("event: {kind}\ndata: {event}\n\n")
}

fn data(event: &Value) -> String {
    format!("data: {event}\n\n")
}

/// Returns the events of a text of `count` words, or of a tool call.
pub(super) fn events(api: Api, model: &str, count: usize, tool: bool, counts: Option<Counts>) -> Events {
    match api {
        Api::Chat => chat(model, count, tool, counts),
        Api::Messages => messages(model, count, tool, counts),
        Api::Responses => responses(model, count, tool, counts),
    }
}

/// Returns the event by which a stream reports an error.
pub(super) fn error(api: Api, message: &str, code: &str) -> String {
    match api {
        Api::Chat => data(&json!({"error": {"message": message, "type": "server_error", "param": null, "code": code}})),
        Api::Messages => {
            named("error", &json!({"type": "error", "error": {"type": "overloaded_error", "message": message}}))
        }
        Api::Responses => {
            let event = json!({"type": "error", "code": code, "message": message, "param": null, "sequence_number": 9});
            named("error", &event)
        }
    }
}

fn chat_usage(counts: Counts) -> Value {
    let Counts { prompt, cached, answer } = counts;
    json!({"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": cached}})
}

fn chat(model: &str, count: usize, tool: bool, counts: Option<Counts>) -> Events {
    let chunk = |delta: Value, reason: Option<&str>| {
        data(&json!({"id": "chatcmpl-doctor", "object": "chat.completion.chunk", "created": 1, "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}))
    };
    let content = if tool {
        let call = |call: Value| chunk(json!({ "tool_calls": [call] }), None);
        let begin = json!({"index": 0, "id": "call_doctor", "type": "function",
            "function": {"name": "weather", "arguments": ""}});
        let pieces = ARGUMENTS.map(|piece| call(json!({"index": 0, "function": {"arguments": piece}})));
        std::iter::once(call(begin)).chain(pieces).collect()
    } else {
        (0..count).map(|n| chunk(json!({ "content": word(n) }), None)).collect()
    };
    let mut closing = vec![chunk(json!({}), Some(if tool { "tool_calls" } else { "stop" }))];
    if let Some(counts) = counts {
        closing.push(data(&json!({"id": "chatcmpl-doctor", "object": "chat.completion.chunk", "created": 1,
            "model": model, "choices": [], "usage": chat_usage(counts)})));
    }
    let preamble = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
    Events { preamble, content, closing, last: "data: [DONE]\n\n".to_owned() }
}

fn messages(model: &str, count: usize, tool: bool, counts: Option<Counts>) -> Events {
    let Counts { prompt, cached, answer } = counts.unwrap_or(Counts { prompt: 10, cached: 0, answer: 60 });
    let start = json!({"type": "message_start", "message": {"id": "msg_doctor", "type": "message", "role": "assistant",
        "model": model, "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": prompt - cached, "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": 0, "output_tokens": 1}}});
    let block = if tool {
        json!({"type": "tool_use", "id": "toolu_doctor", "name": "weather", "input": {}})
    } else {
        json!({"type": "text", "text": ""})
    };
    let begin = json!({"type": "content_block_start", "index": 0, "content_block": block});
    let begin = named("content_block_start", &begin);
    let delta = |delta: Value| {
        named("content_block_delta", &json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    };
    let mut preamble = vec![named("message_start", &start)];
    let content = if tool {
        let pieces = ARGUMENTS.map(|piece| delta(json!({"type": "input_json_delta", "partial_json": piece})));
        std::iter::once(begin).chain(pieces).collect()
    } else {
        preamble.push(begin);
        (0..count).map(|n| delta(json!({"type": "text_delta", "text": word(n)}))).collect()
    };
    let reason = if tool { "tool_use" } else { "end_turn" };
    let closing = vec![
        named("content_block_stop", &json!({"type": "content_block_stop", "index": 0})),
        named(
            "message_delta",
            &json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
                "usage": {"output_tokens": answer}}),
        ),
    ];
    Events { preamble, content, closing, last: named("message_stop", &json!({"type": "message_stop"})) }
}

fn responses(model: &str, count: usize, tool: bool, counts: Option<Counts>) -> Events {
    let Counts { prompt, cached, answer } = counts.unwrap_or(Counts { prompt: 10, cached: 0, answer: 60 });
    let response = |status: &str, output: Value, usage: Value| {
        json!({"id": "resp_doctor", "object": "response", "created_at": 1, "status": status, "model": model,
            "output": output, "usage": usage, "error": null, "incomplete_details": null})
    };
    let event = |kind: &str, mut fields: Value| {
        fields["type"] = kind.into();
        named(kind, &fields)
    };
    let begun = response("in_progress", json!([]), Value::Null);
    let mut preamble = vec![
        event("response.created", json!({ "response": begun })),
        event("response.in_progress", json!({ "response": begun })),
    ];
    let text = words(count);
    let item = |status: &str, is_begun: bool| {
        if tool {
            let arguments = if is_begun { String::new() } else { ARGUMENTS.concat() };
            return json!({"id": "fc_doctor", "type": "function_call", "status": status, "call_id": "call_doctor",
                "name": "weather", "arguments": arguments});
        }
        let content = if is_begun {
            json!([])
        } else {
            json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}])
        };
        json!({"id": "msg_doctor", "type": "message", "status": status, "role": "assistant", "content": content})
    };
    let added = event("response.output_item.added", json!({"output_index": 0, "item": item("in_progress", true)}));
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let place = json!({"item_id": if tool { "fc_doctor" } else { "msg_doctor" }, "output_index": 0});
    let with = |extra: Value| {
        let mut fields = place.clone();
        if let (Some(fields), Value::Object(extra)) = (fields.as_object_mut(), extra) {
            fields.extend(extra);
        }
        fields
    };
    let mut closing = Vec::new();
    let content = if tool {
        closing.push(event("response.function_call_arguments.done", with(json!({"arguments": ARGUMENTS.concat()}))));
        let pieces =
            ARGUMENTS.map(|piece| event("response.function_call_arguments.delta", with(json!({"delta": piece}))));
        std::iter::once(added).chain(pieces).collect()
    } else {
        preamble.push(added);
        preamble.push(event("response.content_part.added", with(json!({"content_index": 0, "part": part("")}))));
        closing.push(event("response.output_text.done", with(json!({"content_index": 0, "text": text}))));
        closing.push(event("response.content_part.done", with(json!({"content_index": 0, "part": part(&text)}))));
        let delta = |n| event("response.output_text.delta", with(json!({"content_index": 0, "delta": word(n)})));
        (0..count).map(delta).collect()
    };
    closing.push(event("response.output_item.done", json!({"output_index": 0, "item": item("completed", false)})));
    let usage = json!({"input_tokens": prompt, "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": answer, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": prompt + answer});
    let whole = response("completed", json!([item("completed", false)]), usage);
    Events { preamble, content, closing, last: event("response.completed", json!({ "response": whole })) }
}

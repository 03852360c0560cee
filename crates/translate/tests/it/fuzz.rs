//! Feeds arbitrary data to every reader: none panics, every answer has one end, and memory is bounded by the input.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use signalbox_translate::hub::{Event, Failure};
use signalbox_translate::{
    Api, Decoder, EmitOptions, Emitter, Target, read_answer, read_request, write_answer, write_error, write_request,
    write_request_error,
};

const APIS: [Api; 3] = [Api::Chat, Api::Messages, Api::Responses];

/// Names and words of the three APIs, so that the data reach beyond the first check.
const WORDS: [&str; 92] = [
    "type",
    "model",
    "messages",
    "role",
    "content",
    "input",
    "user",
    "assistant",
    "system",
    "developer",
    "tool",
    "text",
    "input_text",
    "output_text",
    "image_url",
    "image",
    "source",
    "base64",
    "data",
    "media_type",
    "url",
    "file",
    "document",
    "tool_use",
    "tool_result",
    "tool_use_id",
    "tool_calls",
    "tool_call_id",
    "function",
    "name",
    "arguments",
    "id",
    "call_id",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "output",
    "reasoning",
    "summary",
    "encrypted_content",
    "thinking",
    "signature",
    "redacted_thinking",
    "cache_control",
    "ephemeral",
    "tools",
    "tool_choice",
    "auto",
    "any",
    "required",
    "allowed_tools",
    "stop",
    "stop_sequences",
    "max_tokens",
    "temperature",
    "response_format",
    "json_schema",
    "schema",
    "format",
    "output_config",
    "effort",
    "low",
    "choices",
    "delta",
    "index",
    "finish_reason",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "message_start",
    "message",
    "content_block_start",
    "content_block",
    "content_block_delta",
    "text_delta",
    "partial_json",
    "input_json_delta",
    "content_block_stop",
    "message_delta",
    "stop_reason",
    "end_turn",
    "message_stop",
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "item",
    "output_index",
    "response.output_text.delta",
    "response.completed",
    "response",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-2_i64..5).prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        prop::sample::select(&WORDS[..]).prop_map(|word| json!(word)),
        ".{0,6}".prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((prop::sample::select(&WORDS[..]), inner), 0..8).prop_map(|members| {
                let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(members.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// An event that is nearly one of an API.
fn event() -> impl Strategy<Value = Value> {
    const KINDS: [&str; 22] = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.refusal.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.completed",
        "response.failed",
        "response.custom_tool_call_input.delta",
    ];
    let inner = || value().prop_filter("an object", Value::is_object);
    prop_oneof![
        (prop::sample::select(&KINDS[..]), 0_u32..4, inner(), inner()).prop_map(|(kind, index, mut first, second)| {
            first["type"] = json!("text");
            json!({"type": kind, "index": index, "output_index": index, "content_index": 0, "delta": second,
                "content_block": first, "item": first, "part": first, "response": second})
        }),
        (prop::sample::select(&KINDS[..]), 0_u32..4, ".{0,8}").prop_map(|(kind, index, text)| {
            json!({"type": kind, "output_index": index, "delta": text, "text": text, "arguments": text,
                "item": {"type": "function_call", "call_id": "c", "name": "f", "arguments": text}})
        }),
        (0_i64..4, inner()).prop_map(|(index, delta)| json!({"choices": [{"index": 0, "delta": delta}, index]})),
        (0_i64..4, "[a-z]{0,2}", ".{0,8}").prop_map(|(index, id, text)| json!({"choices": [{"index": 0, "delta": {
            "content": text, "tool_calls": [{"index": index, "id": id, "function": {"name": id, "arguments": text}}]}}]})),
        value(),
    ]
}

fn size(events: &[Event]) -> usize {
    events.iter().map(|event| format!("{event:?}").len()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn requests(body in value()) {
        let mut body = body;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("model".into(), json!("m"));
        }
        for api in APIS {
            match read_request(api, body.to_string().as_bytes()) {
                Err(error) => prop_assert!(!write_request_error(api, &error, "1").1.is_empty()),
                Ok(request) => for to in APIS {
                    if let Ok(written) = write_request(to, &request, &Target::default()) {
                        prop_assert!(serde_json::from_slice::<Value>(&written.body).is_ok());
                        let header = written.losses.to_header();
                        prop_assert!(header.len() <= 1024 && header.bytes().all(|byte| (b' '..0x7F).contains(&byte)));
                    }
                }
            }
        }
    }

    #[test]
    fn conversations(messages in prop::collection::vec(
        (prop::sample::select(&["user", "assistant", "system", "tool"][..]), value()), 0..4)) {
        let messages: Vec<Value> =
            messages.into_iter().map(|(role, content)| json!({"role": role, "content": content, "tool_call_id": "c"})).collect();
        let body = json!({"model": "m", "max_tokens": 1, "messages": messages, "input": messages});
        for api in APIS {
            if let Ok(request) = read_request(api, body.to_string().as_bytes()) {
                for to in APIS {
                    if let Ok(written) = write_request(to, &request, &Target::default()) {
                        prop_assert!(serde_json::from_slice::<Value>(&written.body).is_ok());
                    }
                }
            }
        }
    }

    #[test]
    fn bytes(data in prop::collection::vec(any::<u8>(), 0..64)) {
        for api in APIS {
            prop_assert!(read_request(api, &data).is_err());
            let _ = read_answer(api, &data);
            let mut events = Vec::new();
            Decoder::new(api, "1").push(None, &data, &mut events);
            prop_assert!(!write_error(api, &Failure::read(Some(500), &data), "1").1.is_empty());
        }
    }

    #[test]
    fn answers(body in value()) {
        for api in APIS {
            if let Ok(answer) = read_answer(api, body.to_string().as_bytes()) {
                for to in APIS {
                    let (body, _) = write_answer(to, answer.clone(), EmitOptions::default()).unwrap();
                    prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
                }
            }
        }
    }

    #[test]
    fn streams(stream in prop::collection::vec(event(), 0..24)) {
        for api in APIS {
            let (mut decoder, mut events, mut len) = (Decoder::new(api, "1"), Vec::new(), 0);
            for event in &stream {
                let data = event.to_string();
                len += data.len();
                decoder.push(None, data.as_bytes(), &mut events);
            }
            decoder.finish(&mut events);
            let is_end = |event: &Event| matches!(event, Event::Finish(_) | Event::Failed(_));
            prop_assert_eq!(events.iter().filter(|event| is_end(event)).count(), 1);
            prop_assert!(events.last().is_some_and(is_end));
            // Events are printed with their field names, which are longer than the data.
            prop_assert!(size(&events) <= 2048 + len * 32, "{} of {}", size(&events), len);
            for to in APIS {
                let (mut emitter, mut out) = (Emitter::new(to, EmitOptions::default()), Vec::new());
                events.iter().for_each(|event| emitter.push(event.clone(), &mut out));
                prop_assert!(emitter.has_ended() && out.ends_with(b"\n\n"));
            }
        }
    }
}

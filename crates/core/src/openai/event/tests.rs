use proptest::prelude::*;

use super::*;

/// Returns the kind of an event and its text.
fn said(data: &[u8]) -> (&'static str, String) {
    match read_event(data) {
        StreamEvent::Done => ("done", String::new()),
        StreamEvent::Unknown => ("unknown", String::new()),
        StreamEvent::Error(error) => ("error", error.message),
        StreamEvent::Chunk(chunk) => {
            let text = chunk.choices.first().and_then(|choice| choice.delta.content);
            ("chunk", text.map(|text| text.to_str().into_owned()).unwrap_or_default())
        }
    }
}

/// Builds a chunk with the text `hi` and an extra field in the chunk, its choice or its delta.
fn odd(place: usize, field: &str) -> String {
    let mut fields = ["", "", ""].map(str::to_owned);
    fields[place] = format!("{field},");
    let [chunk, choice, delta] = fields;
    format!(r#"{{{chunk}"choices":[{{{choice}"delta":{{{delta}"content":"hi"}}}}]}}"#)
}

#[test]
fn an_invalid_field_loses_only_that_field() {
    let odd_values = ["null", "7", "7.5", "\"7\"", "true", "{}", "[]", r#"{"a":[null]}"#, r#""\ud83d""#];
    let fields = [
        (0, "id"),
        (0, "model"),
        (0, "created"),
        (0, "object"),
        (0, "usage"),
        (0, "service_tier"),
        (1, "index"),
        (1, "logprobs"),
        (1, "finish_reason"),
        (2, "role"),
        (2, "reasoning"),
        (2, "reasoning_content"),
        (2, "refusal"),
        (2, "tool_calls"),
        (2, "function_call"),
        (2, "audio"),
    ];
    for (place, name) in fields {
        for value in odd_values {
            let data = odd(place, &format!("\"{name}\":{value}"));
            assert_eq!(said(data.as_bytes()), ("chunk", "hi".to_owned()), "{data}");
            let data = odd(place, &format!("\"{name}\":\"x\",\"{name}\":{value}"));
            assert_eq!(said(data.as_bytes()), ("chunk", "hi".to_owned()), "{data}");
        }
    }
}

#[test]
fn a_value_that_is_not_json_loses_only_that_value() {
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    for value in ["NaN", "-Infinity", "[Infinity]", "1e999", "\"\t\"", &deep] {
        for (place, name) in
            [(0, "x"), (0, "usage"), (0, "created"), (1, "logprobs"), (1, "index"), (2, "role"), (2, "x")]
        {
            let data = odd(place, &format!("\"{name}\":{value}"));
            assert_eq!(said(data.as_bytes()), ("chunk", "hi".to_owned()), "{data:.80}");
        }
        let error = format!("{{\"error\":{{\"message\":\"no\",\"x\":{value}}}}}");
        assert_eq!(said(error.as_bytes()), ("error", "no".to_owned()), "{error:.80}");
    }
    let usage = Usage::read(b"{\"prompt_tokens\":NaN,\"completion_tokens\":2,\"x\":Infinity}");
    assert_eq!(usage.map(|usage| usage.total_tokens), Some(2));
}

#[test]
fn lines_that_are_events_are_told_from_the_lines_of_one_event() {
    let chunk = odd(0, "\"x\":1");
    assert_eq!(joined_events(format!("{chunk}\n{chunk}\n[DONE]").as_bytes()).map(|lines| lines.len()), Some(3));
    for one in [chunk.clone(), chunk.replace(',', ",\n"), format!("{chunk}\nx"), "{}\n{}".to_owned(), String::new()] {
        assert_eq!(joined_events(one.as_bytes()), None, "{one}");
    }
}

#[test]
fn invalid_bytes_are_replaced_by_one_character() {
    assert_eq!(said(b"{\"id\":\"\xFF\",\"choices\":[{\"delta\":{\"content\":\"a\xFFb\"}}]}").1, "a\u{FFFD}b");
    assert_eq!(said(b"{\"\xFF\":1,\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}").1, "hi");
}

#[test]
fn token_counts_are_read_in_every_shape() {
    for (json, expected) in [
        (r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}"#, Some((1, 2, 3))),
        (r#"{"prompt_tokens":1.0,"completion_tokens":2.5e0,"total_tokens":"3"}"#, Some((1, 2, 3))),
        (r#"{"prompt_tokens":null,"completion_tokens":"2","total_tokens":null}"#, Some((0, 2, 2))),
        (r#"{"input_tokens":1,"output_tokens":2}"#, Some((1, 2, 3))),
        (r#"{"prompt_tokens":{},"completion_tokens":[],"total_tokens":"many"}"#, None),
        ("{}", None),
    ] {
        let usage = Usage::read(json.as_bytes()).map(|u| (u.prompt_tokens, u.completion_tokens, u.total_tokens));
        assert_eq!(usage, expected, "{json}");
    }
}

#[test]
fn errors_are_distinguished_from_chunks() {
    for (data, expected) in [
        ("[DONE]", "done"),
        (" [DONE]\n", "done"),
        (r#"{"choices":null,"error":{"message":"no"}}"#, "error"),
        (r#"{"choices":[],"error":{"message":"no"}}"#, "error"),
        (r#"{"choices":[],"error":"no"}"#, "error"),
        (r#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}],"error":{"message":"no"}}"#, "error"),
        (r#"{"choices":[{"delta":{},"finish_reason":"error"}],"error":{"message":"no"}}"#, "error"),
        (r#"{"choices":[{"delta":{},"error":{"message":"no"}}]}"#, "error"),
        (r#"{"choices":[{"delta":{},"error":{"message":"no"},"finish_reason":"error"}]}"#, "error"),
        (r#"{"choices":null,"base_resp":{"status_code":1008,"status_msg":"no"}}"#, "error"),
        (r#"{"choices":[{"delta":{"content":"a"}}],"base_resp":{"status_code":1008,"status_msg":"no"}}"#, "error"),
        (r#"{"error_message":"no"}"#, "error"),
        (r#"{"choices":[{"delta":{"content":"a"}}],"base_resp":{"status_code":0,"status_msg":""}}"#, "chunk"),
        (r#"{"choices":[{"delta":{"content":"a"}}],"error":null}"#, "chunk"),
        (r#"{"choices":[{"delta":{"content":"a"}}],"error":{}}"#, "chunk"),
        (r#"{"choices":[{"delta":{"content":"a"}}],"error":{"code":0,"message":""}}"#, "chunk"),
        (r#"{"choices":[{"delta":{"content":"a"}}],"error":false}"#, "chunk"),
        (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, "chunk"),
        (r#"{"choices":[]}"#, "chunk"),
        (r#"{"usage":{"prompt_tokens":1}}"#, "chunk"),
        (r#"{"type":"ping"}"#, "unknown"),
        (r#"{"type":"note","message":"hello"}"#, "unknown"),
        (r#"{"choices":[{"delta":{"content":"a"}}]"#, "unknown"),
        (r#"{"choices":[{"delta":{"content":"a"}}]}x"#, "unknown"),
        ("7", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(said(data.as_bytes()).0, expected, "{data}");
    }
}

#[test]
fn a_finish_reason_is_a_non_empty_text() {
    let reason = |value: &str| {
        let json = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":{value}}}]}}"#);
        ChunkView::read(json.as_bytes()).unwrap().finish_reason().map(Cow::into_owned)
    };
    assert_eq!(reason("\"stop\"").as_deref(), Some("stop"));
    for none in ["null", "\"\"", "\"null\"", "7", "{}"] {
        assert_eq!(reason(none), None, "{none}");
    }
    assert!(is_failure("error") && !is_failure("length"));
}

#[test]
fn parts_calls_and_whole_messages_are_found() {
    let json = br#"{"choices":[{"index":"1","delta":{"content":[{"type":"text","text":"a"}],"x":1,
        "tool_calls":[{"id":"","index":null,"function":null,"name":"f","arguments":{"a":1}},null]},
        "message":{"content":"whole"}}]}"#;
    let chunk = ChunkView::read(json).unwrap();
    let choice = &chunk.choices[0];
    assert_eq!((choice.index, choice.delta.parts), (Some(1), Some(br#"[{"type":"text","text":"a"}]"#.as_slice())));
    assert_eq!(choice.message.as_ref().unwrap().content.unwrap().to_str(), "whole");
    let call = &choice.delta.tool_calls[0];
    assert_eq!((call.id, call.index, call.function.name.unwrap().to_str()), (None, None, "f".into()));
    assert_eq!(call.function.arguments, Some(Arguments::Json(br#"{"a":1}"#)));
    assert_eq!(choice.delta.others, [("x".into(), b"1".as_slice())]);
    assert!(!chunk.is_odd);
    assert!(ChunkView::read(br#"{"choices":[{"delta":{"content":5}}]}"#).unwrap().is_odd);
}

proptest! {
    #[test]
    fn any_json_event_is_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = read_event(&bytes);
        let _ = read_event(&[br#"{"choices":[{"delta":"#, bytes.as_slice(), b"}]}"].concat());
    }
}

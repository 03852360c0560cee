use super::*;

#[test]
fn a_stream_becomes_one_completion() {
    let raw = Bytes::from_static(
        b"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n\
          data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"He\"}},{\"index\":1,\"delta\":{\"content\":\"other\"}}]}\n\n\
          : ping\n\n\
          data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"stop\"}]}\n\n\
          data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n\
          data: [DONE]\n\n",
    );
    let answer = fold_stream(&raw);
    assert_eq!((answer.text.as_str(), answer.finish_reason.as_deref(), answer.done), ("Hello", Some("stop"), true));
    assert_eq!(answer.usage.unwrap().total_tokens, 3);
    assert_eq!(
        answer.json.unwrap(),
        r#"{"id":"c1","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":"other"},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#
    );
}

#[test]
fn tool_calls_are_joined_by_index() {
    let raw = Bytes::from_static(
        b"data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"read\",\"arguments\":\"\"}}]}}]}\n\n\
          data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n\
          data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
    );
    let json = fold_stream(&raw).json.unwrap();
    assert!(json.contains(r#""content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"read","arguments":"{\"a\":1}"}}]"#), "{json}");
}

#[test]
fn tool_calls_are_in_the_order_of_their_indices() {
    let piece = |index: &str, fields: &str| {
        format!("{{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{{index}{fields}}}]}}}}]}}")
    };
    let begin = |index: &str, name: &str| {
        piece(index, &format!("\"id\":\"{name}\",\"function\":{{\"name\":\"{name}\",\"arguments\":\"\"}}"))
    };
    for (indices, expected) in [
        (["\"index\":1,", "\"index\":0,", "\"index\":2,"], ["b", "a", "c"]),
        (["\"index\":5,", "\"index\":5,", "\"index\":2,"], ["c", "a", "b"]),
        (["\"index\":0,", "\"index\":0,", "\"index\":0,"], ["a", "b", "c"]),
        (["", "", ""], ["a", "b", "c"]),
    ] {
        let events: Vec<String> = indices.iter().zip(["a", "b", "c"]).map(|(at, name)| begin(at, name)).collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let calls = fold(&events)["choices"][0]["message"]["tool_calls"].take();
        let names: Vec<&str> = calls.as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{indices:?}");
    }
}

#[test]
fn messages_in_place_of_deltas_are_joined() {
    let piece = |field: &str, text: &str| format!(r#"{{"choices":[{{"index":0,"{field}":{{"content":"{text}"}}}}]}}"#);
    for (events, expected) in [
        (vec![piece("message", "one "), piece("message", "two")], "one two"),
        // A whole message repeats the deltas.
        (vec![piece("delta", "one "), piece("delta", "two"), piece("message", "one two")], "one two"),
    ] {
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        assert_eq!(fold(&events)["choices"][0]["message"]["content"], expected, "{events:?}");
    }
}

#[test]
fn an_error_in_a_stream_is_detected_in_every_shape() {
    let error = |json: &str| fold_stream(&Bytes::from(format!("data: {json}\n\n"))).error.unwrap();
    assert_eq!(error(r#"{"error":{"message":"quota","code":"insufficient_quota"}}"#).message, "quota");
    assert_eq!(error(r#"{"error":"plain"}"#).message, "plain");
}

#[test]
fn a_non_streamed_answer_is_kept_unchanged() {
    let raw = br#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi","extra":1},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#;
    let answer = fold_completion(raw).unwrap();
    assert_eq!((answer.text.as_str(), answer.usage.unwrap().prompt_tokens), ("hi", 5));
    assert_eq!(answer.json.unwrap().as_bytes(), raw);
}

#[test]
fn other_bodies_are_no_answer() {
    assert!(fold_completion(b"<html>").is_none());
    assert!(fold_completion(b"{}").is_none());
    assert!(fold_completion(br#"{"error":{"message":"no"}}"#).unwrap().error.is_some());
}

/// Folds events into one answer, as a JSON value.
fn fold(events: &[&str]) -> serde_json::Value {
    let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    serde_json::from_str(&fold_stream(&stream.into()).json.unwrap()).unwrap()
}

/// Folds chunks with the given deltas into one message.
fn message(deltas: &[&str]) -> serde_json::Value {
    let events: Vec<String> = deltas.iter().map(|delta| format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#)).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    fold(&events)["choices"][0]["message"].take()
}

#[test]
fn fields_of_other_types_do_not_lose_text() {
    let whole = fold(&[
        r#"{"id":null,"created":1.5,"model":null,"choices":[{"index":null,"delta":{"role":"assistant","content":"a\ud83d"}}]}"#,
        r#"{"choices":[{"index":"0","delta":{"content":"\ude00","content":"\ude00b"}}],"usage":{"prompt_tokens":1.0,"completion_tokens":null}}"#,
        r#"{"id":"x","model":"m","choices":[{"index":0,"delta":{"content":[{"type":"text","text":"c"}],"tool_calls":null}}]}"#,
        r#"{"choices":[{"delta":null,"finish_reason":""}]}"#,
        r#"{"choices":[{"delta":{"reasoning":"r","reasoning_content":"r"},"finish_reason":"stop"}]}"#,
    ]);
    let choice = &whole["choices"][0];
    assert_eq!(choice["message"]["content"], "a\u{1F600}bc");
    assert_eq!(
        (&choice["message"]["reasoning_content"], &choice["message"]["reasoning"]),
        (&"r".into(), &serde_json::Value::Null)
    );
    assert_eq!((&choice["finish_reason"], &whole["id"], &whole["model"]), (&"stop".into(), &"x".into(), &"m".into()));
    assert_eq!(whole["created"], 2);
    assert!(whole.get("unread_events").is_none(), "{whole}");
}

#[test]
fn an_invalid_byte_is_replaced_by_one_character() {
    let raw =
        Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xFFb\"}}],\"x\":\"\xFF\\ud83d\"}\n\n");
    let answer = fold_stream(&raw);
    assert_eq!(answer.text, "a\u{FFFD}b");
    assert!(serde_json::from_str::<serde_json::Value>(&answer.json.unwrap()).is_ok());
}

#[test]
fn unknown_events_are_kept_unchanged() {
    let chunk = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
    let whole = fold(&[chunk, r#"{"type":"ping"}"#, r#"{"choices":[{"delta":{"content":7}}]}"#, "{broken", chunk]);
    assert_eq!(whole["choices"][0]["message"]["content"], "aa");
    let unread = [r#"data: {"type":"ping"}"#, r#"data: {"choices":[{"delta":{"content":7}}]}"#, "data: {broken"];
    assert_eq!(whole["unread_events"], serde_json::json!(unread));
}

#[test]
fn an_error_is_kept_with_the_preceding_events() {
    let chunk = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
    let whole = fold(&[chunk, r#"{"error":{"message":"no","metadata":{"a":1}}}"#]);
    assert_eq!(
        (&whole["error"]["metadata"]["a"], &whole["choices"][0]["message"]["content"]),
        (&1.into(), &"a".into())
    );
    let whole = fold(&[r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"error"}],"error":{"message":"no"}}"#]);
    assert_eq!((&whole["error"]["message"], &whole["choices"][0]["message"]["content"]), (&"no".into(), &"a".into()));
    let whole = fold(&[chunk, r#"{"detail":"no"}"#]);
    assert_eq!(whole["error"]["detail"], "no");
    let whole = fold(&[r#"{"choices":[{"delta":{"content":"a"},"error":{"message":"no"}}]}"#]);
    assert_eq!(whole["choices"][0]["error"]["message"], "no");
}

#[test]
fn tool_calls_without_an_index_are_distinguished() {
    let calls = |deltas: &[&str]| -> Vec<String> {
        let deltas: Vec<String> = deltas.iter().map(|calls| format!(r#"{{"tool_calls":{calls}}}"#)).collect();
        let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
        let calls = message(&deltas)["tool_calls"].take();
        let text = |call: &serde_json::Value| {
            let function = &call["function"];
            [&call["id"], &function["name"], &function["arguments"]].map(|part| part.as_str().unwrap_or("-")).join("|")
        };
        calls.as_array().unwrap().iter().map(text).collect()
    };
    let whole = |id: &str, name: &str, arguments: &str| {
        format!(r#"[{{"id":"{id}","function":{{"name":"{name}","arguments":{arguments}}}}}]"#)
    };
    let expected = ["c1|read|{\"a\":1}", "c2|read|{\"b\":2}"];
    // New ids, in separate chunks and in one chunk.
    assert_eq!(calls(&[&whole("c1", "read", r#""{\"a\":1}""#), &whole("c2", "read", r#""{\"b\":2}""#)]), expected);
    let both = [&whole("c1", "read", r#""{\"a\":1}""#)[1..], &whole("c2", "read", r#""{\"b\":2}""#)]
        .map(|call| call.trim_matches(['[', ']']).to_owned());
    assert_eq!(calls(&[&format!("[{}]", both.join(","))]), expected);
    // Every call has the index 0.
    let zero = |call: &str| call.replace("\"id\"", "\"index\":0,\"id\"");
    assert_eq!(
        calls(&[&zero(&whole("c1", "read", r#""{\"a\":1}""#)), &zero(&whole("c2", "read", r#""{\"b\":2}""#))]),
        expected
    );
    // Pieces without an id belong to the last call; names and ids are repeated or grow.
    let piece = r#"[{"function":{"name":"read","arguments":"1}"}}]"#;
    assert_eq!(calls(&[&whole("c1", "re", r#""{\"a\":""#), piece, &whole("c2", "read", r#""{\"b\":2}""#)]), expected);
    assert_eq!(
        calls(&[&zero(&whole("c1", "read", r#""{\"a\":""#)), &zero(&whole("c1", "read", r#""1}""#))]),
        ["c1|read|{\"a\":1}"]
    );
    // Pieces of a name that do not repeat it are concatenated.
    assert_eq!(
        calls(&[&zero(&whole("c1", "read", "\"\"")), r#"[{"index":0,"function":{"name":"_file","arguments":"{}"}}]"#]),
        ["c1|read_file|{}"]
    );
    // Without ids, names distinguish the calls.
    let nameless = |name: &str| format!(r#"[{{"function":{{"name":"{name}","arguments":"{{}}"}}}}]"#);
    assert_eq!(calls(&[&nameless("a"), &nameless("b"), &nameless("b")]), ["|a|{}", "|b|{}", "|b|{}"]);
    // Arguments that are not a string.
    assert_eq!(calls(&[&whole("c1", "read", r#"{"a":1}"#)]), ["c1|read|{\"a\":1}"]);
    assert_eq!(calls(&[r#"[{"id":"c","name":"f","arguments":{"a":1}}]"#]), ["c|f|{\"a\":1}"]);
    // The older form, `function_call`.
    let old = message(&[r#"{"function_call":{"name":"f","arguments":"{"}}"#, r#"{"function_call":{"arguments":"}"}}"#]);
    assert_eq!((&old["function_call"]["name"], &old["function_call"]["arguments"]), (&"f".into(), &"{}".into()));
}

#[test]
fn fields_of_every_type_are_accumulated() {
    let whole = message(&[
        r#"{"refusal":"I ","audio":{"id":"a","transcript":"ha","data":"AA"},"images":[{"index":0,"image_url":{"url":"u1"}}]}"#,
        r#"{"refusal":"can't","audio":{"transcript":"ha","data":"BB"},"images":[{"index":0,"image_url":{"url":"u2"}}]}"#,
        r#"{"audio":{"expires_at":7},"annotations":[{"type":"url_citation","url_citation":{"url":"x"}}]}"#,
        r#"{"annotations":[{"type":"url_citation","url_citation":{"url":"y"}}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"a","index":0,"signature":null}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"b","index":0,"signature":"s"}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d","index":0}]}"#,
        r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"t"}}}]}"#,
        r#"{"tool_calls":[{"index":0,"extra_content":{"google":{"thought_signature":"t"}}}]}"#,
    ]);
    assert_eq!((&whole["content"], &whole["refusal"]), (&serde_json::Value::Null, &"I can't".into()));
    assert_eq!(whole["audio"], serde_json::json!({"id": "a", "transcript": "haha", "data": "AABB", "expires_at": 7}));
    assert_eq!(whole["images"].as_array().unwrap().len(), 2);
    assert_eq!(whole["annotations"][1]["url_citation"]["url"], "y");
    let details = serde_json::json!([
        {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "d", "index": 0},
    ]);
    assert_eq!(whole["reasoning_details"], details);
    assert_eq!(whole["tool_calls"][0]["extra_content"]["google"]["thought_signature"], "t");
}

#[test]
fn logprobs_usage_details_and_extra_fields_are_kept() {
    let whole = fold(&[
        r#"{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"token":"a"}]}}],"system_fingerprint":"f"}"#,
        r#"{"choices":[{"delta":{"content":"b"},"logprobs":{"content":[{"token":"b"}]},"native_finish_reason":"end","finish_reason":"stop"}],"system_fingerprint":"f"}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4,"prompt_tokens_details":{"cached_tokens":2},"cost":0.5}}"#,
    ]);
    let choice = &whole["choices"][0];
    assert_eq!(choice["logprobs"]["content"], serde_json::json!([{"token": "a"}, {"token": "b"}]));
    assert_eq!((&choice["native_finish_reason"], &whole["system_fingerprint"]), (&"end".into(), &"f".into()));
    assert_eq!(
        (&whole["usage"]["prompt_tokens_details"]["cached_tokens"], &whole["usage"]["cost"]),
        (&2.into(), &0.5.into())
    );
}

#[test]
fn token_counts_are_found_in_every_place() {
    let usage = r#"{"prompt_tokens":1,"completion_tokens":2}"#;
    for chunk in [
        format!(r#"{{"choices":[],"x_groq":{{"id":"r","usage":{usage}}}}}"#),
        format!(r#"{{"choices":[{{"delta":{{}},"usage":{usage}}}]}}"#),
        format!(r#"{{"usage":{usage}}}"#),
    ] {
        assert_eq!(fold_stream(&format!("data: {chunk}\n\n").into()).usage.unwrap().total_tokens, 3, "{chunk}");
    }
}

#[test]
fn reasoning_parts_and_a_repeated_message_are_read() {
    let whole = message(&[
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"th"}]}]}"#,
        r#"{"content":[{"type":"thinking","thinking":"ink","signature":"s"},{"type":"text","text":"a"},"b",{"type":"image_url","image_url":{"url":"u"}}]}"#,
    ]);
    assert_eq!((&whole["content"], &whole["reasoning_content"]), (&"ab".into(), &"think".into()));
    assert_eq!(whole["content_parts"].as_array().unwrap().len(), 2);

    let piece = r#"{"choices":[{"delta":{"content":"hi"}}]}"#;
    let repeated = r#"{"choices":[{"finish_reason":"stop","message":{"content":"hi"}}]}"#;
    assert_eq!(fold(&[piece, repeated])["choices"][0]["message"]["content"], "hi");
    assert_eq!(fold(&[repeated])["choices"][0]["message"]["content"], "hi");
}

#[test]
fn a_non_streamed_answer_with_an_invalid_field_keeps_the_rest() {
    for odd in
        [r#""id":null,"#, r#""usage":{"prompt_tokens":"5","completion_tokens":1.0},"created":"x","#, r#""model":{},"#]
    {
        let raw = format!(
            r#"{{"usage":{{"prompt_tokens":5,"completion_tokens":1}},{odd}"choices":[{{"index":null,"message":{{"content":[{{"type":"text","text":"hi"}}],"tool_calls":7}},"finish_reason":"stop"}}]}}"#
        );
        let answer = fold_completion(raw.as_bytes()).unwrap();
        assert_eq!((answer.text.as_str(), answer.finish_reason.as_deref()), ("hi", Some("stop")), "{odd}");
        assert_eq!((answer.usage.unwrap().total_tokens, answer.json), (6, Some(raw)));
    }
    assert_eq!(fold_completion(br#"{"detail":"no"}"#).unwrap().error.unwrap().message, "no");
}

#[test]
fn folding_takes_linear_time_and_memory() {
    let lines = format!("{}\n", "data:x\n".repeat(1 << 17));
    let details: String = (0..20_000).map(|index| format!("{{\"index\":{index}}},")).collect();
    let elements = format!("data: {{\"choices\":[{{\"delta\":{{\"x\":[{}0]}}}}]}}\n\n", "0,".repeat(1 << 17)).repeat(2);
    let indexed = format!("data: {{\"choices\":[{{\"delta\":{{\"x\":[{details}0]}}}}]}}\n\n").repeat(2);
    let names =
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n"
            .repeat(4000);
    for stream in [lines, elements, indexed, names] {
        let json = fold_stream(&stream.clone().into()).json.unwrap_or_default();
        assert!(json.len() <= 2 * stream.len());
    }
}

#[test]
fn what_is_no_json_is_kept_as_json() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for odd in ["NaN", "[-Infinity]", "\"\t\"", &deep] {
        let event = format!(
            "{{\"choices\":[{{\"delta\":{{\"content\":\"hi\",\"x\":{odd}}},\"logprobs\":{{\"a\":[{odd}]}},\"finish_reason\":\"stop\"}}],\"y\":{odd},\"usage\":{{\"total_tokens\":3,\"z\":{odd}}}}}"
        );
        let whole = fold(&[&event, &event]);
        assert_eq!(
            (&whole["choices"][0]["message"]["content"], &whole["usage"]["total_tokens"]),
            (&"hihi".into(), &3.into())
        );
        assert_eq!(whole.get("unread_events"), None, "{odd:.20}");
        let answer = fold_completion(event.as_bytes()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&answer.json.unwrap()).unwrap();
        assert_eq!((answer.text.as_str(), &json["choices"][0]["delta"]["content"]), ("hi", &"hi".into()));
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_an_answer() {
    let json = r#"{"choices":[{"message":{"content":"hi"}}]}"#;
    assert_eq!(fold_completion(format!("\u{feff}{json}").as_bytes()).unwrap().json.as_deref(), Some(json));
}

#[test]
fn events_without_blank_lines_are_read_one_by_one() {
    let chunk = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n");
    let answer = fold_stream(&format!("{}{}data: [DONE]\n", chunk("a"), chunk("b")).into());
    assert_eq!((answer.text.as_str(), answer.done, answer.finished), ("ab", true, false));
}

#[test]
fn an_empty_type_of_a_call_is_none() {
    let call = |fields: &str| format!("{{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"index\":0,{fields}}}]}}}}]}}");
    let first = call(r#""id":"a","type":"function","function":{"name":"f","arguments":"{"}"#);
    let whole = fold(&[&first, &call(r#""id":"","type":"","function":{"name":"","arguments":"}"}"#)]);
    assert_eq!(whole["choices"][0]["message"]["tool_calls"][0]["type"], "function");
}

proptest::proptest! {
    #[test]
    fn any_bytes_fold_into_json_or_none(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64), json in "[\\{\\}\\[\\]\"\\\\u:,d8a0 ]{0,40}") {
        let chunk = [b"data: {\"choices\":[{\"delta\":{\"x\":\"", json.as_bytes(), b"\",\"content\":\"", &bytes, b"\"}}]}\n\n"].concat();
        let twice = [chunk.as_slice(), &chunk].concat();
        for stream in [bytes, chunk, twice] {
            if let Some(json) = fold_stream(&stream.into()).json {
                proptest::prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
            }
        }
    }
}

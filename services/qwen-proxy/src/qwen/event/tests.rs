use super::*;

fn all(data: &[&str]) -> Vec<Event> {
    let (mut decoder, mut out) = (Decoder::default(), VecDeque::new());
    data.iter().for_each(|data| decoder.decode(data.as_bytes(), false, &mut out));
    out.into()
}

#[track_caller]
fn one(data: &str) -> Event {
    let [event] = &*all(&[data]) else { panic!("{data}: {:?}", all(&[data])) };
    event.clone()
}

fn delta(text: &str, phase: Phase, usage: Option<Usage>) -> Event {
    Event::Delta { text: text.into(), phase, usage }
}

fn with_content(content: &str) -> String {
    format!(r#"{{"choices":[{{"delta":{{"content":{content},"phase":"answer"}}}}]}}"#)
}

/// Joins all text of the answer.
fn text(data: &[&str]) -> String {
    let text = |event: &Event| match event {
        Event::Delta { text, phase: Phase::Answer, .. } | Event::Finished { text, .. } => text.clone(),
        _ => String::new(),
    };
    all(data).iter().map(text).collect()
}

#[test]
fn the_first_event_has_the_ids() {
    let created =
        |parent_id: &str| Event::Created { chat_id: "c".into(), parent_id: parent_id.into(), response_id: "7".into() };
    assert_eq!(one(r#"{"response.created":{"chat_id":"c","parent_id":"p","response_id":7}}"#), created("p"));
    assert_eq!(one(r#"{"response.created":{"chat_id":"c","parent_id":{},"response_id":"7"}}"#), created(""));
}

#[test]
fn text_events_have_the_current_usage() {
    let usage = Some(Usage::new(33, 2));
    assert_eq!(
        one(
            r#"{"choices":[{"delta":{"role":"assistant","content":"He","phase":"answer","status":"typing"}}],"usage":{"input_tokens":33,"output_tokens":2,"characters":2,"total_tokens":35,"input_tokens_details":{"text_tokens":33},"output_tokens_details":{"text_tokens":2},"cached_tokens":0}}"#
        ),
        delta("He", Phase::Answer, usage)
    );
    assert_eq!(
        one(r#"{"choices":[],"usage":{"input_tokens":33,"output_tokens":2}}"#),
        delta("", Phase::Answer, usage),
        "an omitted total is the sum"
    );
}

#[test]
fn malformed_usage_does_not_lose_text() {
    let usage = |prompt_tokens, completion_tokens| Some(Usage::new(prompt_tokens, completion_tokens));
    for (odd, read) in [
        ("null", None),
        ("7", None),
        ("[]", None),
        (r#""none""#, None),
        (r#"{"input_tokens":null,"output_tokens":null}"#, None),
        (r#"{"input_tokens":33.0,"output_tokens":2.0}"#, usage(33, 2)),
        (r#"{"input_tokens":"33","output_tokens":"2"}"#, usage(33, 2)),
        (r#"{"input_tokens":33,"output_tokens":{}}"#, usage(33, 0)),
        (r#"{"input_tokens":33,"output_tokens":2,"total_tokens":null}"#, usage(33, 2)),
        (r#"{"input_tokens":33,"output_tokens":1e999}"#, usage(33, 0)),
        (r#"{"prompt_tokens":33,"completion_tokens":2}"#, usage(33, 2)),
        (r#"{"input_tokens":1,"input_tokens":33,"output_tokens":2}"#, usage(33, 2)),
    ] {
        for finished in [false, true] {
            let status = if finished { "finished" } else { "typing" };
            let data = format!(r#"{{"usage":{odd},"choices":[{{"delta":{{"content":"He","status":"{status}"}}}}]}}"#);
            let expected = match finished {
                false => delta("He", Phase::Answer, read),
                true => Event::Finished { text: "He".into(), usage: read },
            };
            assert_eq!(one(&data), expected, "{data}");
        }
    }
}

#[test]
fn a_content_may_have_parts() {
    for (content, said) in [
        (r#""a""#, "a"),
        ("null", ""),
        ("7", "7"),
        ("[]", ""),
        (r#"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#, "ab"),
        (r#"["a","b"]"#, "ab"),
        (r#"[{"type":"text","text":{"value":"a"}},null,{"type":"image_url"},{"content":"b"}]"#, "ab"),
        (r#"{"type":"text","text":"a"}"#, "a"),
    ] {
        assert_eq!(text(&[&with_content(content)]), said, "{content}");
    }
}

#[test]
fn surrogate_halves_of_two_events_are_joined() {
    let halves = [with_content(r#""a\ud83d""#), with_content(r#""\ude00b""#)];
    assert_eq!(text(&[&halves[0], &halves[1]]), "a\u{1F600}b");
    let empty = [with_content(r#""""#), with_content("null"), r#"{"usage":{"input_tokens":1}}"#.to_owned()];
    for between in &empty {
        assert_eq!(text(&[&halves[0], between, &halves[1]]), "a\u{1F600}b", "{between}");
    }
    let thought = r#"{"choices":[{"delta":{"content":"\ud83d","phase":"think"}}]}"#;
    assert_eq!(text(&[&halves[0], thought, &halves[1]]), "a\u{1F600}b", "surrogate halves are joined per phase");
    assert_eq!(text(&[&with_content(r#"["\ud83d","\ude00"]"#)]), "\u{1F600}");
}

#[test]
fn an_unpaired_surrogate_does_not_lose_other_text() {
    for (content, said) in [
        (r#""a\ud83db""#, "a\u{FFFD}b"),
        (r#""a\ude00b""#, "a\u{FFFD}b"),
        (r#""\ud83d\ud83d\ude00""#, "\u{FFFD}\u{1F600}"),
        (r#""é\ude00\u00e9""#, "é\u{FFFD}é"),
    ] {
        assert_eq!(text(&[&with_content(content)]), said, "{content}");
    }
    let end = r#"{"choices":[{"delta":{"content":"","phase":"answer","status":"finished"}}]}"#;
    assert_eq!(text(&[&with_content(r#""a\ud83d""#), end]), "a\u{FFFD}");
    let mut bytes = with_content(r#""a?b""#).into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[at] = 0xFF;
    let (mut decoder, mut out) = (Decoder::default(), VecDeque::new());
    decoder.decode(&bytes, false, &mut out);
    assert_eq!(out, [delta("a\u{FFFD}b", Phase::Answer, None)], "an invalid UTF-8 byte");
}

#[test]
fn malformed_fields_do_not_lose_text() {
    for data in [
        r#"{"choices":[{"delta":{"content":"a","phase":7,"status":null,"role":{}}}]}"#,
        r#"{"choices":{"delta":{"content":"a"}}}"#,
        r#"{"choices":[{"delta":{"content":"x","content":"a"}}]}"#,
        r#"{"choices":[],"choices":[{"delta":{"content":"a"}}]}"#,
        r#"{"success":"yes","choices":[{"delta":{"content":"a"},"index":null}],"error":null,"ret":[]}"#,
        r#"{"choices":[{"message":{"content":"a"}}],"ret":["SUCCESS::ok"]}"#,
        "\u{feff} {\"choices\":[{\"delta\":{\"content\":\"a\",\"x\":\"\\ud83d\"}}]} ",
    ] {
        assert_eq!(all(&[data]), [delta("a", Phase::Answer, None)], "{data}");
    }
    let deep =
        format!(r#"{{"x":{}{},"choices":[{{"delta":{{"content":"a"}}}}]}}"#, "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(text(&[&deep]), "a");
}

#[test]
fn other_phases_than_answer_are_thinking() {
    for phase in ["think", "thinking_summary", "web_search"] {
        let data = format!(r#"{{"choices":[{{"delta":{{"content":"Hm","phase":"{phase}","status":"finished"}}}}]}}"#);
        assert_eq!(one(&data), delta("Hm", Phase::Thinking, None), "{phase} does not finish the answer");
    }
    for data in
        [r#"{"choices":[{"delta":{"content":"Hm"}}]}"#, r#"{"choices":[{"delta":{"content":"Hm","phase":null}}]}"#]
    {
        assert_eq!(one(data), delta("Hm", Phase::Answer, None), "{data}");
    }
    assert_eq!(
        all(&[r#"{"choices":[{"delta":{"reasoning_content":"Hm","content":"a"}}]}"#]),
        [delta("Hm", Phase::Thinking, None), delta("a", Phase::Answer, None)]
    );
}

#[test]
fn the_last_event_may_contain_text() {
    for (content, text) in [(r#""""#, ""), ("null", ""), (r#""!""#, "!")] {
        let data = format!(
            r#"{{"choices":[{{"delta":{{"content":{content},"role":"assistant","status":"finished","phase":"answer"}}}}]}}"#
        );
        assert_eq!(one(&data), Event::Finished { text: text.into(), usage: None });
    }
    for data in [
        r#"{"choices":[{"delta":null,"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"delta":{"content":""},"finish_reason":"stop"}]}"#,
    ] {
        assert_eq!(one(data), Event::Finished { text: String::new(), usage: None }, "{data}");
    }
    for unfinished in ["null", r#""""#] {
        let data = format!(r#"{{"choices":[{{"delta":{{"content":"a"}},"finish_reason":{unfinished}}}]}}"#);
        assert_eq!(one(&data), delta("a", Phase::Answer, None), "{data}");
    }
}

#[test]
fn errors_are_parsed_in_every_shape() {
    for (data, code) in [
        (r#"{"success":false,"request_id":"x","data":{"code":"RateLimited","details":"quota"}}"#, "insufficient_quota"),
        (r#"{"error":{"code":"internal_error"},"response_id":"r"}"#, "qwen_api_error"),
        (
            r#"{"ret":["FAIL_SYS_USER_VALIDATE","captcha"],"data":{"url":"https://chat.qwen.ai/_____tmd_____/punish"}}"#,
            "captcha_required",
        ),
        (r#"{"choices":null,"error":{"message":"no","code":429}}"#, "rate_limit_exceeded"),
        (r#"{"choices":[],"error":"no"}"#, "qwen_api_error"),
        (r#"{"choices":[{"error":{"code":502,"message":"no"},"finish_reason":"error"}]}"#, "upstream_server_error"),
        (r#"[{"error":{"code":401,"message":"no","status":"UNAUTHENTICATED"}}]"#, "invalid_credentials"),
        (r#"{"object":"error","message":"no","code":400}"#, "upstream_rejected"),
        (r#"{"code":"InvalidParameter","message":"no","request_id":"x"}"#, "qwen_api_error"),
        (r#"{"detail":"no"}"#, "qwen_api_error"),
        (r#"{"detail":[{"loc":["body"],"msg":"no"}]}"#, "qwen_api_error"),
        (r#"{"error_message":"no"}"#, "qwen_api_error"),
        (r#"{"base_resp":{"status_code":1004,"status_msg":"no"}}"#, "qwen_api_error"),
        (r#"{"error":{"message":"half \ud83d","code":"x"}}"#, "qwen_api_error"),
    ] {
        let Event::Failure(failure) = one(data) else { panic!("{data}") };
        assert_eq!(failure.code(), code, "{data}");
    }
    assert_eq!(
        all(&[r#"{"choices":[{"delta":{"content":"a"}}],"error":{"message":"no"}}"#]),
        [delta("a", Phase::Answer, None), Event::Failure(Failure::Refused("no".into()))],
        "text next to an error is kept"
    );
    let mut out = VecDeque::new();
    Decoder::default().decode(b"the model is away", true, &mut out);
    assert_eq!(out, [Event::Failure(Failure::Refused("the model is away".into()))], "an event named `error`");
}

#[test]
fn unknown_events_are_skipped() {
    for data in [
        "",
        "[DONE]",
        "<html>",
        "7",
        "{}",
        r#"{"success":true}"#,
        r#"{"error":null}"#,
        r#"{"error":{},"ret":""}"#,
        r#"{"choices":[{}]}"#,
        r#"{"choices":[{"delta":null,"finish_reason":null}]}"#,
        r#"{"message":"tick"}"#,
    ] {
        assert_eq!(all(&[data]), [], "{data}");
    }
}

#[test]
fn an_answer_may_arrive_whole() {
    let body = br#"{"success":true,"request_id":"x","data":{"chat_id":"","parent_id":"p","message_id":"m","choices":[{"message":{"role":"assistant","content":"a"}}]}}"#;
    let created = Event::Created { chat_id: String::new(), parent_id: "p".into(), response_id: "m".into() };
    assert_eq!(whole(body), [created, Event::Finished { text: "a".into(), usage: None }]);
    for other in ["", "[]", r#"{"success":true,"data":{"id":"x"}}"#, r#"{"choices":[]}"#, r#"{"data":null}"#] {
        assert!(whole(other.as_bytes()).is_empty(), "{other}");
    }
}

//! Tests of the fields of requests.

use proptest::prelude::*;

use super::*;

fn parse(body: &str) -> Result<Envelope, EnvelopeError> {
    Envelope::parse(Api::Chat, body.as_bytes())
}

#[test]
fn parses_the_routing_fields() {
    let envelope = parse(r#"{"stream":true,"messages":[{"role":"user","content":"hi"}],"model":"a\/b"}"#).unwrap();
    assert_eq!((envelope.model.as_deref(), envelope.stream), (Some("a/b"), true));
    let envelope =
        parse(r#"{"messages":[1],"stream":null,"model":null,"stream_options":{"include_usage":true}}"#).unwrap();
    assert_eq!((envelope.model.as_deref(), envelope.stream, envelope.include_usage), (None, false, true));
}

#[test]
fn an_odd_number_of_answers_is_left_to_the_provider() {
    for (n, choices) in
        [("2", 2), ("1", 1), ("0", 1), ("null", 1), ("-1", 1), ("1.5", 1), ("\"3\"", 1), ("3,\"n\":2", 2)]
    {
        assert_eq!(parse(&format!(r#"{{"messages":[1],"n":{n}}}"#)).unwrap().choices, choices, "{n}");
    }
    assert_eq!(parse(r#"{"messages":[1]}"#).unwrap().choices, 1);
    assert_eq!(parse(r#"{"messages":[1],"n":3,"prompt":["a","b"]}"#).unwrap().answers(), 3);
}

#[test]
fn each_prompt_of_completions_has_its_answers() {
    for (fields, answers) in [
        (r#""prompt":"a""#, 1),
        (r#""prompt":["a"]"#, 1),
        (r#""prompt":["a","b"]"#, 2),
        (r#""prompt":[[1,2],[3]],"n":3"#, 6),
        (r#""prompt":[1,2,3]"#, 1),
        (r#""prompt":[]"#, 1),
        (r#""prompt":["a","b"],"n":4294967295"#, u32::MAX),
    ] {
        let body = format!("{{{fields}}}");
        let envelope = Envelope::parse_direct(DirectApi::Completions, body.as_bytes()).unwrap();
        assert_eq!(envelope.answers(), answers, "{fields}");
    }
    let body = br#"{"input":["a","b"],"prompt":["a","b"]}"#;
    assert_eq!(Envelope::parse_direct(DirectApi::Embeddings, body).unwrap().answers(), 1);
}

#[test]
fn names_the_invalid_field() {
    for body in [
        "",
        "{",
        "[]",
        "nonsense",
        r#"{"messages":[1],"model":7}"#,
        r#"{"messages":[1],"stream":"yes"}"#,
        r#"{"messages":[1],"stream_options":true}"#,
        r#"{"messages":[1],"stream_options":{"include_usage":1}}"#,
        r#"{"model":null,"model":"b","messages":[1]}"#,
        r#"{"model":"a","model":"b","messages":[1]}"#,
    ] {
        assert!(matches!(parse(body), Err(EnvelopeError::Malformed { .. })), "{body}");
    }
    // Half a surrogate pair in a message is left to the provider to judge.
    for half in [r#"["\ud83d"]"#, r#"[{"role":"user","content":"a \ude00"}]"#, r#"[{"\ud83d":"\ud83d\ud83d"}]"#] {
        assert!(parse(&format!(r#"{{"model":"a","messages":{half}}}"#)).is_ok(), "{half}");
    }
    assert_eq!(parse(r#"{"model":"a"}"#), Err(EnvelopeError::MissingMessages));
    assert_eq!(parse(r#"{"messages":null}"#), Err(EnvelopeError::MissingMessages));
    let words = |body: &[u8]| Envelope::parse(Api::Chat, body).unwrap_err().to_string();
    assert!(words(br#"{"messages":[1],"model":"\ud83d"}"#).ends_with("`model` contains an unpaired surrogate"));
    assert!(words(br#"{"messages":[1],"stream":1}"#).ends_with("`stream` must be true or false"));
    assert!(words(b"{\"messages\":[1] \"a\":1}").contains("at line 1 column 17"));
    assert!(words(b"{\"messages\":[1],\"a\":\"\xff\"}").contains("utf-8"));
    let deep = format!(r#"{{"messages":[1],"tools":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
    assert!(words(deep.as_bytes()).contains("nested deeper"));
    assert!(words(br#"{"messages":[1],"\ud83d":1}"#).ends_with("a field name contains an unpaired surrogate"));
    for body in [r#"{"messages":[ ]}"#, r#"{"messages":"hi"}"#, r#"{"messages":{}}"#] {
        assert_eq!(parse(body), Err(EnvelopeError::InvalidMessages), "{body}");
    }
}

#[test]
fn each_api_requires_its_own_content() {
    let parse = |api, body: &str| Envelope::parse(api, body.as_bytes());
    let messages = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(parse(Api::Messages, messages).unwrap().model.as_deref(), Some("m"));
    assert_eq!(parse(Api::Messages, r#"{"input":"hi"}"#), Err(EnvelopeError::MissingMessages));
    for content in [r#""input":"hi""#, r#""input":[]"#, r#""previous_response_id":"r""#, r#""prompt":{"id":"p"}"#] {
        let envelope = parse(Api::Responses, &format!(r#"{{"stream":true,{content}}}"#)).unwrap();
        assert!(envelope.stream && !envelope.is_of_responses, "{content}");
    }
    for content in ["{}", r#"{"input":null}"#, messages] {
        assert_eq!(parse(Api::Responses, content), Err(EnvelopeError::MissingInput), "{content}");
    }
    assert!(parse(Api::Chat, r#"{"input":"hi"}"#).unwrap().is_of_responses);
    assert!(!parse(Api::Chat, r#"{"input":"hi","messages":[1]}"#).unwrap().is_of_responses);
    for legacy in [r#"{"prompt":"hi"}"#, r#"{"conversation":"c"}"#] {
        assert_eq!(parse(Api::Chat, legacy), Err(EnvelopeError::MissingMessages), "{legacy}");
    }
    let own = format!(r#"{{"previous_response_id":"resp_{}"}}"#, "0".repeat(32));
    let refers = format!(r#"{{"input":[{{"type":"item_reference","id":"msg_{}_0"}}]}}"#, "0".repeat(32));
    for (body, is_translated) in [
        (own.as_str(), true),
        (r#"{"previous_response_id":"resp_1"}"#, false),
        (refers.as_str(), true),
        (r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#, false),
        (r#"{"input":"item_reference"}"#, false),
    ] {
        let envelope = parse(Api::Responses, body).unwrap();
        assert_eq!(envelope.is_translated(Api::Responses), is_translated, "{body}");
        assert!(envelope.is_translated(Api::Chat));
    }
    let malformed = parse(Api::Messages, "{").unwrap_err().to_string();
    assert!(malformed.starts_with("the request body is not valid JSON for a message: "), "{malformed}");
}

#[test]
fn only_the_model_changes() {
    let body = Bytes::from_static(br#" { "messages" : [1], "model" : "old", "x": 1e400 }"#);
    let envelope = Envelope::parse(Api::Chat, &body).unwrap();
    assert_eq!(
        envelope.with_model(&body, "n\"ew"),
        br#" { "messages" : [1], "model" : "n\"ew", "x": 1e400 }"#.as_slice()
    );
    assert_eq!(envelope.with_model(&body, "old").as_ptr(), body.as_ptr());
}

#[test]
fn one_byte_order_mark_is_removed() {
    for (body, rest) in
        [("\u{feff}{}", "{}"), ("{}", "{}"), ("\u{feff}", ""), ("", ""), ("\u{feff}\u{feff}{}", "\u{feff}{}")]
    {
        assert_eq!(without_bom(Bytes::from(body)), rest);
    }
}

#[test]
fn a_missing_model_is_added() {
    let body = Bytes::from_static(br#"{"messages":[1]}"#);
    let envelope = Envelope::parse(Api::Chat, &body).unwrap();
    assert_eq!(envelope.with_model(&body, "m"), br#"{"model":"m","messages":[1]}"#.as_slice());
}

#[test]
fn a_model_that_is_null_or_empty_is_replaced_in_place() {
    for empty in ["null", "\"\""] {
        for (before, after) in
            [("", ",\"messages\":[1]"), ("\"messages\":[1],", ""), (" \"n\" : 1 ,\"messages\":[1], ", " ")]
        {
            let body = Bytes::from(format!("{{{before}\"model\":{empty}{after}}}"));
            let envelope = Envelope::parse(Api::Chat, &body).unwrap();
            assert_eq!(envelope.model, None);
            assert_eq!(envelope.with_model(&body, "m"), format!("{{{before}\"model\":\"m\"{after}}}"));
        }
    }
    // The name of the field may be written with escapes.
    let body = Bytes::from_static(br#"{"mod\u0065l":null,"messages":[1]}"#);
    let envelope = Envelope::parse(Api::Chat, &body).unwrap();
    assert_eq!(envelope.with_model(&body, "m"), br#"{"mod\u0065l":"m","messages":[1]}"#.as_slice());
}

#[test]
fn token_counts_are_asked_for_wherever_the_options_stand() {
    for (body, expected) in [
        (r#"{"messages":[1]}"#, r#"{"model":"n","stream_options":{"include_usage":true},"messages":[1]}"#),
        (
            r#"{"messages":[1],"stream_options":null,"model":"o"}"#,
            r#"{"messages":[1],"stream_options":{"include_usage":true},"model":"n"}"#,
        ),
        (
            r#"{ "model":"o", "messages":[1],"stream_options":{"x":{"y":1}, "include_usage" : false} }"#,
            r#"{ "model":"n", "messages":[1],"stream_options":{"include_usage":true,"x":{"y":1}} }"#,
        ),
    ] {
        let body = Bytes::from_static(body.as_bytes());
        let envelope = Envelope::parse(Api::Chat, &body).unwrap();
        assert_eq!(envelope.for_provider(&body, Some("n"), true), expected);
        let asked = envelope.for_provider(&body, None, true);
        assert!(Envelope::parse(Api::Chat, &asked).unwrap().include_usage, "{asked:?}");
        assert_eq!(envelope.for_provider(&body, None, false).as_ptr(), body.as_ptr());
    }
}

proptest! {
    #[test]
    fn any_model_name_can_replace_another(old in ".*", new in ".+") {
        let body = Bytes::from(format!(r#"{{"a":[{{"model":"inner"}}],"model":{},"messages":[{{}}]}}"#, serde_json::to_string(&old).unwrap()));
        let renamed = Envelope::parse(Api::Chat, &body).unwrap().with_model(&body, &new);
        let envelope = Envelope::parse(Api::Chat, &renamed).unwrap();
        prop_assert_eq!(envelope.model, Some(new));
        let start = br#"{"a":[{"model":"inner"}],"model":"#;
        prop_assert!(renamed.starts_with(start), "{:?}", renamed);
    }
}

#[test]
fn tools_and_their_effort_are_read() {
    let needs =
        |fields: &str| Envelope::parse(Api::Chat, format!(r#"{{"messages":[1]{fields}}}"#).as_bytes()).unwrap().needs;
    for (fields, tools, no_effort) in [
        ("", false, false),
        (r#","tools":[ ]"#, false, false),
        (r#","tools":null"#, false, false),
        (r#","tools":[{"type":"function"}]"#, true, false),
        (r#","functions":[{"name":"f"}],"reasoning_effort":"none""#, true, true),
        (r#","reasoning_effort":"low","tools":[1]"#, true, false),
    ] {
        assert_eq!(needs(fields), ApiNeeds { tools, no_effort }, "{fields}");
    }
}

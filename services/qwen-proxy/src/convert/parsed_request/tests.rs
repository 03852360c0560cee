use serde_json::{Value, json};

use super::*;
use crate::tools::Call;

fn ask(body: &Value) -> Result<ParsedRequest, Invalid> {
    ParsedRequest::parse(body.to_string().as_bytes())
}

fn talk(messages: &Value) -> ParsedRequest {
    ask(&json!({"messages": messages})).unwrap()
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

#[track_caller]
fn refused(body: &Value, param: Option<&str>, code: &str, message: &str) {
    let error = ask(body).expect_err(&body.to_string());
    assert_eq!((error.param.as_deref(), error.code, error.to_string().as_str()), (param, code, message), "{body}");
}

#[test]
fn omitted_fields_have_defaults() {
    let parsed =
        ask(&json!({"messages": [{"role": "user", "content": "hi"}], "stream": null, "model": "", "tools": null}));
    let parsed = parsed.unwrap();
    assert_eq!((parsed.model.as_str(), parsed.stream, parsed.include_usage), ("qwen3-max", false, false));
    assert!(parsed.tools.is_empty() && parsed.is_first_turn());
}

#[test]
fn known_fields_are_parsed_and_others_ignored() {
    let parsed = ask(&json!({
        "model": "qwen3-coder-plus",
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "name": "me", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": "{\"path\":\"a\"}"}},
                {"id": "call_2", "type": "function", "function": {"name": "list", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "name": "read", "content": ""},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "x"}]},
        ],
        "stream": true,
        "stream_options": {"include_usage": true},
        "temperature": 0.55, "top_p": 1, "max_tokens": 32000, "n": 1, "stop": ["a"],
    }));
    let parsed = parsed.unwrap();
    assert_eq!((parsed.model.as_str(), parsed.stream, parsed.include_usage), ("qwen3-coder-plus", true, true));
    assert_eq!(parsed.first_user_text(), "one\ntwo");
    assert_eq!(parsed.messages[0].role, Role::System);
    let call = |name: &str, arguments: &str| Call { name: name.into(), arguments: arguments.into() };
    assert_eq!(
        parsed.messages[2].calls,
        [("call_1".into(), call("read", r#"{"path":"a"}"#)), ("call_2".into(), call("list", "{}"))]
    );
    assert_eq!(parsed.messages[3].answers, Some(("call_1".into(), Some("read".into()))));
    assert_eq!(parsed.messages[4].text, "x");
}

#[test]
fn messages_are_checked() {
    let user = json!({"role": "user", "content": "hi"});
    for (messages, param, message) in [
        (json!(null), "messages", "messages must be an array"),
        (json!("hi"), "messages", "messages must be an array"),
        (json!([]), "messages", "messages array cannot be empty"),
        (json!([{"role": "system", "content": "s"}]), "messages", "messages must contain at least one user message"),
        (json!([user, 7]), "messages[1]", "messages[1] must be an object"),
        (json!([{"content": "x"}]), "messages[0].role", "messages[0] is missing required field: role"),
        (json!([user, {"role": "user"}]), "messages[1].content", "messages[1] is missing required field: content"),
        (
            json!([{"role": "user", "content": null}]),
            "messages[0].content",
            "messages[0] is missing required field: content",
        ),
        (json!([user, {"role": "assistant"}]), "messages[1].content", "messages[1] is missing required field: content"),
        (
            json!([user, {"role": "tool", "content": "x"}]),
            "messages[1].tool_call_id",
            "messages[1] with role 'tool' is missing required field: tool_call_id",
        ),
        (
            json!([user, {"role": "tool", "tool_call_id": "c"}]),
            "messages[1].content",
            "messages[1] with role 'tool' is missing required field: content",
        ),
        (
            json!([{"role": "robot", "content": "x"}]),
            "messages[0].role",
            "messages[0].role must be 'system', 'user', 'assistant', or 'tool'",
        ),
        (json!([{"role": "user", "content": " "}]), "messages", "First user message must have non-empty text content"),
        (json!([{"role": "user", "content": []}]), "messages", "First user message must have non-empty text content"),
        (
            json!([{"role": "user", "content": 7}]),
            "messages[0].content",
            "messages[0].content must be a string or an array of parts",
        ),
        (
            json!([{"role": "user", "content": [{"type": "text"}]}]),
            "messages[0].content[0]",
            "messages[0].content[0] is missing required field: text",
        ),
        (
            json!([{"role": "user", "content": ["text"]}]),
            "messages[0].content[0]",
            "messages[0].content[0] is missing required field: type",
        ),
        (
            json!([user, {"role": "assistant", "tool_calls": 7}]),
            "messages[1].tool_calls",
            "messages[1].tool_calls must be an array",
        ),
    ] {
        refused(&json!({"messages": messages}), Some(param), "invalid_request", message);
    }
    refused(&json!({}), Some("messages"), "invalid_request", "messages must be an array");
}

#[test]
fn a_malformed_call_in_the_history_is_reported() {
    let history = json!([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{"id": "a"}]}]);
    let error = ask(&json!({"messages": history})).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("messages[1].tool_calls[0]"));
}

#[test]
fn a_part_that_is_not_text_is_reported() {
    for kind in ["image_url", "input_audio", "file", "video_url"] {
        let messages = json!([
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "ho"},
            {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": kind, kind: {}}]},
        ]);
        let message = format!(
            "messages[2].content[1] of type `{kind}` is not supported, because only text is sent to chat.qwen.ai; \
             remove the part, or describe it as text"
        );
        refused(&json!({"messages": messages}), Some("messages[2].content[1]"), "unsupported_content", &message);
    }
}

#[test]
fn other_used_fields_are_checked() {
    let with = |field: &str, value: Value| json!({"messages": [{"role": "user", "content": "hi"}], field: value});
    refused(&with("model", json!(7)), Some("model"), "invalid_request", "model must be a string");
    refused(&with("stream", json!("yes")), Some("stream"), "invalid_request", "stream must be a boolean");
    refused(&with("tools", json!({})), Some("tools"), "invalid_request", "tools must be an array");
    let error = ask(&with("stream_options", json!(true))).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("stream_options"));
    let error = ask(&with("tools", json!([tool("a"), {"type": "web_search"}]))).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("tools[1].type"));
}

#[test]
fn a_body_that_is_not_a_json_object_is_reported() {
    for body in ["", "{", "nonsense", "[]", "\"x\"", "{\"model\":\"a\",\"model\":\"b\",\"messages\":[]}"] {
        let error = ParsedRequest::parse(body.as_bytes()).unwrap_err();
        assert_eq!((error.param.as_deref(), error.code), (None, "invalid_json"), "{body}");
    }
}

#[test]
fn tool_choice_is_applied() {
    let with = |choice: Value| {
        ask(&json!({
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [tool("read"), tool("list")],
            "tool_choice": choice,
        }))
    };
    let named = json!({"type": "function", "function": {"name": "list"}});
    for (choice, tools, must_call) in [
        (json!(null), true, MustCall::Nothing),
        (json!("auto"), true, MustCall::Nothing),
        (json!("none"), false, MustCall::Nothing),
        (json!("required"), true, MustCall::Any),
        (named, true, MustCall::Tool("list".into())),
    ] {
        let parsed = with(choice.clone()).unwrap();
        assert_eq!((!parsed.tools.is_empty(), parsed.must_call), (tools, must_call), "{choice}");
    }
    for choice in [json!("sometimes"), json!(7), json!({"type": "function", "function": {"name": "other"}}), json!({})]
    {
        assert_eq!(with(choice.clone()).unwrap_err().param.as_deref(), Some("tool_choice"), "{choice}");
    }
}

#[test]
fn a_conversation_is_identified_by_its_first_exchange() {
    let first = talk(&json!([{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]));
    assert_eq!((first.is_first_turn(), first.opening_hash()), (true, None));
    let later = talk(&json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "more"},
    ]));
    assert_eq!(later.opening_hash(), Some(conversation::opening_hash("hi", "hello")));
    assert!(!later.is_first_turn());
}

#[test]
fn the_router_computes_the_same_hash() {
    let body = json!({"messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": null, "tool_calls": []},
        {"role": "user", "content": "more"},
    ]});
    let router = conversation::Opening::of(body.to_string().as_bytes()).hash();
    assert_eq!(ask(&body).unwrap().opening_hash(), router);
}

#[test]
fn an_unpaired_surrogate_is_reported() {
    let body = |content: &str| format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#);
    for half in [r"\ud83d", r"\uDE00", r"\uD83D"] {
        for content in
            [format!(r#""a {half}""#), format!(r#""{half}b""#), format!(r#"[{{"type":"text","text":"\\{half}"}}]"#)]
        {
            let error = ParsedRequest::parse(body(&content).as_bytes()).unwrap_err();
            assert_eq!(
                (error.code, error.param.as_deref()),
                ("invalid_unicode", Some("messages[0].content")),
                "{content}"
            );
            assert!(error.to_string().contains(half), "{error}");
        }
    }
    let error = ParsedRequest::parse_prompt(br#"{"prompt":"a \ud83d"}"#).unwrap_err();
    assert_eq!((error.code, error.param.as_deref()), ("invalid_unicode", Some("prompt")));
    for whole in [r#""a \ud83d\ude00""#, r#""C:\\ud83d""#, r#""\\\ud83d\ude00\\""#] {
        assert!(ParsedRequest::parse(body(whole).as_bytes()).is_ok(), "{whole}");
    }
    // In an ignored field an unpaired surrogate is accepted, and does not change the error for another field.
    let body = br#"{"messages":[{"role":"user","content":"hi"}],"metadata":"\ud83d"}"#;
    assert!(ParsedRequest::parse(body).is_ok());
}

#[test]
fn results_of_many_calls_are_written_in_linear_time() {
    // Quadratic work (a search through all calls for each result) would take hours.
    let calls: Vec<Value> = (0..60_000)
        .map(|n| json!({"id": format!("call_{n}"), "type": "function", "function": {"name": "a", "arguments": ""}}))
        .collect();
    let mut messages =
        vec![json!({"role": "user", "content": "hi"}), json!({"role": "assistant", "tool_calls": calls})];
    messages.extend((0..60_000).map(|n| json!({"role": "tool", "tool_call_id": format!("call_{n}"), "content": "x"})));
    let told = talk(&json!(messages)).next_prompt(false).user;
    assert_eq!(told.matches("Tool Result from a:").count(), 60_000);
}

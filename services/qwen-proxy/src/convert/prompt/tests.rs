use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn ask(messages: &Value) -> ParsedRequest {
    with_tools(messages, &json!([]))
}

fn with_tools(messages: &Value, tools: &Value) -> ParsedRequest {
    ParsedRequest::parse(json!({"messages": messages, "tools": tools}).to_string().as_bytes()).unwrap()
}

fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "read"}}])
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// Two calls whose results are in the wrong order, one of them empty.
fn two_results() -> Value {
    json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is there?"},
        {"role": "assistant", "content": "I look.", "tool_calls": [
            call("call_1", "read", r#"{"path":"a"}"#),
            call("call_2", "run", r#"{"command":"true"}"#),
        ]},
        {"role": "tool", "tool_call_id": "call_2", "content": " \n"},
        {"role": "tool", "tool_call_id": "call_1", "content": "text of a"},
        {"role": "tool", "tool_call_id": "call_9", "content": "stray"},
        {"role": "user", "content": "Go on, please."},
    ])
}

#[test]
fn the_first_turn_has_all_system_messages_and_the_user_text() {
    let parsed = ask(&json!([
        {"role": "system", "content": "one"},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": " "},
        {"role": "system", "content": "two"},
        {"role": "user", "content": "there"},
    ]));
    assert_eq!(parsed.opening_prompt(), Prompt { system: Some("one\n\ntwo".into()), user: "hi\n\nthere".into() });
}

#[test]
fn a_chat_without_system_messages_sends_none() {
    assert_eq!(
        ask(&json!([{"role": "user", "content": "hi"}])).opening_prompt(),
        Prompt { system: None, user: "hi".into() }
    );
}

#[test]
fn tools_follow_the_system_message() {
    let user = json!({"role": "user", "content": "hi"});
    let alone = with_tools(&json!([user]), &tools());
    let instructions = alone.tools.instructions();
    assert_eq!(alone.opening_prompt().system, Some(format!("You are a helpful assistant.\n\n{instructions}")));
    let beside = with_tools(&json!([{"role": "system", "content": "s"}, user]), &tools());
    assert_eq!(beside.opening_prompt().system, Some(format!("s\n\n{instructions}")));
}

#[test]
fn a_later_turn_has_every_new_message() {
    assert_eq!(
        ask(&two_results()).next_prompt(false),
        Prompt {
            system: None,
            user: "Tool Result from read:\ntext of a\n\n\
                   Tool Result from run:\n(Command completed successfully with no output)\n\n\
                   Tool Result:\nstray\n\n\
                   Go on, please."
                .into(),
        }
    );
}

#[test]
fn a_new_system_message_is_sent_in_the_user_text() {
    let later = ask(&json!([
        {"role": "system", "content": "old"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "ho"},
        {"role": "system", "content": "new"},
        {"role": "user", "content": "so?"},
    ]));
    assert_eq!(later.next_prompt(false), Prompt { system: None, user: "new\n\nso?".into() });
    assert_eq!(later.replay_prompt().system.as_deref(), Some("old\n\nnew"));
}

#[test]
fn changed_tools_are_sent_at_once() {
    let history = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "ho"},
        {"role": "user", "content": "so?"},
    ]);
    let changed = with_tools(&history, &tools());
    let user = changed.next_prompt(true).user;
    assert_eq!(user, format!("{NEW_TOOLS}\n\n{}\n\nso?", changed.tools.instructions()));
    assert_eq!(ask(&history).next_prompt(true).user, format!("{NO_TOOLS}\n\nso?"));
    assert_eq!(changed.next_prompt(false).user, "so?");
}

#[test]
fn a_final_assistant_message_is_continued() {
    let messages = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]);
    assert_eq!(ask(&messages).next_prompt(false).user, "Go on.");
}

#[test]
fn a_required_tool_call_is_requested() {
    let body = |choice: Value| json!({"messages": [{"role": "user", "content": "hi"}], "tools": tools(), "tool_choice": choice});
    let user = |choice| ParsedRequest::parse(body(choice).to_string().as_bytes()).unwrap().opening_prompt().user;
    assert_eq!(user(json!("required")), "(Call at least one tool in your next message.)\n\nhi");
    assert_eq!(
        user(json!({"type": "function", "function": {"name": "read"}})),
        "(Call the tool read in your next message.)\n\nhi"
    );
}

#[test]
fn a_lost_chat_is_replayed() {
    assert_eq!(
        ask(&two_results()).replay_prompt(),
        Prompt {
            system: Some("Be brief.".into()),
            user: "Our conversation so far, which goes on below:\n\n\
                   <conversation>\n\
                   User:\nWhat is there?\n\n\
                   Assistant:\nI look.\n<read>\n<path>a</path>\n</read>\n<run>\n<command>true</command>\n</run>\n\
                   </conversation>\n\n\
                   Tool Result from read:\ntext of a\n\n\
                   Tool Result from run:\n(Command completed successfully with no output)\n\n\
                   Tool Result:\nstray\n\n\
                   Go on, please."
                .into(),
        }
    );
}

#[test]
fn a_replayed_first_turn_equals_a_first_turn() {
    let first = ask(&json!([{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]));
    assert_eq!(first.replay_prompt(), first.opening_prompt());
}

/// Generates histories, including invalid ones.
fn history() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec!["", " ", "hi", "\n\n", "<read>", "\u{0}"]).prop_map(Value::from);
    let content = prop_oneof![4 => text.clone(), 1 => Just(Value::Null), 1 => text.prop_map(|text| json!([{"type": "text", "text": text}]))];
    let role = prop::sample::select(vec!["system", "user", "user", "assistant", "tool", "developer"]);
    let calls = prop::option::of(prop::sample::select(vec![
        json!([]),
        json!([call("c1", "read", "{}")]),
        json!([call("c2", "run", "{"), call("c1", "read", "")]),
    ]));
    let message = (role, content, calls, "c[1-3]").prop_map(
        |(role, content, calls, id)| json!({"role": role, "content": content, "tool_calls": calls, "tool_call_id": id}),
    );
    prop::collection::vec(message, 0..8).prop_map(Value::from)
}

proptest! {
    #[test]
    fn a_prompt_is_never_empty(messages in history(), with: bool) {
        let body = json!({"messages": messages, "tools": if with { tools() } else { json!([]) }});
        if let Ok(parsed) = ParsedRequest::parse(body.to_string().as_bytes()) {
            for prompt in [parsed.opening_prompt(), parsed.next_prompt(with), parsed.replay_prompt()] {
                prop_assert!(!prompt.user.trim().is_empty());
            }
            prop_assert_eq!(parsed.next_prompt(false).system, None);
            prop_assert!(!with || parsed.replay_prompt().system.is_some_and(|system| system.contains("<tools>")));
        }
    }

    #[test]
    fn any_valid_body_yields_a_prompt(body in ".*", json in "[{}\\[\\]\",:a-z0-9]{0,40}") {
        let _ = ParsedRequest::parse(body.as_bytes());
        let _ = ParsedRequest::parse(format!("{{\"messages\":{json}}}").as_bytes());
    }
}

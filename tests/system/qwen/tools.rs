//! Tools: declared tools are called, others are treated as text, and every result is delivered.

use serde_json::{Value, json};
use signalbox_fakes::qwen::{Endpoint, Reply, Turn};

use super::{LoneQwen, Talk};

fn tool(name: &str) -> Value {
    let parameters = json!({
        "type": "object",
        "properties": {"path": {"type": "string"}, "count": {"type": "integer"}, "all": {"type": "boolean"}},
        "required": ["path"],
    });
    json!({"type": "function", "function": {"name": name, "description": format!("Does {name}"), "parameters": parameters}})
}

fn result(call: &Value, content: &str) -> Value {
    json!({"role": "tool", "tool_call_id": call["id"], "content": content})
}

fn function(call: &Value) -> (&str, Value) {
    let arguments = call["function"]["arguments"].as_str().unwrap();
    (call["function"]["name"].as_str().unwrap(), serde_json::from_str(arguments).unwrap())
}

#[tokio::test]
async fn several_calls_are_typed_and_all_results_are_sent_back() {
    let lone = LoneQwen::start().await;
    for stream in [true, false] {
        let mut talk = Talk::with_tools(json!([tool("read"), tool("run")]));
        let plan = "say Let me look.\ncall read {\"path\":\"12\",\"count\":3,\"all\":true}\ncall run {\"path\":\"<read>x</read>\"}\n\
                    call run {\"path\":\"b\"}\nthen\nrepeat";
        talk.messages.push(json!({"role": "user", "content": plan}));
        let message = talk.go_on(lone.client(), stream).await;
        assert_eq!(message["content"].as_str().map(str::trim), Some("Let me look."));
        let calls = message["tool_calls"].as_array().unwrap();
        let functions: Vec<_> = calls.iter().map(function).collect();
        assert_eq!(
            functions,
            [
                ("read", json!({"path": "12", "count": 3, "all": true})),
                ("run", json!({"path": "<read>x</read>"})),
                ("run", json!({"path": "b"})),
            ]
        );
        talk.messages.extend([result(&calls[0], "first"), result(&calls[1], ""), result(&calls[2], "third")]);
        let told = talk.go_on(lone.client(), stream).await["content"].as_str().unwrap().to_owned();
        let empty = "Tool Result from run:\n(Command completed successfully with no output)";
        for part in ["Tool Result from read:\nfirst", empty, "Tool Result from run:\nthird"] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }
    lone.is_content();
}

#[tokio::test]
async fn an_answer_with_only_a_call_has_empty_content() {
    let lone = LoneQwen::start().await;
    for stream in [true, false] {
        let mut talk = Talk::with_tools(json!([tool("read")]));
        talk.messages.push(json!({"role": "user", "content": "pieces 1\ncall read {\"path\":\"a\"}"}));
        let message = talk.go_on(lone.client(), stream).await;
        if !stream {
            assert_eq!(message["content"], "");
        }
        assert_eq!(message["tool_calls"].as_array().map(Vec::len), Some(1));
        assert_eq!(function(&message["tool_calls"][0]), ("read", json!({"path": "a"})));
    }
}

#[tokio::test]
async fn tags_of_undeclared_tools_are_text() {
    let lone = LoneQwen::start().await;
    let text = "<execute_command>\n<command>ls</command>\n</execute_command> and <b>bold</b>, 1 < 2";
    for (tools, stream) in [(None, true), (None, false), (Some(json!([tool("read")])), true)] {
        let mut talk = Talk { tools, ..Talk::default() };
        assert_eq!(talk.say(lone.client(), stream, &format!("say {}", json!(text))).await, text);
        assert!(talk.messages[1].get("tool_calls").is_none());
    }
}

#[tokio::test]
async fn text_that_resembles_a_call_is_text() {
    let lone = LoneQwen::start().await;
    for text in
        ["<read>\n<path>a</path>", "```tool_code\n{\"tool\":\"read\"}\n```", "</read> <read", "<readme>x</readme>"]
    {
        for stream in [true, false] {
            let mut talk = Talk::with_tools(json!([tool("read")]));
            let said = talk.say(lone.client(), stream, &format!("pieces 1\nsay {}", json!(text))).await;
            assert_eq!(said, text);
        }
    }
}

#[tokio::test]
async fn changed_tools_apply_in_the_middle_of_a_conversation() {
    let lone = LoneQwen::start().await;
    let mut talk = Talk::with_tools(json!([tool("read")]));
    assert_eq!(talk.say(lone.client(), true, "say hello\ncall run {}").await, "hello\nI have no tool run.");
    talk.tools = Some(json!([tool("read"), tool("run")]));
    talk.messages.push(json!({"role": "user", "content": "call run {\"path\":\"a\"}"}));
    let message = talk.go_on(lone.client(), false).await;
    assert_eq!(function(&message["tool_calls"][0]), ("run", json!({"path": "a"})));
    assert_eq!(lone.asked(Endpoint::NewChat), 1);
    // The site would answer a late system message with an empty text.
    lone.is_content();
}

#[tokio::test]
async fn tool_results_survive_a_lost_chat() {
    let lone = LoneQwen::start().await;
    let mut talk = Talk::with_tools(json!([tool("read")]));
    talk.messages.push(json!({"role": "user", "content": "remember n=7\ncall read {\"path\":\"a\"}"}));
    let message = talk.go_on(lone.client(), true).await;
    talk.messages.push(result(&message["tool_calls"][0], "the file"));
    talk.messages.push(json!({"role": "user", "content": "recall n"}));
    lone.site.forget_chats();
    assert_eq!(talk.go_on(lone.client(), true).await["content"], "7");
    let prompt = lone.last_prompt();
    assert!(prompt.contains("the file") && prompt.contains("remember n=7"), "{prompt}");
    // The new chat has the tools as well.
    talk.messages.push(json!({"role": "user", "content": "call read {\"path\":\"b\"}"}));
    let message = talk.go_on(lone.client(), true).await;
    assert_eq!(function(&message["tool_calls"][0]), ("read", json!({"path": "b"})));
    lone.is_content();
}

#[tokio::test]
async fn json_text_of_a_file_stays_a_string() {
    let lone = LoneQwen::start().await;
    let write = json!({"type": "function", "function": {"name": "write", "parameters": {"type": "object", "properties": {
        "path": {}, "meta": {"type": "object"},
    }}}});
    let file = "{\n  \"a\": [1, null]\n}";
    let arguments =
        json!({"path": "a.json", "meta": {"x": 1}, "content": file, "list": "[1]", "none": "null", "on": true, "n": 7});
    for stream in [true, false] {
        let mut talk = Talk::with_tools(json!([write]));
        talk.messages.push(json!({"role": "user", "content": format!("call write {arguments}")}));
        let message = talk.go_on(lone.client(), stream).await;
        assert_eq!(function(&message["tool_calls"][0]), ("write", arguments.clone()));
    }
}

#[tokio::test]
async fn many_calls_with_an_undeclared_parameter_block_no_others() {
    const CALLS: usize = 20_000;
    let lone = LoneQwen::start().await;
    let text = "<read><path>a</path><limit>5</limit></read>\n".repeat(CALLS);
    lone.site
        .script(Endpoint::Completion, Turn::from(Reply { pieces: Some(1000), text: Some(text), ..Reply::default() }));
    for stream in [true, false] {
        let mut talk = Talk::with_tools(json!([tool("read")]));
        talk.messages.push(json!({"role": "user", "content": "hello"}));
        let message = talk.go_on(lone.client(), stream).await;
        let calls = message["tool_calls"].as_array().unwrap();
        assert_eq!(calls.len(), CALLS);
        assert_eq!(function(&calls[CALLS - 1]), ("read", json!({"path": "a", "limit": 5})));
    }
}

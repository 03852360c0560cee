//! Validation of request bodies. All errors of a request are reported together.

use serde_json::Value;

/// Limit between Unix times in seconds (below) and milliseconds.
const SECONDS_END: u64 = 100_000_000_000;

/// The validated fields of a completion request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) chat_id: String,
    pub(super) parent_id: Option<String>,
    pub(super) stream: bool,
    pub(super) system: Option<String>,
    pub(super) user: String,
}

/// Collects the errors of a body.
struct Check<'a> {
    body: &'a Value,
    at: String,
    wrong: Vec<String>,
}

/// Validates the body of a new chat and returns its errors.
pub(super) fn new_chat(body: &Value) -> Vec<String> {
    let mut check = Check { body, at: String::new(), wrong: Vec::new() };
    check.that("title", "a text", |title| title.as_str().is_some_and(|title| !title.is_empty()));
    check.that("models", "a list with one model", one_text);
    check.that("chat_mode", "`guest` or `normal`", is_mode);
    check.that("chat_type", "`t2t`", |kind| kind == "t2t");
    check.that("timestamp", "unix milliseconds", |time| time.as_u64().is_some_and(|time| time >= SECONDS_END));
    check.wrong
}

/// Validates the body of a completion, where `query` is the chat id of the URL.
pub(super) fn completion(body: &Value, query: &str) -> Result<Asked, Vec<String>> {
    let mut check = Check { body, at: String::new(), wrong: Vec::new() };
    check.that("stream", "true or false", Value::is_boolean);
    check.that("incremental_output", "true", |incremental| incremental == true);
    check.that("chat_id", "the chat id of the URL", |chat| chat == query);
    check.that("chat_mode", "`guest` or `normal`", is_mode);
    check.that("model", "a model", |model| model.as_str().is_some_and(|model| !model.is_empty()));
    check.that("parent_id", "null or the id of the previous answer", |parent| parent.is_null() || parent.is_string());
    check.that("timestamp", "unix seconds", is_seconds);
    let mut wrong = check.wrong;
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, message) in messages.iter().enumerate() {
        wrong.extend(wrong_with(message, index, body));
    }
    let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    let (system, user) = match messages {
        [user] if user["role"] == "user" => (None, text(user)),
        [system, user] if system["role"] == "system" && user["role"] == "user" => (Some(text(system)), text(user)),
        _ => {
            wrong.push("messages must be a user message, or a system message and a user message".into());
            return Err(wrong);
        }
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let parent_id = body["parent_id"].as_str().map(str::to_owned);
    Ok(Asked { chat_id: query.to_owned(), parent_id, stream: body["stream"] == true, system, user })
}

fn wrong_with(message: &Value, index: usize, body: &Value) -> Vec<String> {
    let mut check = Check { body: message, at: format!("messages[{index}]."), wrong: Vec::new() };
    // A system message is always the first of a chat.
    let parent = if message["role"] == "system" { &Value::Null } else { &body["parent_id"] };
    check.that("fid", "a new UUID", |id| id.as_str().is_some_and(|id| uuid::Uuid::parse_str(id).is_ok()));
    check.that("parentId", "the parent_id of the turn", |id| id == parent);
    check.that("parent_id", "the parent_id of the turn", |id| id == parent);
    check.that("childrenIds", "an empty list", is_empty_list);
    check.that("content", "a plain text", |content| content.as_str().is_some_and(|text| !text.is_empty()));
    check.that("user_action", "`chat`", |action| action == "chat");
    check.that("files", "an empty list", is_empty_list);
    check.that("timestamp", "unix seconds", is_seconds);
    check.that("models", "a list with the model of the turn", |models| one_text(models) && models[0] == body["model"]);
    check.that("chat_type", "`t2t`", |kind| kind == "t2t");
    check.that("sub_chat_type", "`t2t`", |kind| kind == "t2t");
    check.that("feature_config", "an output_schema `phase` and a thinking_enabled", |features| {
        features["output_schema"] == "phase" && features["thinking_enabled"].is_boolean()
    });
    check.that("extra", "a meta.subChatType `t2t`", |extra| extra["meta"]["subChatType"] == "t2t");
    check.wrong
}

fn one_text(list: &Value) -> bool {
    list.as_array().is_some_and(|list| matches!(list.as_slice(), [Value::String(_)]))
}

fn is_empty_list(list: &Value) -> bool {
    list.as_array().is_some_and(Vec::is_empty)
}

fn is_mode(mode: &Value) -> bool {
    mode == "guest" || mode == "normal"
}

fn is_seconds(time: &Value) -> bool {
    time.as_u64().is_some_and(|time| time > 0 && time < SECONDS_END)
}

// === impl Check ===

impl Check<'_> {
    /// Requires that a field is present and `right` returns true for it.
    fn that(&mut self, field: &str, what: &str, right: impl FnOnce(&Value) -> bool) {
        if !self.body.get(field).is_some_and(right) {
            self.wrong.push(format!("{}{field} must be {what}", self.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(role: &str, parent: &Value) -> Value {
        json!({
            "fid": "0199a3f0-0000-7000-8000-000000000001", "parentId": parent, "parent_id": parent, "childrenIds": [],
            "role": role, "content": "hello", "user_action": "chat", "files": [], "timestamp": 1_763_700_000,
            "models": ["qwen3-max"], "chat_type": "t2t", "sub_chat_type": "t2t",
            "feature_config": {"thinking_enabled": false, "output_schema": "phase"},
            "extra": {"meta": {"subChatType": "t2t"}},
        })
    }

    fn body(parent: &Value, messages: &[Value]) -> Value {
        json!({
            "stream": true, "incremental_output": true, "chat_id": "c", "chat_mode": "guest", "model": "qwen3-max",
            "parent_id": parent, "timestamp": 1_763_700_000, "messages": messages,
        })
    }

    #[test]
    fn first_and_later_turns_are_accepted() {
        let none = Value::Null;
        let asked = completion(&body(&none, &[message("system", &none), message("user", &none)]), "c").unwrap();
        assert_eq!((asked.system.as_deref(), asked.user.as_str()), (Some("hello"), "hello"));
        let parent = json!("p");
        let asked = completion(&body(&parent, &[message("user", &parent)]), "c").unwrap();
        assert_eq!((asked.parent_id.as_deref(), asked.system, asked.stream), (Some("p"), None, true));
    }

    #[test]
    fn each_wrong_field_is_reported() {
        let good = body(&Value::Null, &[message("user", &Value::Null)]);
        for (pointer, value) in [
            ("/timestamp", json!(1_763_700_000_000_u64)),
            ("/chat_id", json!("other")),
            ("/incremental_output", json!(false)),
            ("/messages/0/content", json!([{"type": "text", "text": "hello"}])),
            ("/messages/0/timestamp", json!(1_763_700_000_000_u64)),
            ("/messages/0/parentId", json!("p")),
            ("/messages/0/fid", json!("x")),
            ("/messages/0/models", json!(["another"])),
            ("/messages/0/extra", json!({})),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            let wrong = completion(&bad, "c").unwrap_err();
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            let field = pointer[1..].replace("messages/0/", "messages[0].");
            assert!(wrong[0].starts_with(&format!("{field} must be ")), "{wrong:?}");
        }
        for field in good.as_object().unwrap().keys() {
            let mut bad = good.clone();
            bad.as_object_mut().unwrap().remove(field);
            assert!(completion(&bad, "c").is_err(), "{field}");
        }
    }

    #[test]
    fn a_new_chat_requires_milliseconds() {
        let mut body = json!({
            "title": "API Chat", "models": ["qwen3-max"], "chat_mode": "guest", "chat_type": "t2t",
            "timestamp": 1_763_700_000_000_u64,
        });
        assert_eq!(new_chat(&body), Vec::<String>::new());
        body["timestamp"] = json!(1_763_700_000);
        assert_eq!(new_chat(&body), ["timestamp must be unix milliseconds"]);
    }
}

//! The request bodies for chat.qwen.ai, and its short responses. Pure functions.

use serde::Serialize;
use serde_json::Value;
use signalbox_core::id;

use crate::convert::Prompt;

/// Chat mode that works with and without a login; the site has others for logged-in users.
const CHAT_MODE: &str = "guest";
/// Text-to-text chat.
const CHAT_TYPE: &str = "t2t";

/// Request to open a chat.
#[derive(Debug, Serialize)]
pub struct NewChat<'a> {
    title: &'a str,
    models: [&'a str; 1],
    chat_mode: &'static str,
    chat_type: &'static str,
    /// Unix milliseconds; all other timestamps of the site are in seconds.
    timestamp: i64,
}

/// Request for the next answer of a chat.
#[derive(Debug, Serialize)]
pub struct Completion<'a> {
    stream: bool,
    incremental_output: bool,
    chat_id: &'a str,
    chat_mode: &'static str,
    model: &'a str,
    /// Id of the answer to be continued; null at the start of a chat.
    parent_id: Option<&'a str>,
    /// Unix seconds.
    timestamp: i64,
    messages: Vec<Message<'a>>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    fid: String,
    #[serde(rename = "parentId")]
    parent: Option<&'a str>,
    parent_id: Option<&'a str>,
    #[serde(rename = "childrenIds")]
    children: [(); 0],
    role: &'static str,
    content: &'a str,
    user_action: &'static str,
    files: [(); 0],
    timestamp: i64,
    models: [&'a str; 1],
    chat_type: &'static str,
    sub_chat_type: &'static str,
    feature_config: Features,
    extra: Extra,
}

#[derive(Debug, Serialize)]
struct Features {
    thinking_enabled: bool,
    output_schema: &'static str,
}

#[derive(Debug, Serialize)]
struct Extra {
    meta: Meta,
}

#[derive(Debug, Serialize)]
struct Meta {
    #[serde(rename = "subChatType")]
    sub_chat_type: &'static str,
}

// === impl NewChat ===

impl<'a> NewChat<'a> {
    /// Creates a request for a chat with this model at this time (Unix milliseconds).
    #[must_use]
    pub const fn new(title: &'a str, model: &'a str, now_ms: i64) -> Self {
        Self { title, models: [model], chat_mode: CHAT_MODE, chat_type: CHAT_TYPE, timestamp: now_ms }
    }
}

/// Returns the id of the opened chat from the response to [`NewChat`]. Rejects ids that cannot be used in a path.
#[must_use]
pub fn opened_chat(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let id = match answer.pointer("/data/id").or_else(|| answer.get("id"))? {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    let is_plain =
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    is_plain.then_some(id)
}

// === impl Completion ===

impl<'a> Completion<'a> {
    /// Creates a request that sends the prompt as the next message after `parent`, at this time (Unix seconds). The
    /// answer is always streamed, because only a stream contains the token counts.
    #[must_use]
    pub fn new(chat_id: &'a str, model: &'a str, parent: Option<&'a str>, prompt: &'a Prompt, now_s: i64) -> Self {
        let message = |role, content, parent| Message {
            fid: id::request_id().to_string(),
            parent,
            parent_id: parent,
            children: [],
            role,
            content,
            user_action: "chat",
            files: [],
            timestamp: now_s,
            models: [model],
            chat_type: CHAT_TYPE,
            sub_chat_type: CHAT_TYPE,
            feature_config: Features { thinking_enabled: false, output_schema: "phase" },
            extra: Extra { meta: Meta { sub_chat_type: CHAT_TYPE } },
        };
        let system = prompt.system.as_deref().map(|text| message("system", text, None));
        Self {
            stream: true,
            incremental_output: true,
            chat_id,
            chat_mode: CHAT_MODE,
            model,
            parent_id: parent,
            timestamp: now_s,
            messages: system.into_iter().chain([message("user", &prompt.user, parent)]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn completion(parent: Option<&str>, system: Option<&str>) -> Value {
        let prompt = Prompt { system: system.map(str::to_owned), user: "hi".to_owned() };
        serde_json::to_value(Completion::new("c", "m", parent, &prompt, 7)).unwrap()
    }

    #[test]
    fn a_message_has_all_its_fields() {
        let mut sent = completion(Some("p"), None);
        let fid = sent["messages"][0]["fid"].take();
        assert_eq!(fid.as_str().map(str::len), Some(36));
        let expected = json!({
            "stream": true, "incremental_output": true, "chat_id": "c", "chat_mode": "guest", "model": "m",
            "parent_id": "p", "timestamp": 7,
            "messages": [{
                "fid": null, "parentId": "p", "parent_id": "p", "childrenIds": [], "role": "user", "content": "hi",
                "user_action": "chat", "files": [], "timestamp": 7, "models": ["m"], "chat_type": "t2t",
                "sub_chat_type": "t2t", "feature_config": {"thinking_enabled": false, "output_schema": "phase"},
                "extra": {"meta": {"subChatType": "t2t"}},
            }],
        });
        assert_eq!(sent, expected);
    }

    #[test]
    fn the_first_message_has_no_parent() {
        let sent = completion(None, Some("be kind"));
        assert_eq!((&sent["parent_id"], sent["messages"].as_array().map(Vec::len)), (&Value::Null, Some(2)));
        let roles: Vec<&Value> = sent["messages"].as_array().unwrap().iter().map(|message| &message["role"]).collect();
        assert_eq!(roles, ["system", "user"]);
        assert!(sent["messages"].as_array().unwrap().iter().all(|message| message["parentId"].is_null()));
    }

    #[test]
    fn a_new_chat_has_a_timestamp_in_milliseconds() {
        let sent = serde_json::to_value(NewChat::new("API Chat", "m", 7000)).unwrap();
        let expected =
            json!({"title": "API Chat", "models": ["m"], "chat_mode": "guest", "chat_type": "t2t", "timestamp": 7000});
        assert_eq!(sent, expected);
        for (answer, id) in [
            (r#"{"success":true,"data":{"id":"x"}}"#, "x"),
            (r#"{"success":"yes","data":{"id":7,"id2":{}}}"#, "7"),
            (r#"{"id":"0198-x"}"#, "0198-x"),
        ] {
            assert_eq!(opened_chat(answer.as_bytes()).as_deref(), Some(id), "{answer}");
        }
        for none in
            ["", "{}", r#"{"data":null}"#, r#"{"data":{}}"#, r#"{"data":{"id":""}}"#, r#"{"data":{"id":"a&b=c"}}"#]
        {
            assert_eq!(opened_chat(none.as_bytes()), None, "{none}");
        }
    }
}

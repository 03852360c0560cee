//! How much of requests and responses the log keeps.
//!
//! Content that is not kept never reaches the disk: it is removed before the record is written.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use signalbox_core::{Api, json::Reader, openai::FoldedAnswer};
use signalbox_daemon::KeptTexts;

use super::{answer::fold, costs::service_tier};

/// Detail in which the log keeps bodies. The stricter of two values is the greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bodies {
    /// The complete body.
    #[default]
    Full,
    /// The structure of the body: texts, images and arguments are replaced by their length.
    Redact,
    /// Only model, usage and finish reason.
    Off,
}

/// Detail in which the log keeps one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyPolicy {
    /// Detail of the request.
    pub request: Bodies,
    /// Detail of the response.
    pub answer: Bodies,
}

/// Fields whose values have names of the user's or the model's own. The keys of `logprobs` are the tokens of the answer.
const OWN: [&str; 7] = ["arguments", "attributes", "documents", "logprobs", "metadata", "top_logprobs", "variables"];

/// Values of `role` that are kept.
const ROLES: [&str; 7] = ["assistant", "developer", "function", "model", "system", "tool", "user"];

/// Values of `status` that are kept.
const STATUSES: [&str; 6] = ["cancelled", "completed", "failed", "in_progress", "incomplete", "queued"];

/// Maximum length of a word in the terms of an API, such as a type.
const MAX_WORD: usize = 40;

/// Maximum length of the id of an answer.
const MAX_ID: usize = 256;

/// Text in place of one that is not kept.
const REDACTED: &str = "[redacted]";

// === impl BodyPolicy ===

impl BodyPolicy {
    /// Returns the policy that keeps no more than this one and `bodies`.
    #[must_use]
    pub fn at_most(self, bodies: Bodies) -> Self {
        Self { request: self.request.max(bodies), answer: self.answer.max(bodies) }
    }

    /// Returns the texts that may be kept.
    #[must_use]
    pub fn texts(self) -> KeptTexts {
        KeptTexts { request: self.request == Bodies::Full, answer: self.answer == Bodies::Full }
    }
}

// === impl Bodies ===

impl Bodies {
    /// Returns the detail with this name: `full`, `redact` or `off`. An unknown name, which only another version of the
    /// program can have written, counts as the strictest one.
    pub(crate) fn of_word(word: &str) -> Self {
        match word {
            "full" => Self::Full,
            "redact" => Self::Redact,
            _ => Self::Off,
        }
    }

    /// Parses a value of a provider's configuration.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "full" => Some(Self::Full),
            "redact" => Some(Self::Redact),
            "off" => Some(Self::Off),
            _ => None,
        }
    }

    /// Returns the part of a request that is kept.
    #[must_use]
    pub fn of_request(self, body: &Bytes) -> Bytes {
        match self {
            Self::Full => body.clone(),
            Self::Off => Bytes::from_static(b"null"),
            Self::Redact => {
                serde_json::from_slice(body).map(|body| redact(body, Some(0))).unwrap_or_default().to_string().into()
            }
        }
    }

    /// Returns the part of a response of `api` that is kept, as one JSON document.
    #[must_use]
    pub fn of_answer(self, api: Api, raw: &[u8], streamed: bool) -> Vec<u8> {
        let raw = Bytes::copy_from_slice(raw);
        let answer = fold(api, &raw, streamed).unwrap_or_default();
        let whole = answer.json.as_deref().and_then(|json| Reader::new(json.as_bytes()).value());
        match (self, whole) {
            (Self::Redact, Some(whole)) => redact(whole, Some(0)),
            _ => with_tier(outline(api, &answer), answer.json.as_deref()),
        }
        .to_string()
        .into_bytes()
    }
}

/// Returns the metadata of a response without its content, in the form of its API.
fn outline(api: Api, answer: &FoldedAnswer) -> Value {
    let error = answer.error.as_ref().map(|error| {
        json!({"message": "[redacted]", "type": error.kind.as_deref().map(word), "code": error.code.as_deref().map(word)})
    });
    let usage = answer.usage.map(|usage| {
        json!({"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens, "total_tokens": usage.total_tokens})
    });
    let reason = answer.finish_reason.as_deref().map(word);
    let id = if is_id(&answer.id) { &*answer.id } else { REDACTED };
    match api {
        Api::Chat => {
            let choice =
                json!({"index": 0, "message": {"role": "assistant", "content": null}, "finish_reason": reason});
            json!({"id": id, "object": "chat.completion", "choices": [choice], "usage": answer.usage, "error": error})
        }
        Api::Messages if error.is_some() => json!({"type": "error", "error": error}),
        Api::Messages => {
            json!({"id": id, "type": "message", "content": [], "stop_reason": reason, "usage": usage})
        }
        Api::Responses => {
            let status = match reason {
                _ if error.is_some() => "failed",
                Some("completed") => "completed",
                Some(_) => "incomplete",
                None => "in_progress",
            };
            let details = (status == "incomplete").then(|| json!({"reason": reason}));
            json!({"id": id, "object": "response", "status": status, "output": [], "usage": usage, "error": error, "incomplete_details": details})
        }
    }
}

/// Returns a text that has the form of a word of an API; anything else may be a text of the user.
fn word(text: &str) -> &str {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if text.len() <= MAX_WORD && text.bytes().all(is_part) { text } else { REDACTED }
}

/// Returns whether a text has the form of the id of an answer.
fn is_id(text: &str) -> bool {
    text.len() <= MAX_ID && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Adds the service tier of the answer, on which its cost depends.
fn with_tier(mut outline: Value, answer: Option<&str>) -> Value {
    if let Some(tier) = answer.and_then(service_tier) {
        outline["service_tier"] = word(&tier).into();
    }
    outline
}

/// Returns whether a text is in the terms of an API rather than of its user. `level` is the number of objects around
/// the object that has the field.
fn is_term(field: &str, text: &str, level: usize) -> bool {
    let is_word = || {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.');
        text.len() <= MAX_WORD && text.bytes().all(is_letter)
    };
    match field {
        "model" => level == 0,
        "role" => ROLES.contains(&text),
        "status" => STATUSES.contains(&text),
        "type" | "object" | "finish_reason" | "stop_reason" | "service_tier" => is_word(),
        _ => false,
    }
}

/// Replaces every string by its length, except the [terms of the API](is_term). `level` is the number of objects around
/// the value; `None` in values whose names are the user's own.
///
/// Numbers stay, but not lists of them: token ids, bytes and vectors are texts in another form. The input of a tool call,
/// metadata and documents have names of the user's own, so nothing in them is kept, neither names nor numbers.
fn redact(value: Value, level: Option<usize>) -> Value {
    match value {
        Value::String(text) => Value::String(format!("[{} characters]", text.chars().count())),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_number) => {
            Value::String(format!("[{} numbers]", items.len()))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| redact(item, level)).collect()),
        Value::Object(fields) => {
            let is_call = fields.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("tool_use"));
            let redacted = fields.into_iter().enumerate().map(|(at, (key, value))| {
                let Some(level) = level else { return (format!("[field {}]", at + 1), redact(value, None)) };
                match value {
                    Value::String(text) if is_term(&key, &text, level) => (key, Value::String(text)),
                    value => {
                        let is_own = OWN.contains(&key.as_str()) || key == "input" && is_call;
                        (key, redact(value, (!is_own).then_some(level + 1)))
                    }
                }
            });
            Value::Object(redacted.collect::<Map<String, Value>>())
        }
        Value::Number(_) if level.is_none() => Value::String("[number]".into()),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] =
        br#"{"model":"m","temperature":0.5,"messages":[{"role":"user","content":[{"type":"text","text":"canary"}]}]}"#;
    const STREAM: &[u8] = b"data: {\"id\":\"i\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"canary\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n";

    #[test]
    fn full_keeps_the_bytes() {
        let body = Bytes::from_static(REQUEST);
        assert_eq!(Bodies::Full.of_request(&body).as_ptr(), body.as_ptr());
    }

    #[test]
    fn redact_keeps_the_shape() {
        let kept = Bodies::Redact.of_request(&Bytes::from_static(REQUEST));
        let expected = json!({"model": "m", "temperature": 0.5, "messages": [{"role": "user", "content": [{"type": "text", "text": "[6 characters]"}]}]});
        assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), expected);
    }

    #[test]
    fn the_input_of_a_tool_call_is_content_whatever_its_names_are() {
        let call = json!({"type": "tool_use", "name": "f", "input": {"status": "canary", "role": ["canary"], "in": {"type": "canary"}}});
        let body = json!({"metadata": {"model": "canary"}, "messages": [{"role": "assistant", "content": [call]}]});
        let kept = Bodies::Redact.of_request(&body.to_string().into());
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        assert!(!kept.to_string().contains("canary"), "{kept}");
        assert_eq!(kept["messages"][0]["content"][0]["type"], "tool_use");
        let input = &kept["messages"][0]["content"][0]["input"];
        assert_eq!(input["[field 1]"]["[field 1]"], "[6 characters]", "{kept}");
    }

    #[test]
    fn texts_under_the_names_of_terms_are_not_kept() {
        const NAMES: [&str; 8] =
            ["finish_reason", "model", "object", "role", "service_tier", "status", "stop_reason", "type"];
        for name in NAMES {
            let own = json!({ name: "canary words" });
            for body in [
                json!({"model": "m", "messages": [{"tool_calls": [{"function": {"name": "f", "arguments": own}}]}]}),
                json!({"model": "m", "prompt": {"id": "p", "variables": {name: "canary"}}}),
                json!({"model": "m", "output": [{"results": [{"attributes": {name: "canary"}}]}]}),
                json!({"model": "m", "results": [{"index": 0, "document": own}]}),
                json!({"model": "m", "input": [own], "extra": {"deep": own}}),
                json!({"model": "m", "tools": [{"parameters": {"examples": [own]}}]}),
            ] {
                let kept = Bodies::Redact.of_request(&body.to_string().into());
                let kept = String::from_utf8_lossy(&kept).into_owned();
                assert!(!kept.contains("canary") && kept.contains(r#""model":"m""#), "{kept}");
            }
        }
        let plain = json!({"object": "chat.completion", "choices": [{"message": {"role": "assistant"}, "finish_reason": "stop"}]});
        let kept = Bodies::Redact.of_request(&plain.to_string().into());
        assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), plain);
    }

    #[test]
    fn numbers_and_names_that_are_text_are_not_kept() {
        for body in [
            json!({"prompt": [1234, 5678]}),
            json!({"input": [[1234], [5678, 1234]]}),
            json!({"data": [{"index": 0, "embedding": [0.1234, -0.5678]}]}),
            json!({"choices": [{"logprobs": {"tokens": ["a"], "top_logprobs": [{"1234": -0.5678}], "text_offset": [1234]}}]}),
            json!({"choices": [{"logprobs": {"content": [{"token": "a", "bytes": [1234], "logprob": -0.5678}]}}]}),
            json!({"output": [{"content": [{"text": "a", "logprobs": [{"bytes": [1234], "top_logprobs": [{"token": "5678"}]}]}]}]}),
            json!({"documents": [{"1234": 5678}], "metadata": {"1234": "5678"}}),
        ] {
            let kept = Bodies::Redact.of_request(&body.to_string().into());
            let kept = String::from_utf8_lossy(&kept).into_owned();
            assert!(!kept.contains("1234") && !kept.contains("5678"), "{kept}");
        }
        let kept = Bodies::Redact.of_request(&Bytes::from_static(br#"{"n":2,"stop":[],"usage":{"total_tokens":3}}"#));
        assert_eq!(kept, r#"{"n":2,"stop":[],"usage":{"total_tokens":3}}"#);
    }

    #[test]
    fn redaction_removes_all_text_and_keeps_figures() {
        for bodies in [Bodies::Redact, Bodies::Off] {
            for (raw, streamed) in [(STREAM, true), (br#"{"id":"i","choices":[{"index":0,"message":{"role":"assistant","content":"canary"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#.as_slice(), false), (br#"{"error":{"message":"canary","code":"c"}}"#, false), (b"canary", false)] {
                let kept = bodies.of_answer(Api::Chat, raw, streamed);
                assert!(!String::from_utf8_lossy(&kept).contains("canary"), "{bodies:?} {}", String::from_utf8_lossy(&kept));
                if raw.len() > 60 {
                    let answer = signalbox_core::openai::fold_completion(&kept).unwrap();
                    assert_eq!((answer.finish_reason.as_deref(), answer.usage.unwrap().total_tokens), (Some("stop"), 3));
                }
            }
            let request = bodies.of_request(&Bytes::from_static(REQUEST));
            assert!(!String::from_utf8_lossy(&request).contains("canary"));
        }
    }

    #[test]
    fn texts_in_the_words_of_an_error_are_not_kept() {
        let long = "canary".repeat(10);
        for text in ["the canary words", &long, "canary\u{e4}"] {
            let error = json!({"error": {"message": text, "type": text, "code": text}});
            let ended = json!({"id": text, "choices": [{"index": 0, "message": {}, "finish_reason": text}], "service_tier": text});
            for (api, body) in [
                (Api::Chat, error.clone()),
                (Api::Chat, ended),
                (Api::Messages, json!({"type": "error", "error": error["error"]})),
                (
                    Api::Responses,
                    json!({"id": text, "object": "response", "status": "failed", "error": error["error"]}),
                ),
            ] {
                for bodies in [Bodies::Redact, Bodies::Off] {
                    let kept = bodies.of_answer(api, body.to_string().as_bytes(), false);
                    let kept = String::from_utf8_lossy(&kept).into_owned();
                    let is_id = bodies == Bodies::Off && text == long;
                    assert!(is_id || !kept.contains("canary"), "{bodies:?} {kept}");
                }
            }
        }
        let body = br#"{"error":{"message":"canary","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
        let kept: Value = serde_json::from_slice(&Bodies::Off.of_answer(Api::Chat, body, false)).unwrap();
        let expected =
            json!({"message": "[redacted]", "type": "invalid_request_error", "code": "context_length_exceeded"});
        assert_eq!(kept["error"], expected);
    }

    #[test]
    fn the_metadata_of_each_api_is_read_back() {
        let message = br#"{"id":"i","type":"message","content":[{"type":"text","text":"canary"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}"#;
        let response = br#"{"id":"i","object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"canary"}]}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}"#;
        for (api, raw, reason) in
            [(Api::Messages, message.as_slice(), "end_turn"), (Api::Responses, response.as_slice(), "completed")]
        {
            for bodies in [Bodies::Redact, Bodies::Off] {
                let kept = bodies.of_answer(api, raw, false);
                assert!(!String::from_utf8_lossy(&kept).contains("canary"));
                let answer = fold(api, &kept.into(), false).unwrap();
                assert_eq!((answer.finish_reason.as_deref(), answer.usage.unwrap().total_tokens), (Some(reason), 3));
            }
        }
    }

    #[test]
    fn stricter_policies_compare_greater() {
        assert!(Bodies::Off > Bodies::Redact && Bodies::Redact > Bodies::Full);
        assert_eq!((Bodies::parse("redact"), Bodies::parse("some")), (Some(Bodies::Redact), None));
    }
}

//! Detects whether a response is an event stream or a complete document, and converts between the two.
//!
//! Some servers declare event streams as plain text and JSON as octets, or send a complete response to a request for a
//! stream. The first bytes of a response are more reliable than its content type.

use bytes::Bytes;
use serde_json::{Map, Value};
use signalbox_core::openai::{DONE_EVENT, fold_stream};

/// Framing of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// An event stream.
    Events,
    /// A single JSON document.
    Json,
}

impl Framing {
    /// Detects the framing from the first bytes. Returns `None` if they match neither, `Some(None)` if more bytes are
    /// needed.
    pub(super) fn of(begun: &[u8], ended: bool) -> Option<Option<Self>> {
        const FIELDS: [&[u8]; 4] = [b"data:", b"event:", b"id:", b"retry:"];
        let begun = begun.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(begun).trim_ascii_start();
        let more = if ended { None } else { Some(None) };
        match begun.first() {
            None => more,
            Some(b'{' | b'[') => Some(Some(Self::Json)),
            Some(b':') => Some(Some(Self::Events)),
            Some(_) if FIELDS.iter().any(|field| begun.starts_with(field)) => Some(Some(Self::Events)),
            Some(_) if FIELDS.iter().any(|field| field.starts_with(begun)) || begun[0] == 0xEF && begun.len() < 3 => {
                more
            }
            Some(_) => None,
        }
    }

    /// Returns the content type that clients expect for this framing.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Json => "application/json",
        }
    }
}

/// Converts a complete response to a stream of one chunk and the `[DONE]` event. Returns `None` if it is not a chat
/// completion.
pub(super) fn stream_of(whole: &[u8]) -> Option<Bytes> {
    let mut answer: Map<String, Value> = serde_json::from_slice(whole).ok()?;
    let choices = answer.get_mut("choices")?.as_array_mut()?;
    for (index, choice) in choices.iter_mut().enumerate() {
        let choice = choice.as_object_mut()?;
        let message = choice.remove("message").or_else(|| choice.remove("delta")).unwrap_or_default();
        let mut delta = if message.is_object() { message } else { Value::Object(Map::new()) };
        if let Some(calls) = delta.get_mut("tool_calls").and_then(Value::as_array_mut) {
            for (index, call) in calls.iter_mut().enumerate() {
                if let Some(call) = call.as_object_mut() {
                    call.entry("index").or_insert(index.into());
                }
            }
        }
        choice.entry("index").or_insert(index.into());
        choice.entry("finish_reason").or_insert("stop".into());
        choice.insert("delta".into(), delta);
    }
    answer.insert("object".into(), "chat.completion.chunk".into());
    Some(format!("data: {}\n\n{DONE_EVENT}", Value::Object(answer)).into())
}

/// Assembles a complete response from a stream. Returns `None` if the stream reports an error or is incomplete.
pub(super) fn whole_of(stream: &Bytes) -> Option<Bytes> {
    let answer = fold_stream(stream);
    if answer.error.is_some() || !answer.done && answer.finish_reason.is_none() {
        return None;
    }
    answer.json.map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_recognised_by_their_first_bytes() {
        for (begun, framing) in [
            ("{\"choices\"", Some(Some(Framing::Json))),
            ("\u{feff} \r\n[{", Some(Some(Framing::Json))),
            ("data: {}", Some(Some(Framing::Events))),
            ("data:{}", Some(Some(Framing::Events))),
            ("\n\n: ping\n\n", Some(Some(Framing::Events))),
            ("event: message\n", Some(Some(Framing::Events))),
            ("id: 7\n", Some(Some(Framing::Events))),
            ("retry: 100\n", Some(Some(Framing::Events))),
            ("da", Some(None)),
            (" ", Some(None)),
            ("", Some(None)),
            ("<html>", None),
            ("date", None),
            ("error: no", None),
            ("busy", None),
        ] {
            assert_eq!(Framing::of(begun.as_bytes(), false), framing, "{begun:?}");
        }
        for short in ["", "da", " "] {
            assert_eq!(Framing::of(short.as_bytes(), true), None);
        }
    }

    #[test]
    fn a_non_streamed_answer_becomes_an_equivalent_stream() {
        let whole = r#"{"id":"c1","object":"chat.completion","created":7,"model":"m","x":1,"choices":[{"message":{"role":"assistant","content":"hi","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
        let stream = stream_of(whole.as_bytes()).unwrap();
        let text = std::str::from_utf8(&stream).unwrap();
        assert!(text.starts_with("data: {") && text.ends_with("\n\ndata: [DONE]\n\n"), "{text}");
        let chunk: Value = serde_json::from_str(text.lines().next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!((&chunk["id"], &chunk["x"]), (&"c1".into(), &1.into()));
        let choice = &chunk["choices"][0];
        assert_eq!((&choice["index"], &choice["finish_reason"]), (&0.into(), &"tool_calls".into()));
        assert_eq!(choice["delta"]["content"], "hi");
        assert_eq!((choice["delta"]["tool_calls"][1]["index"].as_u64(), choice.get("message")), (Some(1), None));
        let folded: Value = serde_json::from_slice(&whole_of(&stream).unwrap()).unwrap();
        assert_eq!(folded["choices"][0]["message"]["content"], "hi");
        assert_eq!(folded["usage"]["total_tokens"], 3);
        for nothing in ["", "[]", "{}", r#"{"choices":null}"#, r#"{"choices":["a"]}"#, "<html>"] {
            assert_eq!(stream_of(nothing.as_bytes()), None, "{nothing}");
        }
    }

    #[test]
    fn only_a_complete_stream_becomes_a_non_streamed_answer() {
        let chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
        let finish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let whole = |stream: &str| whole_of(&Bytes::from(stream.to_owned()));
        for complete in
            [format!("{chunk}{finish}data: [DONE]\n\n"), format!("{chunk}{finish}"), format!("{chunk}{DONE_EVENT}")]
        {
            let answer: Value = serde_json::from_slice(&whole(&complete).unwrap()).unwrap();
            assert_eq!(answer["choices"][0]["message"]["content"], "hi");
        }
        for broken in [chunk, "data: [DONE]\n\n", "", "data: {\"error\":{\"message\":\"no\"}}\n\n"] {
            assert_eq!(whole(broken), None, "{broken}");
        }
    }
}

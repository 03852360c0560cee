//! The events of an answer of chat.qwen.ai, decoded.
//!
//! An answer is a stream of server-sent events: the first names the ids of the answer, the others bring text with the token
//! counts so far, the last says that it is finished. Nothing marks the end of the stream but its end.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use signalbox_core::openai::Usage;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The answer begins. All three may be empty when the upstream leaves them out.
    Created {
        /// The chat it belongs to.
        chat_id: String,
        /// What the next message of this chat must name as its parent.
        parent_id: String,
        /// The answer's own id.
        response_id: String,
    },
    /// More text; it may be empty.
    Delta {
        /// What is new.
        text: String,
        /// Where it belongs.
        phase: Phase,
        /// The token counts so far, when they came along.
        usage: Option<Usage>,
    },
    /// The answer is complete.
    Finished {
        /// What is new, usually nothing.
        text: String,
        /// The final token counts, when they came along.
        usage: Option<Usage>,
    },
    /// The upstream reports an error instead: the JSON text of its event.
    Failure(String),
    /// Nothing that is known, or no JSON: to be passed over.
    Unknown,
}

/// To which part of an answer a text belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// What the user asked for.
    Answer,
    /// What the model thinks, searches or looks up on the way there: every phase that does not call itself the answer.
    Thinking,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "response.created")]
    created: Option<Created>,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(default)]
    success: Option<Value>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ret: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Created {
    #[serde(default)]
    chat_id: Option<String>,
    #[serde(default)]
    parent_id: Option<String>,
    #[serde(default)]
    response_id: Option<String>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    input_tokens: i64,
    #[serde(default)]
    output_tokens: i64,
    #[serde(default)]
    total_tokens: Option<i64>,
}

/// Decodes the data of one server-sent event.
#[must_use]
pub fn decode(data: &[u8]) -> Event {
    let Ok(payload) = serde_json::from_slice::<Payload<'_>>(data) else { return Event::Unknown };
    if payload.error.is_some() || payload.ret.is_some() || payload.success == Some(Value::Bool(false)) {
        return Event::Failure(String::from_utf8_lossy(data).into_owned());
    }
    if let Some(created) = payload.created {
        return Event::Created {
            chat_id: created.chat_id.unwrap_or_default(),
            parent_id: created.parent_id.unwrap_or_default(),
            response_id: created.response_id.unwrap_or_default(),
        };
    }
    let usage = payload.usage.map(Usage::from);
    let delta = payload.choices.and_then(|choices| choices.into_iter().next()).and_then(|choice| choice.delta);
    if delta.is_none() && usage.is_none() {
        return Event::Unknown;
    }
    let Delta { content, phase, status } = delta.unwrap_or_default();
    let text = content.unwrap_or_default();
    let phase = match phase.as_deref() {
        None | Some("" | "answer") => Phase::Answer,
        Some(_) => Phase::Thinking,
    };
    // Every phase finishes; with that of the answer everything does.
    if phase == Phase::Answer && status.as_deref() == Some("finished") {
        return Event::Finished { text, usage };
    }
    Event::Delta { text, phase, usage }
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        Self {
            prompt_tokens: counts.input_tokens,
            completion_tokens: counts.output_tokens,
            total_tokens: counts
                .total_tokens
                .unwrap_or_else(|| counts.input_tokens.saturating_add(counts.output_tokens)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(data: &str) -> Event {
        decode(data.as_bytes())
    }

    fn delta(text: &str, phase: Phase, usage: Option<Usage>) -> Event {
        Event::Delta { text: text.into(), phase, usage }
    }

    #[test]
    fn the_ids_come_first() {
        assert_eq!(
            decoded(r#"{"response.created":{"chat_id":"c","parent_id":"p","response_id":"r"}}"#),
            Event::Created { chat_id: "c".into(), parent_id: "p".into(), response_id: "r".into() }
        );
    }

    #[test]
    fn text_brings_the_usage_so_far() {
        let usage = Some(Usage { prompt_tokens: 33, completion_tokens: 2, total_tokens: 35 });
        assert_eq!(
            decoded(
                r#"{"choices":[{"delta":{"role":"assistant","content":"He","phase":"answer","status":"typing"}}],"usage":{"input_tokens":33,"output_tokens":2,"characters":2,"total_tokens":35,"input_tokens_details":{"text_tokens":33},"output_tokens_details":{"text_tokens":2},"cached_tokens":0}}"#
            ),
            delta("He", Phase::Answer, usage)
        );
        assert_eq!(
            decoded(r#"{"choices":[],"usage":{"input_tokens":33,"output_tokens":2}}"#),
            delta("", Phase::Answer, usage),
            "the total is the sum when it is left out"
        );
    }

    #[test]
    fn a_phase_that_is_not_the_answer_is_thinking() {
        for phase in ["think", "thinking_summary", "web_search"] {
            let data =
                format!(r#"{{"choices":[{{"delta":{{"content":"Hm","phase":"{phase}","status":"finished"}}}}]}}"#);
            assert_eq!(decoded(&data), delta("Hm", Phase::Thinking, None), "{phase} does not finish the answer");
        }
        for data in
            [r#"{"choices":[{"delta":{"content":"Hm"}}]}"#, r#"{"choices":[{"delta":{"content":"Hm","phase":null}}]}"#]
        {
            assert_eq!(decoded(data), delta("Hm", Phase::Answer, None), "{data}");
        }
    }

    #[test]
    fn the_last_event_may_bring_text() {
        for (content, text) in [(r#""""#, ""), ("null", ""), (r#""!""#, "!")] {
            let data = format!(
                r#"{{"choices":[{{"delta":{{"content":{content},"role":"assistant","status":"finished","phase":"answer"}}}}]}}"#
            );
            assert_eq!(decoded(&data), Event::Finished { text: text.into(), usage: None });
        }
    }

    #[test]
    fn errors_are_kept_as_they_came() {
        for data in [
            r#"{"success":false,"request_id":"x","data":{"code":"RateLimited","details":"quota"}}"#,
            r#"{"error":{"code":"internal_error"},"response_id":"r"}"#,
            r#"{"ret":["FAIL_SYS_USER_VALIDATE","captcha"],"data":{"url":"https://chat.qwen.ai/_____tmd_____/punish"}}"#,
        ] {
            assert_eq!(decoded(data), Event::Failure(data.into()));
        }
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        for data in
            ["", "[DONE]", "<html>", "7", "{}", r#"{"success":true}"#, r#"{"error":null}"#, r#"{"choices":[{}]}"#]
        {
            assert_eq!(decoded(data), Event::Unknown, "{data}");
        }
    }
}

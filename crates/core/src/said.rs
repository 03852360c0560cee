//! What was said in an exchange, as people remember it: the texts of messages and answers, without the JSON around them.

use std::borrow::Cow;

use memchr::{memchr2_iter, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The text of an answer is nine levels deep; what is said deeper than this was not said to anybody we know.
const DEEPEST: usize = 16;

/// A text that is looked for in what was said. Upper and lower case are the same.
#[derive(Clone, Debug)]
pub struct Needle {
    /// In lower case.
    text: String,
    /// Stands in JSON as it stands in the text, unless somebody escapes letters.
    is_plain: bool,
}

/// The fields in which something is said: those of requests, of messages, of their parts and of answers.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    choices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

// === impl Needle ===

impl Needle {
    /// The text that is looked for; an empty one is in everything that was said.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
        Self { text: text.to_lowercase(), is_plain }
    }

    /// Whether it was said in this body of a request or an answer. Names of fields, models, tools and the like are not
    /// said, and what was [redacted](is_redacted) is not known. A body that is no JSON is a text.
    #[must_use]
    pub fn is_said_in(&self, body: &str) -> bool {
        // Most bodies can be passed over without being understood.
        if self.is_plain && !self.is_in(body) && memmem::find(body.as_bytes(), b"\\u00").is_none() {
            return false;
        }
        match serde_json::from_str::<&RawValue>(body) {
            Ok(body) => self.is_said(body, DEEPEST),
            Err(_) => self.is_in(body),
        }
    }

    fn is_said(&self, value: &RawValue, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        let json = value.get();
        match json.as_bytes().first() {
            Some(b'"') => {
                serde_json::from_str(json).is_ok_and(|text: Cow<'_, str>| !is_redacted(&text) && self.is_in(&text))
            }
            Some(b'[') => serde_json::from_str(json)
                .is_ok_and(|values: Vec<&RawValue>| values.into_iter().any(|value| self.is_said(value, depth))),
            Some(b'{') => serde_json::from_str(json).is_ok_and(|said: Said<'_>| {
                let Said { messages, prompt, choices, message, content, reasoning_content, text } = said;
                let fields = [messages, prompt, choices, message, content, reasoning_content, text];
                fields.into_iter().flatten().any(|value| self.is_said(value, depth))
            }),
            _ => false,
        }
    }

    fn is_in(&self, text: &str) -> bool {
        let needle = self.text.as_bytes();
        let Some(first) = needle.first() else { return true };
        if !self.text.is_ascii() {
            return text.to_lowercase().contains(&self.text);
        }
        let text = text.as_bytes();
        let at =
            |start: usize| text.get(start..start + needle.len()).is_some_and(|here| here.eq_ignore_ascii_case(needle));
        memchr2_iter(*first, first.to_ascii_uppercase(), text).any(at)
    }
}

/// Whether only the length of a text was kept: `[6 characters]`.
fn is_redacted(text: &str) -> bool {
    let count = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(" characters]"));
    count.is_some_and(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(needle: &str, body: &Value) -> bool {
        Needle::new(needle).is_said_in(&body.to_string())
    }

    #[test]
    fn what_was_said_is_found_wherever_it_was_said() {
        let parts =
            json!([{"type": "text", "text": "a cat \"Tom\""}, {"type": "image_url", "image_url": {"url": "data:dog"}}]);
        for body in [
            json!({"model": "dog", "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "a cat \"Tom\""}]}),
            json!({"messages": [{"role": "user", "content": parts}]}),
            json!({"prompt": "A CAT \"TOM\""}),
            json!({"prompt": ["x", "a cat \"tom\""]}),
            json!({"choices": [{"message": {"role": "dog", "content": null}}, {"message": {"content": "a Cat \"Tom\""}}]}),
            json!({"choices": [{"message": {"content": "", "reasoning_content": "a cat \"tom\""}}]}),
            json!({"choices": [{"text": "a cat \"tom\""}]}),
        ] {
            assert!(said("A cAt", &body) && said("cat \"T", &body), "{body}");
            assert!(!said("dog", &body) && !said("content", &body) && !said("cat\\", &body), "{body}");
        }
    }

    #[test]
    fn escapes_and_other_alphabets_are_understood() {
        assert!(Needle::new("cat").is_said_in(r#"{"messages":[{"content":"\u0063at"}]}"#));
        assert!(Needle::new("\u{e9}T\u{c9}").is_said_in(r#"{"messages":[{"content":"un \u00e9t\u00e9"}]}"#));
        assert!(Needle::new("\u{4f60}\u{597d}").is_said_in("{\"messages\":[{\"content\":\"\u{4f60}\u{597d}\"}]}"));
        assert!(Needle::new("a\nb").is_said_in(r#"{"messages":[{"content":"a\nb"}]}"#));
    }

    #[test]
    fn what_is_odd_is_passed_over_or_a_text() {
        for body in ["null", "7", "{}", r#"{"messages":7}"#, r#"{"messages":[null,7,{"content":{"cat":1}}]}"#, ""] {
            assert!(!Needle::new("cat").is_said_in(body), "{body}");
        }
        assert!(Needle::new("cat").is_said_in("<html>a Cat</html>"));
        let deep = format!("{{\"messages\":{}\"cat\"{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(!Needle::new("cat").is_said_in(&deep), "and nothing overflows");
    }

    #[test]
    fn what_was_redacted_is_not_known() {
        let body = json!({"messages": [{"content": "[6 characters]"}, {"content": "[six characters]"}]});
        assert!(!said("6 characters", &body) && said("six characters", &body));
    }
}

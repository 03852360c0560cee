//! What was said in an exchange, as people remember it: the texts of messages and answers, without the JSON around them.

use memchr::{memchr2_iter, memmem};
use serde_json::value::RawValue;

use crate::json::Reader;

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
const SAID: [&str; 12] = [
    "messages",
    "prompt",
    "choices",
    "message",
    "content",
    "reasoning_content",
    "reasoning",
    "thinking",
    "refusal",
    "audio",
    "transcript",
    "text",
];

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
        let mut reader = Reader::new(body.as_bytes());
        let said = self.is_said(&mut reader, DEEPEST);
        let said = said.filter(|_| reader.end().is_some());
        said.unwrap_or_else(|| serde_json::from_str::<&RawValue>(body).is_err() && self.is_in(body))
    }

    /// Whether it was said in the value that stands next; `None` if that is no JSON.
    fn is_said(&self, value: &mut Reader<'_>, depth: usize) -> Option<bool> {
        let Some(depth) = depth.checked_sub(1) else { return value.skip().map(|()| false) };
        let mut found = false;
        match value.peek()? {
            b'"' => {
                let text = value.text()?.to_str();
                found = !is_redacted(&text) && self.is_in(&text);
            }
            b'[' => value.array(|element| {
                found |= self.is_said(element, depth)?;
                Some(())
            })?,
            b'{' => value.fields(|name, value| {
                if SAID.contains(&&*name) {
                    found |= self.is_said(value, depth)?;
                    return Some(());
                }
                value.skip()
            })?,
            _ => value.skip()?,
        }
        Some(found)
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

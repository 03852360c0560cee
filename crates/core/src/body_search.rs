//! Searches the texts of messages and answers in a body, ignoring the JSON around them.

use memchr::{memchr2_iter, memmem};
use serde_json::value::RawValue;

use crate::json::Reader;

/// Maximum depth of searched values. The text of an answer is nine levels deep; deeper values are not part of a known
/// format.
const MAX_DEPTH: usize = 16;

/// A text to search for. The search ignores case in every script, so that `STRASSE` finds `straße` and `istanbul` finds
/// `İstanbul`.
#[derive(Clone, Debug)]
pub struct SearchTerm {
    /// The text, case-folded.
    text: String,
    /// Whether JSON writes the text literally, except in documents that escape letters.
    is_plain: bool,
}

/// The fields whose texts are searched: those of requests, of messages, of their parts and of answers.
const TEXT_FIELDS: [&str; 12] = [
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

// === impl SearchTerm ===

impl SearchTerm {
    /// Creates a search term; an empty text is found in every text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
        Self { text: fold_case(text), is_plain }
    }

    /// Returns whether the body of a request or an answer contains the text. Names of fields, models, tools and the
    /// like are not searched, nor are [redacted](is_redacted) texts. A body that is not JSON is searched as plain text.
    #[must_use]
    pub fn is_found_in(&self, body: &str) -> bool {
        // Most bodies can be excluded without being parsed.
        if self.is_plain && !self.is_in(body) && !escapes_letters(body) {
            return false;
        }
        let mut reader = Reader::new(body.as_bytes());
        let found = self.is_in_value(&mut reader, MAX_DEPTH);
        let found = found.filter(|_| reader.end().is_some());
        found.unwrap_or_else(|| serde_json::from_str::<&RawValue>(body).is_err() && self.is_in(body))
    }

    /// Searches the next value; `None` if it is not valid JSON.
    fn is_in_value(&self, value: &mut Reader<'_>, depth: usize) -> Option<bool> {
        let Some(depth) = depth.checked_sub(1) else { return value.skip().map(|()| false) };
        let mut found = false;
        match value.peek()? {
            b'"' => {
                let text = value.text()?.to_str();
                found = !is_redacted(&text) && self.is_in(&text);
            }
            b'[' => value.array(|element| {
                found |= self.is_in_value(element, depth)?;
                Some(())
            })?,
            b'{' => value.fields(|name, value| {
                if TEXT_FIELDS.contains(&&*name) {
                    found |= self.is_in_value(value, depth)?;
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
            return fold_case(text).contains(&self.text);
        }
        let bytes = text.as_bytes();
        let at =
            |start: usize| bytes.get(start..start + needle.len()).is_some_and(|here| here.eq_ignore_ascii_case(needle));
        memchr2_iter(*first, first.to_ascii_uppercase(), bytes).any(at)
            || (text.chars().any(folds_into_ascii) && fold_case(text).contains(&self.text))
    }
}

/// Folds a text so that texts that differ only in case become equal. Folding goes through upper case to unify letters
/// whose upper case is two letters (ß, SS) and letters that share an upper case (σ and ς, i and ı); the combining dot
/// that remains of a capital İ is dropped.
fn fold_case(text: &str) -> String {
    const DOT_ABOVE: char = '\u{307}';
    let mut fold_case = String::with_capacity(text.len());
    for c in text.chars().flat_map(fold_char) {
        if c != DOT_ABOVE || !fold_case.ends_with('i') {
            fold_case.push(c);
        }
    }
    fold_case
}

/// Folds a character. It is converted to lower case first, because the capital ß (U+1E9E) is its own upper case and
/// would otherwise not match SS.
fn fold_char(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// Returns whether a body contains an escape that may represent a letter of a [plain](SearchTerm) text, or a character
/// that folds into one. The escapes of East Asian scripts, which some clients use throughout, do not count.
fn escapes_letters(body: &str) -> bool {
    let mut escapes = memmem::find_iter(body.as_bytes(), b"\\u");
    escapes.any(|at| body.as_bytes().get(at + 2).is_some_and(|digit| b"012fF".contains(digit)))
}

/// Returns whether a character outside ASCII folds into a text with ASCII letters: ß, ı, ſ, the Kelvin sign, ligatures.
fn folds_into_ascii(c: char) -> bool {
    !c.is_ascii() && fold_char(c).any(|c| c.is_ascii())
}

/// Returns whether only the length of a text was kept: `[6 characters]`.
fn is_redacted(text: &str) -> bool {
    let count = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(" characters]"));
    count.is_some_and(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn finds(needle: &str, body: &Value) -> bool {
        SearchTerm::new(needle).is_found_in(&body.to_string())
    }

    #[test]
    fn text_is_found_in_every_message_and_answer() {
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
            assert!(finds("A cAt", &body) && finds("cat \"T", &body), "{body}");
            assert!(!finds("dog", &body) && !finds("content", &body) && !finds("cat\\", &body), "{body}");
        }
    }

    #[test]
    fn escapes_and_other_scripts_are_matched() {
        assert!(SearchTerm::new("cat").is_found_in(r#"{"messages":[{"content":"\u0063at"}]}"#));
        assert!(SearchTerm::new("\u{e9}T\u{c9}").is_found_in(r#"{"messages":[{"content":"un \u00e9t\u00e9"}]}"#));
        assert!(SearchTerm::new("\u{4f60}\u{597d}").is_found_in("{\"messages\":[{\"content\":\"\u{4f60}\u{597d}\"}]}"));
        assert!(SearchTerm::new("a\nb").is_found_in(r#"{"messages":[{"content":"a\nb"}]}"#));
    }

    #[test]
    fn case_is_ignored_in_every_script() {
        for (text, needle) in [
            ("\u{130}stanbul", "istanbul"),
            ("istanbul", "\u{130}STANBUL"),
            ("d\u{131}\u{15f}", "DI\u{15e}"),
            ("stra\u{df}e", "STRASSE"),
            ("STRASSE", "stra\u{df}e"),
            ("STRA\u{1e9e}E", "stra\u{df}e"),
            ("\u{3bf}\u{3b4}\u{3cc}\u{3c2}", "\u{39f}\u{394}\u{38c}\u{3a3}"),
            ("\u{39f}\u{394}\u{38c}\u{3a3} 7", "\u{3bf}\u{3b4}\u{3cc}\u{3c2} 7"),
            ("o\u{fb03}ce", "OFFICE"),
            ("5 \u{212a}", "5 k"),
            ("\u{416}\u{434}\u{438}", "\u{436}\u{414}\u{418}"),
        ] {
            let body = json!({"messages": [{"role": "user", "content": format!("x {text} y")}]});
            assert!(finds(needle, &body), "{needle} in {text}");
            assert!(SearchTerm::new(needle).is_found_in(text), "{needle} in {text}, which is not JSON");
            // The same text, as written by clients that send only ASCII.
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            let body = format!("{{\"messages\":[{{\"content\":\"{units}\"}}]}}");
            assert!(SearchTerm::new(needle).is_found_in(&body), "{needle} in {body}");
        }
        for (text, needle) in
            [("stra\u{df}e", "strasze"), ("\u{130}zmir", "istanbul"), ("i\u{308}", "i\u{307}\u{308}x")]
        {
            assert!(!SearchTerm::new(needle).is_found_in(text), "{needle} in {text}");
        }
    }

    #[test]
    fn unusual_values_are_skipped_or_read_as_text() {
        for body in ["null", "7", "{}", r#"{"messages":7}"#, r#"{"messages":[null,7,{"content":{"cat":1}}]}"#, ""] {
            assert!(!SearchTerm::new("cat").is_found_in(body), "{body}");
        }
        assert!(SearchTerm::new("cat").is_found_in("<html>a Cat</html>"));
        let deep = format!("{{\"messages\":{}\"cat\"{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(!SearchTerm::new("cat").is_found_in(&deep), "and nothing overflows");
    }

    #[test]
    fn redacted_text_is_not_found() {
        let body = json!({"messages": [{"content": "[6 characters]"}, {"content": "[six characters]"}]});
        assert!(!finds("6 characters", &body) && finds("six characters", &body));
    }
}

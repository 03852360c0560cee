//! Recognises the conversation that a request continues.
//!
//! Clients send no conversation id: they resend the history. A conversation is therefore identified by its opening: the
//! first user message and the answer to it. A request without an assistant message opens a new conversation, even when
//! its prompt equals that of another conversation.

use uuid::Uuid;

use crate::{id, json::Reader};

/// Number of characters of each side of the opening that are hashed. Some clients send answers back truncated.
const HASHED_CHARS: usize = 120;

/// UUID namespace that separates the hashes of openings from all other hashes.
const NAMESPACE: Uuid = Uuid::from_u128(0x5169_6e61_6c62_6f78_0000_0000_0000_0001);

/// UUID namespace of the hashes of answers' ids.
const ANSWERS: Uuid = Uuid::from_u128(0x5169_6e61_6c62_6f78_0000_0000_0000_0002);

/// The opening of a conversation, as far as a request contains it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// The text of the first user message.
    pub user: Option<String>,
    /// The text of the first assistant message; `None` on a first turn.
    pub answer: Option<String>,
}

impl Opening {
    /// Reads the opening from the body of a request of any API and stops once both texts are known. The opening of any
    /// other body is empty.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let mut opening = Self::default();
        // `None` may also mean that the rest need not be read.
        let _ = Reader::new(body).fields(|name, value| match &*name {
            "messages" => value.array(|message| opening.add(message)),
            // Responses: a text, or items, some of which are messages.
            "input" => match value.peek()? {
                b'"' => {
                    opening.user = Some(value.text()?.to_str().into_owned());
                    Some(())
                }
                b'[' => value.array(|item| opening.add(item)),
                _ => value.skip(),
            },
            _ => value.skip(),
        });
        opening
    }

    /// Reads the next message; returns `None` when no more is needed.
    fn add(&mut self, message: &mut Reader<'_>) -> Option<()> {
        if message.peek()? != b'{' {
            return message.skip();
        }
        let (mut role, mut content) = (None, None);
        message.fields(|name, value| {
            let raw = value.raw();
            match &*name {
                "role" => role = raw,
                "content" => content = raw,
                _ => {}
            }
            raw.map(drop)
        })?;
        let side = match role {
            Some(b"\"user\"") => &mut self.user,
            Some(b"\"assistant\"") => &mut self.answer,
            _ => return Some(()),
        };
        if side.is_none() {
            *side = Some(content.map(text).unwrap_or_default());
        }
        (self.user.is_none() || self.answer.is_none()).then_some(())
    }

    /// Returns the hash that identifies the conversation; `None` on a first turn.
    #[must_use]
    pub fn hash(&self) -> Option<String> {
        Some(opening_hash(self.user.as_deref().unwrap_or_default(), self.answer.as_deref()?))
    }
}

/// Returns the hash of an opening, 32 hexadecimal digits: equal for the end of the first turn and for every later turn.
#[must_use]
pub fn opening_hash(first_user: &str, first_answer: &str) -> String {
    id::hash(&NAMESPACE, &[hashed_part(first_user), "\0", hashed_part(first_answer)].concat())
}

/// Returns the hash of the id of an answer that a provider keeps, 32 hexadecimal digits. It differs from the hash of
/// every opening.
#[must_use]
pub fn answer_hash(id: &str) -> String {
    id::hash(&ANSWERS, id)
}

fn hashed_part(text: &str) -> &str {
    truncate_chars(text.trim(), HASHED_CHARS)
}

/// Returns the first `chars` characters of a text, or the whole text if it is shorter.
#[must_use]
pub fn truncate_chars(text: &str, chars: usize) -> &str {
    // Most texts are short, and no text has more characters than bytes.
    if text.len() <= chars {
        return text;
    }
    // In most longer texts, the first `chars` characters are ASCII.
    if text.as_bytes()[..chars].is_ascii() {
        return &text[..chars];
    }
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

/// Returns the text of a message's content: the string itself, or the texts of its parts joined by newlines.
fn text(content: &[u8]) -> String {
    let mut reader = Reader::new(content);
    match content.first() {
        Some(b'"') => reader.text().map(|text| text.to_str().into_owned()).unwrap_or_default(),
        Some(b'[') => {
            let mut texts = Vec::new();
            // Cannot fail: the value was parsed as JSON before.
            let _ = reader.array(|part| match part.peek()? {
                b'{' => part.fields(|name, value| {
                    if name == "text" && value.peek()? == b'"' {
                        texts.push(value.text()?.to_str());
                        return Some(());
                    }
                    value.skip()
                }),
                _ => part.skip(),
            });
            texts.join("\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_turn_has_the_same_opening() {
        let first = Opening::of(br#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi "}]}"#);
        assert_eq!((first.user.as_deref(), first.hash()), (Some("hi "), None));
        let second = Opening::of(
            br#"{"messages":[{"role":"system","content":"other"},{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":"hello!"},{"role":"user","content":"more"}]}"#,
        );
        assert_eq!(second.hash(), Some(opening_hash("hi ", "hello!")));
    }

    #[test]
    fn the_opening_of_responses_is_in_its_input() {
        let first = Opening::of(br#"{"input":"hi"}"#);
        assert_eq!((first.user.as_deref(), first.hash()), (Some("hi"), None));
        let later = Opening::of(
            br#"{"model":"m","input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"be brief"}]},{"role":"user","content":[{"type":"input_text","text":"hi"}]},{"type":"reasoning"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"hello!"}]}]}"#,
        );
        assert_eq!(later.hash(), Some(opening_hash("hi", "hello!")));
        assert_eq!(Opening::of(br#"{"input":7}"#), Opening::default());
    }

    #[test]
    fn an_answer_with_only_tool_calls_counts_as_an_answer() {
        let opening = Opening::of(
            br#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","content":"x"}]}"#,
        );
        assert_eq!(opening.answer.as_deref(), Some(""));
    }

    #[test]
    fn other_documents_have_no_opening() {
        for body in [b"".as_slice(), b"{}", b"[1]", br#"{"messages":7}"#, br#"{"messages":["a",{"role":"user"},null]"#]
        {
            assert_eq!(Opening::of(body).hash(), None);
        }
    }

    #[test]
    fn invalid_characters_are_replaced_and_invalid_parts_skipped() {
        let opening = Opening::of(
            b"{\"\xFF\":1,\"messages\":[{\"role\":\"user\",\"content\":\"a\\ud83d\xFF\"},{\"role\":\"assistant\",\"content\":[7,{\"text\":null},{\"type\":null,\"text\":\"b\"},{\"text\":\"c\"}]}]}",
        );
        assert_eq!((opening.user.as_deref(), opening.answer.as_deref()), (Some("a\u{FFFD}\u{FFFD}"), Some("b\nc")));
    }

    #[test]
    fn invalid_messages_are_skipped() {
        let opening = Opening::of(
            br#"{"messages":[1,null,{"role":7},{"role":"user","content":7},{"role":"user","content":"b"}]}"#,
        );
        assert_eq!(opening.user.as_deref(), Some(""), "the first user message counts, whatever is in it");
    }

    #[test]
    fn different_openings_differ() {
        assert_ne!(opening_hash("a", "b"), opening_hash("a", "c"));
        assert_ne!(opening_hash("ab", ""), opening_hash("a", "b"));
    }

    #[test]
    fn a_prefix_is_measured_in_characters() {
        for (chars, text) in [(0, ""), (1, "a"), (2, "aé"), (3, "aé日"), (4, "aé日b"), (9, "aé日b")] {
            assert_eq!(truncate_chars("aé日b", chars), text);
        }
        assert_eq!(truncate_chars("abé", 2), "ab");
    }

    #[test]
    fn a_truncated_echo_is_recognised() {
        let answer = "x".repeat(500);
        assert_eq!(opening_hash("q", &answer), opening_hash("q", &answer[..200]));
    }
}

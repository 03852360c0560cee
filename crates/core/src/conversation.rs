//! Which conversation a request continues.
//!
//! Clients send no conversation id: they resend the history. A conversation is therefore known by its opening, the first
//! user message and the answer to it. A request without an assistant message opens a conversation of its own, even when its
//! prompt is the same as another's.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{id, openai::Message};

/// How much of each side of the opening counts, in characters. Some clients echo answers back truncated.
const SIGNIFICANT: usize = 120;

/// Makes hashes of openings unlike those of anything else.
const NAMESPACE: Uuid = Uuid::from_u128(0x5169_6e61_6c62_6f78_0000_0000_0000_0001);

/// How a conversation began, as far as a request tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// The text of the first user message.
    pub user: Option<String>,
    /// The text of the first assistant message; `None` on a first turn.
    pub answer: Option<String>,
}

impl Opening {
    /// Reads the body of a chat request. Of a long history nothing is copied but the two texts; what is no chat request
    /// has no opening.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Request {
            #[serde(default)]
            messages: Opening,
        }
        serde_json::from_slice::<Request>(body).map(|request| request.messages).unwrap_or_default()
    }

    /// The hash by which the conversation is known; `None` on a first turn.
    #[must_use]
    pub fn hash(&self) -> Option<String> {
        Some(opening_hash(self.user.as_deref().unwrap_or_default(), self.answer.as_deref()?))
    }
}

/// The hash of an opening, 32 hexadecimal digits: equal for the end of the first turn and for every later turn.
#[must_use]
pub fn opening_hash(first_user: &str, first_answer: &str) -> String {
    id::hash(&NAMESPACE, &[significant(first_user), "\0", significant(first_answer)].concat())
}

fn significant(text: &str) -> &str {
    beginning(text.trim(), SIGNIFICANT)
}

/// The first `chars` characters of a text, or all.
#[must_use]
pub fn beginning(text: &str, chars: usize) -> &str {
    // Most texts are short, and no text has more characters than bytes.
    if text.len() <= chars {
        return text;
    }
    // In most of the others, the characters that count have one byte each.
    if text.as_bytes()[..chars].is_ascii() {
        return &text[..chars];
    }
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

// === impl Deserialize for Opening ===

/// A message of which only the role is looked at yet.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    role: Cow<'a, str>,
}

impl<'de> Deserialize<'de> for Opening {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Messages;

        impl<'de> Visitor<'de> for Messages {
            type Value = Opening;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<Opening, A::Error> {
                let mut opening = Opening::default();
                while opening.user.is_none() || opening.answer.is_none() {
                    let Some(message) = messages.next_element::<&RawValue>()? else { return Ok(opening) };
                    let Ok(head) = serde_json::from_str::<Head<'_>>(message.get()) else { continue };
                    let side = match &*head.role {
                        "user" => &mut opening.user,
                        "assistant" => &mut opening.answer,
                        _ => continue,
                    };
                    if side.is_none() {
                        *side = Some(serde_json::from_str::<Message>(message.get()).unwrap_or_default().text());
                    }
                }
                while messages.next_element::<IgnoredAny>()?.is_some() {}
                Ok(opening)
            }
        }

        deserializer.deserialize_seq(Messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_turn_finds_the_opening() {
        let first = Opening::of(br#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi "}]}"#);
        assert_eq!((first.user.as_deref(), first.hash()), (Some("hi "), None));
        let second = Opening::of(
            br#"{"messages":[{"role":"system","content":"other"},{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":"hello!"},{"role":"user","content":"more"}]}"#,
        );
        assert_eq!(second.hash(), Some(opening_hash("hi ", "hello!")));
    }

    #[test]
    fn an_answer_that_only_calls_tools_is_an_answer() {
        let opening = Opening::of(
            br#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","content":"x"}]}"#,
        );
        assert_eq!(opening.answer.as_deref(), Some(""));
    }

    #[test]
    fn what_is_no_chat_request_has_no_opening() {
        for body in [b"".as_slice(), b"{}", b"[1]", br#"{"messages":7}"#, br#"{"messages":["a",{"role":"user"},null]"#]
        {
            assert_eq!(Opening::of(body).hash(), None);
        }
    }

    #[test]
    fn odd_messages_are_passed_over() {
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
    fn a_beginning_is_counted_in_characters() {
        for (chars, text) in [(0, ""), (1, "a"), (2, "aé"), (3, "aé日"), (4, "aé日b"), (9, "aé日b")] {
            assert_eq!(beginning("aé日b", chars), text);
        }
        assert_eq!(beginning("abé", 2), "ab");
    }

    #[test]
    fn a_truncated_echo_is_recognised() {
        let answer = "x".repeat(500);
        assert_eq!(opening_hash("q", &answer), opening_hash("q", &answer[..200]));
    }
}

//! Which conversation a request continues.
//!
//! Clients send no conversation id: they resend the history. A conversation is therefore known by its opening, the first
//! user message and the answer to it. A request without an assistant message opens a conversation of its own, even when its
//! prompt is the same as another's.

use uuid::Uuid;

use crate::openai::ChatRequest;

/// How much of each side of the opening counts, in characters. Some clients echo answers back truncated.
const SIGNIFICANT: usize = 120;

/// Makes hashes of openings unlike those of anything else.
const NAMESPACE: Uuid = Uuid::from_u128(0x5169_6e61_6c62_6f78_0000_0000_0000_0001);

/// The hash of an opening, 32 hexadecimal digits: equal for the end of the first turn and for every later turn.
#[must_use]
pub fn opening_hash(first_user: &str, first_answer: &str) -> String {
    let mut text = significant(first_user);
    text.push('\0');
    text.push_str(&significant(first_answer));
    Uuid::new_v5(&NAMESPACE, text.as_bytes()).simple().to_string()
}

/// The hash of the opening that `request` carries in its history; `None` on a first turn.
#[must_use]
pub fn continues(request: &ChatRequest) -> Option<String> {
    let answer = request.first_text("assistant")?;
    Some(opening_hash(&request.first_text("user").unwrap_or_default(), &answer))
}

fn significant(text: &str) -> String {
    text.trim().chars().take(SIGNIFICANT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> ChatRequest {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_later_turn_finds_the_opening() {
        let first = request(r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi "}]}"#);
        assert_eq!(continues(&first), None);
        let hash = opening_hash(&first.first_text("user").unwrap(), "hello!");
        let second = request(
            r#"{"messages":[{"role":"system","content":"other"},{"role":"user","content":"hi"},{"role":"assistant","content":"hello!"},{"role":"user","content":"more"}]}"#,
        );
        assert_eq!(continues(&second), Some(hash));
    }

    #[test]
    fn different_openings_differ() {
        assert_ne!(opening_hash("a", "b"), opening_hash("a", "c"));
        assert_ne!(opening_hash("ab", ""), opening_hash("a", "b"));
    }

    #[test]
    fn a_truncated_echo_is_recognised() {
        let answer = "x".repeat(500);
        assert_eq!(opening_hash("q", &answer), opening_hash("q", &answer[..200]));
    }
}

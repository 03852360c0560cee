//! Recognises chunks of a stream that differ from an earlier one only in their text.

use memchr::{memchr, memmem};

/// Start of the text in a chunk.
const CONTENT: &[u8] = br#""content":""#;

/// Maximum bytes of a shape.
const MAX_SHAPE: usize = 1 << 10;

/// Maximum number of shapes that are learned per stream. If chunks differ in more than their text, learning a shape
/// from each would cost more than it saves.
const MAX_LEARNED: u8 = 8;

/// The bytes around the text of a chunk that is known to be usual.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Ends with the opening quote of the text.
    before: Vec<u8>,
    /// Begins with its closing quote.
    after: Vec<u8>,
    learned: u8,
}

// === impl Shape ===

impl Shape {
    /// Returns whether `data` is the learned chunk with another text. A text with a quote never fits, so that no field
    /// can hide in it.
    pub(super) fn fits(&self, data: &[u8]) -> bool {
        let (before, after) = (self.before.len(), self.after.len());
        before > 0
            && data.len() >= before + after
            && data.starts_with(&self.before)
            && data.ends_with(&self.after)
            && is_plain(&data[before..data.len() - after])
    }

    /// Learns the shape of a usual chunk, if it has a text.
    pub(super) fn learn(&mut self, data: &[u8]) {
        if self.learned == MAX_LEARNED || data.len() > MAX_SHAPE {
            return;
        }
        let Some(begin) = memmem::find(data, CONTENT).map(|at| at + CONTENT.len()) else { return };
        let Some(end) = memchr(b'"', &data[begin..]).map(|len| begin + len) else { return };
        if is_plain(&data[begin..end]) {
            self.learned += 1;
            self.before.clear();
            self.before.extend_from_slice(&data[..begin]);
            self.after.clear();
            self.after.extend_from_slice(&data[end..]);
        }
    }
}

/// Returns whether a text ends where its first quote is.
fn is_plain(text: &[u8]) -> bool {
    memchr(b'"', text).is_none() && text.last() != Some(&b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(text: &str) -> Vec<u8> {
        format!(r#"{{"id":"1","choices":[{{"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#).into_bytes()
    }

    #[test]
    fn only_the_text_may_differ() {
        let mut shape = Shape::default();
        assert!(!shape.fits(&chunk("a")), "nothing is learned yet");
        shape.learn(&chunk("a"));
        for text in ["", "b", "a longer text", "error", "finish_reason", "\\u00e9\\n", "\u{e9}"] {
            assert!(shape.fits(&chunk(text)), "{text}");
        }
        for text in ["\\\"", "\",\"error\":\"x", "\\", "a\\\\"] {
            assert!(!shape.fits(&chunk(text)), "{text}");
        }
        let other = String::from_utf8(chunk("a")).unwrap();
        for (from, to) in [("null", "\"stop\""), ("\"1\"", "\"2\""), ("}]}", "}],\"error\":\"x\"}"), ("{", "")] {
            assert!(!shape.fits(other.replacen(from, to, 1).as_bytes()), "{to}");
        }
        assert!(!shape.fits(b""));
    }

    #[test]
    fn chunks_that_always_differ_are_soon_left_alone() {
        let mut shape = Shape::default();
        for number in 0..20 {
            let data = String::from_utf8(chunk("a")).unwrap().replace("\"1\"", &number.to_string());
            shape.learn(data.as_bytes());
            assert_eq!(shape.fits(data.as_bytes()), number < usize::from(MAX_LEARNED));
        }
    }
}

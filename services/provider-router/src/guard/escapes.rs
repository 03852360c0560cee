//! Resolves the escapes of JSON within a text, such as the arguments of a tool, and maps places back.

use std::ops::Range;

/// Bytes of the letter and the digits of an escape, behind its backslash.
const LEN: usize = 5;

/// A text with its escapes (`\u0041`) resolved.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) text: String,
    escapes: Vec<Escape>,
}

/// A character that the text writes as an escape.
#[derive(Debug)]
struct Escape {
    /// Place in the resolved text.
    at: Range<usize>,
    /// Place in the text as it is written.
    source: Range<usize>,
}

// === impl Resolved ===

impl Resolved {
    /// Resolves the escapes of a text; `None` if it has none. JSON within JSON has several backslashes before one.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut resolved = Self { text: String::new(), escapes: Vec::new() };
        let mut copied = 0;
        for mark in memchr::memmem::find_iter(text.as_bytes(), b"\\u") {
            let end = mark + 1 + LEN;
            let digits = text.get(mark + 2..end).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let char = digits.and_then(|digits| char::from_u32(u32::from_str_radix(digits, 16).ok()?));
            // Half of a surrogate pair is in no credential.
            let Some(char) = char else { continue };
            let before = text[copied..mark].trim_end_matches('\\');
            let start = copied + before.len();
            resolved.text.push_str(before);
            let at = resolved.text.len();
            resolved.text.push(char);
            resolved.escapes.push(Escape { at: at..resolved.text.len(), source: start..end });
            copied = end;
        }
        resolved.text.push_str(&text[copied..]);
        (copied > 0).then_some(resolved)
    }

    /// Returns the place in the text as it is written of a place in the resolved text.
    pub(super) fn source(&self, range: &Range<usize>) -> Range<usize> {
        self.offset(range.start)..self.offset(range.end)
    }

    fn offset(&self, at: usize) -> usize {
        let behind = self.escapes.partition_point(|escape| escape.at.start <= at);
        match behind.checked_sub(1).and_then(|last| self.escapes.get(last)) {
            None => at,
            Some(escape) if at < escape.at.end => escape.source.start,
            Some(escape) => escape.source.end + (at - escape.at.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved_with_their_places() {
        for (text, resolved) in [
            (r"gh\u0070_x", "ghp_x"),
            (r"gh\\\u0070_x", "ghp_x"),
            (r"\u00e9\u0041", "éA"),
            (r"é\u0041\n", r"éA\n"),
            (r"\u0041\ud83d\u0042", r"A\ud83dB"),
        ] {
            let found = Resolved::new(text).unwrap();
            assert_eq!(found.text, resolved, "{text}");
            assert_eq!(found.source(&(0..resolved.len())), 0..text.len(), "{text}");
        }
        for text in ["", "a", r"\n", r"\u", r"\u00", r"\u00g0", r"\u00é", r"\ud83d"] {
            assert!(Resolved::new(text).is_none(), "{text}");
        }
        let found = Resolved::new(r"a\u0062c\u0064e").unwrap();
        assert_eq!([0..1, 1..2, 2..3, 1..4, 4..5].map(|range| found.source(&range)), [0..1, 1..7, 7..8, 1..14, 14..15]);
    }
}

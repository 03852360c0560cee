//! JSON strings that may contain lone surrogates and invalid UTF-8.
//!
//! Providers split text between events at any byte: a surrogate pair, or the bytes of one character, may be spread over
//! two strings. [`TextBuf`] joins the strings first and replaces invalid characters at the end.

use std::borrow::Cow;

use memchr::memchr;

/// A string of a document, still escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// The bytes between the quotes.
    raw: &'a [u8],
    is_plain: bool,
}

/// A text that is assembled from several JSON strings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextBuf {
    /// UTF-8, except for lone surrogates (three bytes each) and bytes that were invalid in the input.
    bytes: Vec<u8>,
}

// === impl Text ===

impl<'a> Text<'a> {
    /// Wraps the bytes between the quotes; `is_plain` says that they contain no escape.
    pub(super) const fn new(raw: &'a [u8], is_plain: bool) -> Self {
        Self { raw, is_plain }
    }

    /// Returns whether the string is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Returns the text, with U+FFFD in place of invalid characters.
    #[must_use]
    pub fn to_str(&self) -> Cow<'a, str> {
        if self.is_plain {
            return String::from_utf8_lossy(self.raw);
        }
        let mut text = TextBuf::default();
        text.push(*self);
        Cow::Owned(text.into_string())
    }
}

// === impl TextBuf ===

impl TextBuf {
    /// Returns whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends a string.
    pub fn push(&mut self, text: Text<'_>) {
        if text.is_plain {
            self.bytes.extend_from_slice(text.raw);
            return;
        }
        let mut rest = text.raw;
        while let Some(at) = memchr(b'\\', rest) {
            self.bytes.extend_from_slice(&rest[..at]);
            rest = self.push_escape(&rest[at + 1..]);
        }
        self.bytes.extend_from_slice(rest);
    }

    /// Appends text that is not escaped.
    pub fn push_str(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Returns the bytes so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the text, with U+FFFD in place of invalid characters.
    #[must_use]
    pub fn into_string(self) -> String {
        let mut bytes = match String::from_utf8(self.bytes) {
            Ok(text) => return text,
            Err(error) => error.into_bytes(),
        };
        // A lone surrogate becomes one U+FFFD, not three.
        for at in 0..bytes.len().saturating_sub(2) {
            if bytes[at] == 0xED && bytes[at + 1] >= 0xA0 {
                bytes[at..at + 3].copy_from_slice("\u{FFFD}".as_bytes());
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Appends the character of the escape after a backslash; returns the bytes that follow the escape.
    fn push_escape<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let Some((&kind, rest)) = rest.split_first() else { return rest };
        let byte = match kind {
            b'u' => {
                let unit = rest.get(..4).and_then(|hex| std::str::from_utf8(hex).ok());
                let Some(unit) = unit.and_then(|hex| u16::from_str_radix(hex, 16).ok()) else { return rest };
                self.push_unit(unit);
                return &rest[4..];
            }
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            plain => plain,
        };
        self.bytes.push(byte);
        rest
    }

    /// Appends a UTF-16 unit. A low surrogate is joined with a high surrogate at the end of the text.
    fn push_unit(&mut self, unit: u16) {
        let unit = u32::from(unit);
        if (0xDC00..0xE000).contains(&unit)
            && let [.., 0xED, high @ 0xA0..=0xAF, low @ 0x80..=0xBF] = self.bytes[..]
        {
            let first = (u32::from(high & 0x0F) << 6) | u32::from(low & 0x3F);
            self.bytes.truncate(self.bytes.len() - 3);
            self.push_char(0x1_0000 + (first << 10) + (unit - 0xDC00));
        } else if (0xD800..0xE000).contains(&unit) {
            let [_, _, high, low] = unit.to_be_bytes();
            let middle = 0x80 | ((high & 0x0F) << 2) | (low >> 6);
            self.bytes.extend_from_slice(&[0xED, middle, 0x80 | (low & 0x3F)]);
        } else {
            self.push_char(unit);
        }
    }

    fn push_char(&mut self, code: u32) {
        let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Reader;
    use super::*;

    fn read(json: &[u8]) -> Text<'_> {
        Reader::new(json).text().unwrap()
    }

    #[test]
    fn surrogate_pairs_are_joined_and_lone_surrogates_replaced() {
        let mut text = TextBuf::default();
        for piece in [r#""a\ud83d""#.as_bytes(), br#""\ude00b""#, br#""\udc00\ud800c""#, b"\"\xC3\"", b"\"\xA9\xFF\""] {
            text.push(read(piece));
        }
        assert_eq!(text.into_string(), "a\u{1F600}b\u{FFFD}\u{FFFD}c\u{E9}\u{FFFD}");
        assert_eq!(read(br#""\ud83d""#).to_str(), "\u{FFFD}");
        assert_eq!(read(b"\"x\xFFy\"").to_str(), "x\u{FFFD}y");
    }

    proptest! {
        #[test]
        fn valid_text_is_read_like_serde(text in any::<String>(), escaped in any::<bool>()) {
            let json = if escaped {
                let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                format!("\"{}\"", units.concat())
            } else {
                serde_json::to_string(&text).unwrap()
            };
            prop_assert_eq!(read(json.as_bytes()).to_str(), text);
        }

        #[test]
        fn escapes_may_be_split_at_any_byte(text in "[a\u{1F600}\u{10FFFF}\u{D7FF}\u{E000}\n]{1,6}", at in any::<prop::sample::Index>()) {
            let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            let at = at.index(units.len() + 1);
            let mut joined = TextBuf::default();
            for half in [&units[..at], &units[at..]] {
                joined.push(read(format!("\"{}\"", half.concat()).as_bytes()));
            }
            prop_assert_eq!(joined.into_string(), text);
        }
    }
}

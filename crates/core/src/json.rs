//! Reads single values out of JSON and skips the rest, in one pass and without building a tree.
//!
//! Every request and answer is read here, and most of its bytes are text that is skipped. [`Reader`] accepts exactly
//! the JSON that serde accepts, but does not describe errors; [`parse_error`] does. Requests are read strictly. Answers
//! are read with [`Reader::lenient`], because an odd value must not cost a complete answer.

mod lenient;
mod text;

use std::borrow::Cow;

pub use lenient::repaired;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
pub use text::{Text, TextBuf};

/// Maximum nesting depth of arrays and objects; the same limit as for `serde_json` values.
const MAX_DEPTH: usize = 128;

/// Number of bytes that are scanned at a time, and the length up to which text is scanned by words.
const WORD_BYTES: usize = size_of::<u64>();
const SHORT_TEXT_BYTES: usize = 4 * WORD_BYTES;

/// A cursor over a JSON document.
///
/// Each method reads the next value and returns `None` if it has another type or is not valid JSON; the reader must not
/// be used after that. UTF-8 is validated in strings that are [read](Self::string), not in those that are skipped.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    json: &'a [u8],
    at: usize,
    depth: usize,
    is_lenient: bool,
}

/// A string as written in the document.
struct Quoted<'a> {
    /// The bytes, including the quotes.
    raw: &'a [u8],
    /// Whether the string contains no escapes.
    is_plain: bool,
}

/// Returns the reason why `json` could not be read as an object. If it is not JSON, the text is serde's error message.
#[must_use]
pub fn parse_error(json: &[u8]) -> String {
    match serde_json::from_slice::<IgnoredAny>(json) {
        Err(error) => error.to_string(),
        Ok(_) if json.trim_ascii_start().starts_with(b"{") => match Reader::new(json).skip() {
            Some(()) => "a field name contains an unpaired surrogate".into(),
            None => format!("it is nested deeper than {MAX_DEPTH} levels"),
        },
        Ok(_) => "it is not a JSON object".into(),
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Creates a reader at the beginning of a document.
    #[must_use]
    pub const fn new(json: &'a [u8]) -> Self {
        Self { json, at: 0, depth: 0, is_lenient: false }
    }

    /// Creates a reader that also accepts what some servers write in place of JSON: `NaN`, `Infinity` and `-Infinity`,
    /// control characters in strings, and values nested deeper than 128, which can be skipped but not entered.
    #[must_use]
    pub const fn lenient(json: &'a [u8]) -> Self {
        Self { json, at: 0, depth: 0, is_lenient: true }
    }

    /// Skips white space and returns the first byte of the next value.
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Expects the end of the document.
    pub fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// Reads an object: calls `each` with the name of each member. `each` must consume the value.
    pub fn object(&mut self, mut each: impl FnMut(&str, &mut Self) -> Option<()>) -> Option<()> {
        self.members(|name, value| each(&name.read()?, value))
    }

    /// Like [`object`](Self::object), for names that may contain lone surrogates.
    pub fn fields(&mut self, mut each: impl FnMut(Cow<'a, str>, &mut Self) -> Option<()>) -> Option<()> {
        self.members(|name, value| each(name.text().to_str(), value))
    }

    /// Like [`fields`](Self::fields), with each name also as it is written, in quotes.
    pub fn fields_as_written(
        &mut self,
        mut each: impl FnMut(Cow<'a, str>, &'a [u8], &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.members(|name, value| each(name.text().to_str(), name.raw, value))
    }

    /// Reads an array: calls `each` before each element. `each` must consume the element.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.enter(b'[')?;
        if self.peek()? == b']' {
            return self.leave(b']');
        }
        loop {
            each(self)?;
            if self.peek()? != b',' {
                return self.leave(b']');
            }
            self.at += 1;
        }
    }

    /// Reads a string and unescapes it.
    pub fn string(&mut self) -> Option<Cow<'a, str>> {
        self.consume_string()?.read()
    }

    /// Reads a string that may contain lone surrogates.
    pub fn text(&mut self) -> Option<Text<'a>> {
        self.consume_string().map(|quoted| quoted.text())
    }

    /// Reads a string, unescaped, or `null`, which is returned as `Some(None)`.
    pub fn string_or_null(&mut self) -> Option<Option<Cow<'a, str>>> {
        match self.peek()? {
            b'n' => self.word(b"null").map(|()| None),
            _ => self.string().map(Some),
        }
    }

    /// Reads any value. Invalid characters become U+FFFD; the last of several members with the same name wins, as in
    /// JavaScript. The value takes many times the memory of its text, so use this only for values known to be small.
    /// A lenient reader returns a value that is nested too deep as its text.
    pub fn value(&mut self) -> Option<Value> {
        Some(match self.peek()? {
            b'{' | b'[' if self.is_too_deep() => Value::String(String::from_utf8_lossy(self.raw()?).into_owned()),
            b'"' => Value::String(self.text()?.to_str().into_owned()),
            b'{' => {
                let mut members = Map::new();
                self.fields(|name, value| {
                    members.insert(name.into_owned(), value.value()?);
                    Some(())
                })?;
                Value::Object(members)
            }
            b'[' => {
                let mut elements = Vec::new();
                self.array(|element| {
                    elements.push(element.value()?);
                    Some(())
                })?;
                Value::Array(elements)
            }
            // A number that does not fit becomes `null`.
            _ => serde_json::from_slice(self.raw()?).unwrap_or_default(),
        })
    }

    /// Skips a value and returns its bytes.
    pub fn raw(&mut self) -> Option<&'a [u8]> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        Some(&self.json[start..self.at])
    }

    /// Skips a value.
    pub fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.consume_string().map(|_| ()),
            b'{' | b'[' if self.is_too_deep() => self.skip_deep(),
            b'{' => self.members(|_, value| value.skip()),
            b'[' => self.array(Self::skip),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn members(&mut self, mut each: impl FnMut(Quoted<'a>, &mut Self) -> Option<()>) -> Option<()> {
        self.enter(b'{')?;
        if self.peek()? == b'}' {
            return self.leave(b'}');
        }
        loop {
            let name = self.consume_string()?;
            self.expect(b':')?;
            each(name, self)?;
            if self.peek()? != b',' {
                return self.leave(b'}');
            }
            self.at += 1;
        }
    }

    fn enter(&mut self, bracket: u8) -> Option<()> {
        self.expect(bracket)?;
        self.depth += 1;
        (self.depth <= MAX_DEPTH).then_some(())
    }

    fn leave(&mut self, bracket: u8) -> Option<()> {
        self.depth -= 1;
        self.expect(bracket)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.json[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn consume_string(&mut self) -> Option<Quoted<'a>> {
        self.expect(b'"')?;
        let (start, mut at, mut is_plain) = (self.at, self.at, true);
        loop {
            at += plain_len(self.json.get(at..)?);
            match self.json.get(at)? {
                b'"' => break,
                b'\\' => at += escape(&self.json[at..])?,
                _ if self.is_lenient => at += 1,
                _ => return None,
            }
            is_plain = false;
        }
        self.at = at + 1;
        Some(Quoted { raw: &self.json[start - 1..self.at], is_plain })
    }

    fn number(&mut self) -> Option<()> {
        if self.is_lenient
            && let Some(len) = lenient::not_finite(&self.json[self.at..])
        {
            self.at += len;
            return Some(());
        }
        self.consume(b'-');
        if !self.consume(b'0') {
            self.digits()?;
        }
        if self.consume(b'.') {
            self.digits()?;
        }
        if self.consume(b'e') || self.consume(b'E') {
            let _ = self.consume(b'+') || self.consume(b'-');
            self.digits()?;
        }
        Some(())
    }

    /// Consumes the next byte if it equals `byte`, and returns whether it did.
    fn consume(&mut self, byte: u8) -> bool {
        let is_it = self.json.get(self.at) == Some(&byte);
        self.at += usize::from(is_it);
        is_it
    }

    /// Reads one or more digits.
    fn digits(&mut self) -> Option<()> {
        let digits = self.json[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        (digits > 0).then_some(())
    }
}

// === impl Quoted ===

impl<'a> Quoted<'a> {
    fn text(&self) -> Text<'a> {
        Text::new(&self.raw[1..self.raw.len() - 1], self.is_plain)
    }

    fn read(&self) -> Option<Cow<'a, str>> {
        if self.is_plain {
            return std::str::from_utf8(&self.raw[1..self.raw.len() - 1]).ok().map(Cow::Borrowed);
        }
        serde_json::from_slice(self.raw).ok().map(Cow::Owned)
    }
}

/// Returns the number of leading bytes that are plain text: up to a quote, a backslash or a control character.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    // Names, most values and most text between two escapes are short: a word-by-word scan ends before the setup of
    // `memchr2` pays off.
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let ends = non_plain_bytes(u64::from_le_bytes(*word));
        if ends != 0 {
            return at + ends.trailing_zeros() as usize / 8;
        }
        at += WORD_BYTES;
        if at == SHORT_TEXT_BYTES {
            break;
        }
    }
    at + long_text(&bytes[at..])
}

#[inline(never)]
fn long_text(bytes: &[u8]) -> usize {
    let text = &bytes[..memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len())];
    // The fold has no branch, so the compiler vectorises it.
    let least = text.iter().fold(u8::MAX, |least, &byte| least.min(byte));
    let control = if least < b' ' { text.iter().position(|&byte| byte < b' ') } else { None };
    control.unwrap_or(text.len())
}

/// Returns the length in bytes of the escape at the beginning of `bytes`; `None` if the escape is invalid.
#[inline]
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// Tests all bytes of a word at once: the lowest bit set in the result is the highest bit of the first byte that is not
/// plain text.
const fn non_plain_bytes(word: u64) -> u64 {
    const LOW_BITS: u64 = u64::from_le_bytes([1; WORD_BYTES]);
    const HIGH_BITS: u64 = LOW_BITS << 7;
    // A subtraction that underflows sets the highest bit of its byte. The borrow changes the next higher byte, which
    // does not matter because that byte comes later in the text.
    let control = word.wrapping_sub(LOW_BITS * b' ' as u64);
    let quote = (word ^ (LOW_BITS * b'"' as u64)).wrapping_sub(LOW_BITS);
    let backslash = (word ^ (LOW_BITS * b'\\' as u64)).wrapping_sub(LOW_BITS);
    (control | quote | backslash) & !word & HIGH_BITS
}

#[cfg(test)]
mod tests;

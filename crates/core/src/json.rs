//! Reading a few values out of JSON and passing over the rest, once and without building anything.
//!
//! Every request and answer goes through here, and most of its bytes are text that nobody asks for. [`Reader`] is as strict
//! as serde about what JSON is, but says only *that* something is none; [`why_not`] has the words.

mod text;

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
pub use text::{Text, TextBuf};

/// How deep arrays and objects may lie in one another, as in serde's values.
const MAX_DEPTH: usize = 128;

/// Text is looked at a word at a time at first, up to this length.
const WORD: usize = size_of::<u64>();
const SHORT: usize = 4 * WORD;

/// Goes through a document from its first byte to its last.
///
/// Each method reads what stands next, and answers `None` if that is something else or no JSON; the reader is of no use
/// then. UTF-8 is checked in the texts that are [read](Self::string), and not in those that are passed over.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    json: &'a [u8],
    at: usize,
    depth: usize,
}

/// A string as it stands in the document.
struct Quoted<'a> {
    /// Quotes included.
    raw: &'a [u8],
    /// It has no escapes.
    is_plain: bool,
}

/// Why `json` could not be read as an object: in serde's words, if it is no JSON.
#[must_use]
pub fn why_not(json: &[u8]) -> String {
    match serde_json::from_slice::<IgnoredAny>(json) {
        Err(error) => error.to_string(),
        Ok(_) if json.trim_ascii_start().starts_with(b"{") => match Reader::new(json).skip() {
            Some(()) => "a name in it has half a surrogate pair".into(),
            None => format!("it is nested deeper than {MAX_DEPTH}"),
        },
        Ok(_) => "it is no object".into(),
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Begins with a document.
    #[must_use]
    pub const fn new(json: &'a [u8]) -> Self {
        Self { json, at: 0, depth: 0 }
    }

    /// The first byte of what stands next.
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// The end of the document.
    pub fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// An object: `each` is called with the name of each member, and has to read its value.
    pub fn object(&mut self, mut each: impl FnMut(&str, &mut Self) -> Option<()>) -> Option<()> {
        self.members(|name, value| each(&name.read()?, value))
    }

    /// As [`object`](Self::object), for names that may hold half characters.
    pub fn fields(&mut self, mut each: impl FnMut(Cow<'a, str>, &mut Self) -> Option<()>) -> Option<()> {
        self.members(|name, value| each(name.text().to_str(), value))
    }

    /// An array: `each` is called before each element, and has to read it.
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

    /// A string, unescaped.
    pub fn string(&mut self) -> Option<Cow<'a, str>> {
        self.pass_string()?.read()
    }

    /// A string that may hold half characters.
    pub fn text(&mut self) -> Option<Text<'a>> {
        self.pass_string().map(|quoted| quoted.text())
    }

    /// A string, unescaped; or `null`, which is `None` inside.
    pub fn string_or_null(&mut self) -> Option<Option<Cow<'a, str>>> {
        match self.peek()? {
            b'n' => self.word(b"null").map(|()| None),
            _ => self.string().map(Some),
        }
    }

    /// Any value, with U+FFFD for what is no character; of two members of one name the last counts, as in JavaScript. Takes
    /// many times the memory of its text: only for what is known to be small.
    pub fn value(&mut self) -> Option<Value> {
        Some(match self.peek()? {
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
            // A number that does not fit is none.
            _ => serde_json::from_slice(self.raw()?).unwrap_or_default(),
        })
    }

    /// Passes over a value; answers its bytes.
    pub fn raw(&mut self) -> Option<&'a [u8]> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        Some(&self.json[start..self.at])
    }

    /// Passes over a value.
    pub fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.pass_string().map(|_| ()),
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
            let name = self.pass_string()?;
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

    fn pass_string(&mut self) -> Option<Quoted<'a>> {
        self.expect(b'"')?;
        let (start, mut at, mut is_plain) = (self.at, self.at, true);
        loop {
            at += plain_len(self.json.get(at..)?);
            match self.json.get(at)? {
                b'"' => break,
                b'\\' => at += escape(&self.json[at..])?,
                _ => return None,
            }
            is_plain = false;
        }
        self.at = at + 1;
        Some(Quoted { raw: &self.json[start - 1..self.at], is_plain })
    }

    fn number(&mut self) -> Option<()> {
        self.pass(b'-');
        if !self.pass(b'0') {
            self.digits()?;
        }
        if self.pass(b'.') {
            self.digits()?;
        }
        if self.pass(b'e') || self.pass(b'E') {
            let _ = self.pass(b'+') || self.pass(b'-');
            self.digits()?;
        }
        Some(())
    }

    /// Passes over a byte, if it is this one.
    fn pass(&mut self, byte: u8) -> bool {
        let is_it = self.json.get(self.at) == Some(&byte);
        self.at += usize::from(is_it);
        is_it
    }

    /// One digit or more.
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

/// How many bytes of `bytes` are text: up to a quote, a backslash or a control character.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    // Names and most values are short, and so is most text between two escapes: it is over before a search of the rest would
    // have begun.
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let ends = ends_of_text(u64::from_le_bytes(*word));
        if ends != 0 {
            return at + ends.trailing_zeros() as usize / 8;
        }
        at += WORD;
        if at == SHORT {
            break;
        }
    }
    at + long_text(&bytes[at..])
}

#[inline(never)]
fn long_text(bytes: &[u8]) -> usize {
    let text = &bytes[..memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len())];
    // Without a branch in it, the compiler makes vectors of this one.
    let least = text.iter().fold(u8::MAX, |least, &byte| least.min(byte));
    let control = if least < b' ' { text.iter().position(|&byte| byte < b' ') } else { None };
    control.unwrap_or(text.len())
}

/// How long the escape is that `bytes` begin with.
#[inline]
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// Looks at all bytes of a word at once: the lowest bit that is set is the highest of the first byte that is no text.
const fn ends_of_text(word: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; WORD]);
    const HIGHEST: u64 = EACH << 7;
    // Taking more from a byte than it has sets its highest bit. It borrows from the byte above, which does not matter:
    // that one comes later.
    let control = word.wrapping_sub(EACH * b' ' as u64);
    let quote = (word ^ (EACH * b'"' as u64)).wrapping_sub(EACH);
    let backslash = (word ^ (EACH * b'\\' as u64)).wrapping_sub(EACH);
    (control | quote | backslash) & !word & HIGHEST
}

#[cfg(test)]
mod tests;

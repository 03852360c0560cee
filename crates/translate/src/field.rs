//! Reads JSON documents field by field, and names the place of a field in errors.

use std::borrow::Cow;
use std::fmt;

use signalbox_core::json::{Reader, Text, TextBuf};

use crate::error::{Problem, RequestError};
use crate::hub::Json;

/// A JSON value as it is written in the document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a>(&'a str);

/// The members of an object that have not been taken yet, in the order of the document. `null` counts as absent.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

/// The place of a value in a request, printed as `messages.1.content.0`.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Name(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

/// Joins strings that a provider may have split within a character: a surrogate pair, or the bytes of UTF-8.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joiner {
    /// The beginning of a character: at most three bytes.
    held: Vec<u8>,
}

// === impl Raw ===

impl<'a> Raw<'a> {
    /// Wraps a whole document, which must be valid JSON.
    pub(crate) fn document(json: &'a str) -> Self {
        Self(json.trim_ascii())
    }

    pub(crate) const fn as_str(self) -> &'a str {
        self.0
    }

    pub(crate) fn to_json(self) -> Json {
        Json::checked(self.0)
    }

    fn first(self) -> u8 {
        self.0.as_bytes().first().copied().unwrap_or_default()
    }

    pub(crate) fn is_null(self) -> bool {
        self.first() == b'n'
    }

    pub(crate) fn is_string(self) -> bool {
        self.first() == b'"'
    }

    pub(crate) fn is_array(self) -> bool {
        self.first() == b'['
    }

    pub(crate) fn is_object(self) -> bool {
        self.first() == b'{'
    }

    pub(crate) fn text(self) -> Option<Text<'a>> {
        Reader::new(self.0.as_bytes()).text()
    }

    pub(crate) fn str(self) -> Option<Cow<'a, str>> {
        self.text().map(|text| text.to_str())
    }

    pub(crate) fn bool(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Returns a whole number, which may be written as a float or a string; a negative one counts as absent.
    pub(crate) fn count(self) -> Option<u64> {
        let text = self.0.trim_matches('"');
        text.parse().ok().or_else(|| {
            let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
            format!("{number:.0}").parse().ok()
        })
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self.first(), b'-' | b'0'..=b'9')
    }

    pub(crate) fn fields(self) -> Option<Fields<'a>> {
        let mut fields = Vec::new();
        Reader::new(self.0.as_bytes()).fields(|name, value| {
            fields.push((name, Raw(part_of(self.0, value.raw()?)?)));
            Some(())
        })?;
        Some(Fields(fields))
    }

    pub(crate) fn elements(self) -> Option<Vec<Raw<'a>>> {
        let mut elements = Vec::new();
        Reader::new(self.0.as_bytes()).array(|value| {
            elements.push(Raw(part_of(self.0, value.raw()?)?));
            Some(())
        })?;
        Some(elements)
    }

    /// Reads the elements of a list of strings; elements of another type are skipped.
    pub(crate) fn strings(self) -> Vec<String> {
        let elements = self.elements().unwrap_or_default();
        elements.into_iter().filter_map(|element| element.str().map(Cow::into_owned)).collect()
    }
}

/// Returns a part of a text as text, without validating it again.
fn part_of<'a>(whole: &'a str, part: &'a [u8]) -> Option<&'a str> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    whole.get(start..start.checked_add(part.len())?)
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Removes a member and returns its value. The last of several members with the same name wins.
    pub(crate) fn take(&mut self, name: &str) -> Option<Raw<'a>> {
        let mut found = None;
        self.0.retain(|(known, value)| {
            let is_it = known == name;
            if is_it {
                found = Some(*value);
            }
            !is_it
        });
        found.filter(|value| !value.is_null())
    }

    /// Returns a value and leaves it in place.
    pub(crate) fn get(&self, name: &str) -> Option<Raw<'a>> {
        let found = self.0.iter().rfind(|(known, _)| known == name).map(|(_, value)| *value);
        found.filter(|value| !value.is_null())
    }

    pub(crate) fn str(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.str()
    }

    pub(crate) fn string(&self, name: &str) -> Option<String> {
        self.str(name).map(Cow::into_owned)
    }

    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.get(name)?.count()
    }

    /// Returns an index: a count that fits 32 bits.
    pub(crate) fn index(&self, name: &str) -> Option<u32> {
        self.count(name).and_then(|index| u32::try_from(index).ok())
    }

    pub(crate) fn object(&self, name: &str) -> Option<Fields<'a>> {
        self.get(name)?.fields()
    }

    pub(crate) fn elements(&self, name: &str) -> Vec<Raw<'a>> {
        self.get(name).and_then(Raw::elements).unwrap_or_default()
    }

    pub(crate) fn take_str(&mut self, name: &str, at: &Path<'_>) -> Result<Option<String>, RequestError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.str() {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(RequestError::new(Problem::WrongType, &Path::Name(at, name), "It must be a string.")),
        }
    }

    pub(crate) fn need_str(&mut self, name: &str, at: &Path<'_>) -> Result<String, RequestError> {
        self.take_str(name, at)?
            .ok_or_else(|| RequestError::new(Problem::Missing, &Path::Name(at, name), "The field is required."))
    }

    pub(crate) fn take_bool(&mut self, name: &str, at: &Path<'_>) -> Result<Option<bool>, RequestError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.bool() {
            Some(value) => Ok(Some(value)),
            None => Err(RequestError::new(Problem::WrongType, &Path::Name(at, name), "It must be true or false.")),
        }
    }

    pub(crate) fn take_count(&mut self, name: &str, at: &Path<'_>) -> Result<Option<u64>, RequestError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.count().filter(|_| value.is_number()) {
            Some(count) => Ok(Some(count)),
            None => {
                let advice = "It must be a whole number of zero or more.";
                Err(RequestError::new(Problem::WrongType, &Path::Name(at, name), advice))
            }
        }
    }

    /// Takes a number and keeps its digits as they are written.
    pub(crate) fn take_number(&mut self, name: &str, at: &Path<'_>) -> Result<Option<Json>, RequestError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        if value.is_number() {
            return Ok(Some(value.to_json()));
        }
        Err(RequestError::new(Problem::WrongType, &Path::Name(at, name), "It must be a number."))
    }

    pub(crate) fn take_object(&mut self, name: &str, at: &Path<'_>) -> Result<Option<Fields<'a>>, RequestError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.fields() {
            Some(fields) => Ok(Some(fields)),
            None => Err(RequestError::new(Problem::WrongType, &Path::Name(at, name), "It must be an object.")),
        }
    }

    pub(crate) fn take_array(&mut self, name: &str, at: &Path<'_>) -> Result<Option<Vec<Raw<'a>>>, RequestError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.elements() {
            Some(elements) => Ok(Some(elements)),
            None => Err(RequestError::new(Problem::WrongType, &Path::Name(at, name), "It must be a list.")),
        }
    }

    /// Returns the members that are left, without those that are `null`.
    pub(crate) fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, Raw<'a>)> {
        self.0.into_iter().filter(|(_, value)| !value.is_null())
    }
}

// === impl Path ===

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parent, own): (&Path<'_>, &dyn fmt::Display) = match self {
            Path::Root => return Ok(()),
            Path::Name(parent, name) => (parent, name),
            Path::Index(parent, index) => (parent, index),
        };
        match parent {
            Path::Root => write!(f, "{own}"),
            _ => write!(f, "{parent}.{own}"),
        }
    }
}

// === impl Joiner ===

impl Joiner {
    /// Returns the text up to the last complete character; the rest is held until the next call.
    pub(crate) fn push(&mut self, text: Text<'_>) -> String {
        if self.held.is_empty() {
            let whole = text.to_str();
            if !whole.ends_with('\u{FFFD}') {
                return whole.into_owned();
            }
        }
        let mut buffer = TextBuf::default();
        buffer.push(text);
        let mut bytes = std::mem::take(&mut self.held);
        match (bytes.as_slice(), buffer.as_bytes()) {
            ([0xED, a, b], [0xED, c @ 0xB0..=0xBF, d, rest @ ..]) => {
                let high = (u32::from(a & 0x0F) << 6) | u32::from(b & 0x3F);
                let low = (u32::from(c & 0x0F) << 6) | u32::from(d & 0x3F);
                let char = char::from_u32(0x1_0000 + (high << 10) + low).unwrap_or(char::REPLACEMENT_CHARACTER);
                bytes = char.to_string().into_bytes();
                bytes.extend_from_slice(rest);
            }
            (_, more) => bytes.extend_from_slice(more),
        }
        let held = incomplete_len(&bytes);
        self.held = bytes.split_off(bytes.len() - held);
        lossy(&bytes)
    }

    /// Returns what is held, as the text ends here.
    pub(crate) fn finish(&mut self) -> Option<String> {
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then(|| char::REPLACEMENT_CHARACTER.to_string())
    }
}

/// Returns the number of bytes at the end that may be the beginning of a character.
fn incomplete_len(bytes: &[u8]) -> usize {
    match bytes {
        [.., 0xED, 0xA0..=0xAF, 0x80..=0xBF] => 3,
        [.., 0xF0..=0xF4, 0x80..=0xBF, 0x80..=0xBF] => 3,
        [.., 0xE0..=0xF4, 0x80..=0xBF] => 2,
        [.., 0xC2..=0xF4] => 1,
        _ => 0,
    }
}

fn lossy(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_are_split_between_events_are_joined() {
        let mut joiner = Joiner::default();
        let mut joined = String::new();
        for piece in [r#""a\ud83d""#.as_bytes(), br#""\ude00b""#, b"\"\xC3\"", b"\"\xA9\"", br#""\ud800""#, br#""c""#] {
            joined += &joiner.push(Reader::new(piece).text().unwrap());
        }
        assert_eq!(joined.replace('\u{FFFD}', ""), "a\u{1F600}b\u{E9}c");
        assert_eq!(joiner.finish(), None);
    }

    #[test]
    fn paths_are_printed_with_dots() {
        let (messages, root) = ("messages", Path::Root);
        let list = Path::Name(&root, messages);
        assert_eq!(Path::Index(&list, 3).to_string(), "messages.3");
    }
}

//! Escapes of JSON, URLs and HTML, decoded with the place of each byte.

use std::ops::Range;

use memchr::memchr3;

/// Decodes the escape at the beginning of a text: returns the decoded bytes and the length of the escape.
pub(super) type DecodeEscape = fn(&[u8]) -> Option<(Vec<u8>, usize)>;

/// A text with its escapes decoded, and the source range of each of its bytes.
pub(super) struct Unescaped {
    pub(super) text: Vec<u8>,
    pub(super) origin: Vec<Range<usize>>,
}

// === impl Unescaped ===

impl Unescaped {
    /// Decodes the escapes of a text; `None` if it has none.
    pub(super) fn new(text: &[u8], resolve: DecodeEscape) -> Option<Self> {
        memchr3(b'\\', b'%', b'&', text)?;
        let mut resolved = Self { text: Vec::with_capacity(text.len()), origin: Vec::with_capacity(text.len()) };
        let (mut at, mut any) = (0, false);
        while let Some(&byte) = text.get(at) {
            let Some((bytes, len)) = resolve(&text[at..]) else {
                resolved.origin.push(at..at + 1);
                resolved.text.push(byte);
                at += 1;
                continue;
            };
            any = true;
            resolved.origin.extend(bytes.iter().map(|_| at..at + len));
            resolved.text.extend(bytes);
            at += len;
        }
        any.then_some(resolved)
    }

    /// Returns the source range of a range of the decoded text.
    pub(super) fn source(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.origin.get(range.start).map_or(0, |origin| origin.start);
        let end = range.end.checked_sub(1).and_then(|last| self.origin.get(last)).map_or(start, |origin| origin.end);
        start..end
    }
}

/// Decodes the JSON escape at the beginning of a text: returns its bytes and the length of the escape.
pub(super) fn json_escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let [b'\\', kind, rest @ ..] = text else { return None };
    let byte = match kind {
        b'"' | b'\\' | b'/' => *kind,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let unit = hex(rest.get(..4)?)?;
            if let Some(char) = char::from_u32(unit) {
                return Some((char.to_string().into_bytes(), 6));
            }
            let low = rest.get(4..)?.strip_prefix(b"\\u")?.get(..4).and_then(hex)?;
            let char = char::from_u32(0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff))?;
            return Some((char.to_string().into_bytes(), 12));
        }
        _ => return None,
    };
    Some((vec![byte], 2))
}

/// Decodes the percent-encoded byte at the beginning of a text.
pub(super) fn percent_escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let digits = text.strip_prefix(b"%")?.get(..2)?;
    Some((vec![u8::try_from(hex(digits)?).ok()?], 3))
}

/// Decodes the character reference of HTML at the beginning of a text: a number, or one of the names of characters that
/// keys have.
fn html_escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    /// Maximum bytes of a reference.
    const MAX: usize = 10;
    const NAMES: [(&[u8], u8); 14] = [
        (b"amp", b'&'),
        (b"apos", b'\''),
        (b"colon", b':'),
        (b"equals", b'='),
        (b"gt", b'>'),
        (b"hyphen", b'-'),
        (b"lowbar", b'_'),
        (b"lt", b'<'),
        (b"num", b'#'),
        (b"percnt", b'%'),
        (b"period", b'.'),
        (b"plus", b'+'),
        (b"quot", b'"'),
        (b"sol", b'/'),
    ];
    let rest = text.strip_prefix(b"&")?;
    let end = rest.iter().take(MAX).position(|&byte| byte == b';')?;
    let name = &rest[..end];
    let char = match name {
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(hex(digits)?)?,
        [b'#', digits @ ..] => char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?)?,
        name => char::from(NAMES.iter().find(|(known, _)| *known == name)?.1),
    };
    Some((char.to_string().into_bytes(), end + 2))
}

/// Decodes the escape of any kind at the beginning of a text, such as HTML that is quoted within JSON.
pub(super) fn any_escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    json_escape(text).or_else(|| percent_escape(text)).or_else(|| html_escape(text))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

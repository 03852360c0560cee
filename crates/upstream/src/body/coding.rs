//! Determines the coding of a body from its head and its first bytes.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

/// Number of bytes that distinguish text from a coding without a magic number. Two in five bytes of compressed data
/// look like text, so one in two million such beginnings is mistaken for text.
const SNIFF_BYTES: usize = 16;

/// A supported content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Zstd,
    Brotli,
    /// With zlib's header, as the standard requires.
    Zlib,
    /// Without zlib's header, as many servers send it.
    Deflate,
}

/// The coding declared in the head of a response. Some servers and proxies declare a coding for bodies that are not
/// encoded, or declare words that are not codings, so this is only a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    Brotli,
    Deflate,
    /// A coding that is recognised by its first bytes (gzip, zstd), or a word that is not a coding (`none`, `utf-8`, an
    /// empty value).
    Marked,
}

/// The result of inspecting the first bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detection {
    /// More bytes are needed.
    Undecided,
    Plain,
    Encoded(Coding),
}

// === impl Hint ===

impl Hint {
    /// Removes the coding from a head, and the length, which is that of the encoded body. Returns `None` if the head
    /// declares no coding.
    pub(crate) fn take(headers: &mut HeaderMap) -> Option<Self> {
        let mut hint = None;
        for value in headers.get_all(CONTENT_ENCODING) {
            for word in value.as_bytes().split(|&byte| byte == b',') {
                let word = word.trim_ascii();
                let word = word.strip_prefix(b"\"").unwrap_or(word);
                let word = word.strip_suffix(b"\"").unwrap_or(word).trim_ascii();
                // The last of several codings was applied last.
                hint = Some(match word {
                    word if word.eq_ignore_ascii_case(b"identity") => continue,
                    word if word.eq_ignore_ascii_case(b"br") => Self::Brotli,
                    word if word.eq_ignore_ascii_case(b"deflate") => Self::Deflate,
                    _ => Self::Marked,
                });
            }
        }
        headers.remove(CONTENT_ENCODING);
        if hint.is_some() {
            headers.remove(CONTENT_LENGTH);
        }
        hint
    }

    /// Decides the coding from the first bytes of a body; `ended` says that there are no more.
    pub(super) fn detect(self, bytes: &[u8], ended: bool) -> Detection {
        const MAGIC_NUMBERS: [(&[u8], Coding); 2] = [(b"\x1f\x8b", Coding::Gzip), (b"\x28\xb5\x2f\xfd", Coding::Zstd)];
        for (mark, coding) in MAGIC_NUMBERS {
            if bytes.starts_with(mark) {
                return Detection::Encoded(coding);
            }
            if mark.starts_with(bytes) && !ended {
                return Detection::Undecided;
            }
        }
        if self == Self::Marked {
            return Detection::Plain;
        }
        match (is_text(bytes), bytes) {
            (true, _) if bytes.len() >= SNIFF_BYTES || ended => Detection::Plain,
            (true, _) => Detection::Undecided,
            (false, _) if self == Self::Brotli => Detection::Encoded(Coding::Brotli),
            (false, [_]) if !ended => Detection::Undecided,
            // The first two bytes of zlib's header are a multiple of 31, and the first one encodes the method and the
            // window size.
            (false, &[first, second, ..])
                if first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]) % 31 == 0 =>
            {
                Detection::Encoded(Coding::Zlib)
            }
            (false, _) => Detection::Encoded(Coding::Deflate),
        }
    }
}

/// Returns whether the bytes are UTF-8, possibly truncated, without control characters that do not occur in JSON and
/// event streams.
fn is_text(bytes: &[u8]) -> bool {
    let utf8 = std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true);
    utf8 && bytes.iter().all(|&byte| byte >= b' ' && byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r'))
}

// === impl Coding ===

impl Coding {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Zlib | Self::Deflate => "deflate",
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_head_hints_at_the_coding_and_loses_stale_headers() {
        for (values, hint) in [
            (&[][..], None),
            (&["identity"], None),
            (&[" Identity "], None),
            (&["gzip"], Some(Hint::Marked)),
            (&["x-gzip"], Some(Hint::Marked)),
            (&["\"gzip\""], Some(Hint::Marked)),
            (&["zstd"], Some(Hint::Marked)),
            (&["br"], Some(Hint::Brotli)),
            (&["\"BR\""], Some(Hint::Brotli)),
            (&["deflate"], Some(Hint::Deflate)),
            (&["identity, deflate"], Some(Hint::Deflate)),
            (&["deflate", "identity"], Some(Hint::Deflate)),
            (&["", "br"], Some(Hint::Brotli)),
            (&[""], Some(Hint::Marked)),
            (&["none"], Some(Hint::Marked)),
            (&["utf-8"], Some(Hint::Marked)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("7"));
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(Hint::take(&mut headers), hint, "{values:?}");
            assert!(!headers.contains_key(CONTENT_ENCODING));
            assert_eq!(headers.contains_key(CONTENT_LENGTH), hint.is_none());
        }
    }

    #[test]
    fn plain_text_is_recognised_despite_the_head() {
        for text in
            ["{\"choices\":[]}   ", "data: {\"choices\"", "\u{feff}[{\"id\":\"m\"}]  ", "\n\n<html>überall", "[]", ""]
        {
            for hint in [Hint::Brotli, Hint::Deflate, Hint::Marked] {
                assert_eq!(hint.detect(text.as_bytes(), true), Detection::Plain, "{text:?} {hint:?}");
            }
        }
        assert_eq!(Hint::Brotli.detect(b"data: ", false), Detection::Undecided);
        assert_eq!(Hint::Marked.detect(b"d", false), Detection::Plain, "nothing is withheld unnecessarily");
        assert_eq!(Hint::Marked.detect(b"(", false), Detection::Undecided);
        assert_eq!(Hint::Marked.detect(b"(x", false), Detection::Plain);
    }

    #[test]
    fn codings_are_recognised_by_their_magic_bytes() {
        for hint in [Hint::Brotli, Hint::Deflate, Hint::Marked] {
            assert_eq!(hint.detect(b"\x1f\x8b\x08", false), Detection::Encoded(Coding::Gzip));
            assert_eq!(hint.detect(b"\x28\xb5\x2f\xfd", false), Detection::Encoded(Coding::Zstd));
            assert_eq!(hint.detect(b"\x28\xb5", false), Detection::Undecided);
            assert_eq!(hint.detect(b"", false), Detection::Undecided);
        }
        assert_eq!(Hint::Deflate.detect(b"\x78\x9c", false), Detection::Encoded(Coding::Zlib));
        assert_eq!(Hint::Deflate.detect(b"\xab\x56\x4a", false), Detection::Encoded(Coding::Deflate));
        assert_eq!(Hint::Deflate.detect(b"\xab", false), Detection::Undecided);
        assert_eq!(Hint::Brotli.detect(b"\x1b\x00\x00", false), Detection::Encoded(Coding::Brotli));
    }
}

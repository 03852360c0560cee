//! Masks a provider's credentials in the texts that the provider sends.
//!
//! Providers quote a key that they reject, and their error texts go to clients and into the log, where the key must not
//! appear. The key may be written literally, in upper or lower case, in base64 or hexadecimal, alone or within a longer
//! text, with JSON escapes (repeatedly, where JSON is quoted within JSON), percent-encoded or as HTML, or without its end.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr3, memmem};

use crate::secret::MASK;

/// Maximum number of levels of JSON quoted within JSON.
const MAX_JSON_NESTING: usize = 3;

/// Minimum bytes of a secret that is also searched for in other spellings; those of a shorter one occur by chance.
const MIN_RESPELLED: usize = 8;

/// Minimum bytes of a secret whose beginning is also searched for. Keys of one vendor begin alike, but shorter.
const MIN_SHORTENED: usize = 32;

/// Digits of base64, without the last two, which depend on the alphabet.
const BASE64: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Finds credentials in text and replaces them with [`MASK`].
#[derive(Clone, Default)]
pub struct Masker {
    /// The secrets in all spellings.
    secrets: Vec<String>,
}

/// A masker without secrets, which masks nothing.
pub static NO_SECRETS: Masker = Masker { secrets: Vec::new() };

/// Decodes the escape at the beginning of a text: returns the decoded bytes and the length of the escape.
type DecodeEscape = fn(&[u8]) -> Option<(Vec<u8>, usize)>;

/// A text with its escapes decoded, and the source range of each of its bytes.
struct Unescaped {
    text: Vec<u8>,
    origin: Vec<Range<usize>>,
}

// === impl Masker ===

impl Masker {
    /// Creates a masker for `secrets`; empty ones are ignored.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut all: Vec<String> = Vec::new();
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            for spelling in spellings(secret) {
                if !all.contains(&spelling) {
                    all.push(spelling);
                }
            }
        }
        Self { secrets: all }
    }

    /// Returns whether the masker has no secrets.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Returns whether `text` contains a secret.
    #[must_use]
    pub fn contains_secret(&self, text: &[u8]) -> bool {
        !self.secret_ranges(text).is_empty()
    }

    /// Returns the text with its secrets masked; `None` if it contains none, so that the caller can forward it
    /// unchanged.
    #[must_use]
    pub fn mask(&self, text: &[u8]) -> Option<Vec<u8>> {
        let places = self.secret_ranges(text);
        if places.is_empty() {
            return None;
        }
        let mut masked = Vec::with_capacity(text.len());
        let mut copied = 0;
        for place in places {
            masked.extend_from_slice(&text[copied..place.start]);
            masked.extend_from_slice(MASK.as_bytes());
            copied = place.end;
        }
        masked.extend_from_slice(&text[copied..]);
        Some(masked)
    }

    /// Like [`mask`](Self::mask), for a `str`.
    #[must_use]
    pub fn mask_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mask(text.as_bytes()) {
            Some(masked) => Cow::Owned(String::from_utf8_lossy(&masked).into_owned()),
            None => Cow::Borrowed(text),
        }
    }

    /// Returns the ranges of the secrets in `text`, ordered and disjoint.
    fn secret_ranges(&self, text: &[u8]) -> Vec<Range<usize>> {
        if self.secrets.is_empty() {
            return Vec::new();
        }
        let mut places = self.find_secrets(text, |place| place);
        for resolve in [json_escape as DecodeEscape, percent_escape, any_escape] {
            let mut resolved: Option<Unescaped> = None;
            // Each round decodes one more level of quoting and maps the matches back to the original text.
            for _ in 0..MAX_JSON_NESTING {
                let next = Unescaped::new(resolved.as_ref().map_or(text, |resolved| &resolved.text), resolve);
                let Some(mut next) = next else { break };
                if let Some(before) = &resolved {
                    for origin in &mut next.origin {
                        *origin = before.source(origin);
                    }
                }
                places.extend(self.find_secrets(&next.text, |place| next.source(&place)));
                resolved = Some(next);
            }
        }
        merge_ranges(places)
    }

    fn find_secrets(&self, text: &[u8], source: impl Fn(Range<usize>) -> Range<usize>) -> Vec<Range<usize>> {
        let of_secret = |secret: &String| {
            let found: Vec<_> = memmem::find_iter(text, secret).map(|at| at..at + secret.len()).collect();
            found
        };
        self.secrets.iter().flat_map(of_secret).map(source).collect()
    }
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masker").field("secrets", &self.secrets.len()).finish()
    }
}

/// Returns a secret and, if it is long enough, its other spellings.
fn spellings(secret: String) -> Vec<String> {
    if secret.len() < MIN_RESPELLED {
        return vec![secret];
    }
    let (lower, upper) = (secret.to_lowercase(), secret.to_uppercase());
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut spellings = vec![lower, upper, hex.to_uppercase(), hex];
    // Within a longer text, such as `Bearer KEY`, the secret begins at any of three places of a group of digits.
    for before in 0..3 {
        spellings.extend([*b"+/", *b"-_"].map(|last| base64(before, secret.as_bytes(), last)));
    }
    // The first three quarters are masked, too, because some providers quote a key without its end.
    if secret.len() >= MIN_SHORTENED {
        spellings.extend(secret.get(..secret.len() - secret.len() / 4).map(str::to_owned));
    }
    spellings.insert(0, secret);
    spellings
}

/// Encodes bytes in base64 with these last two digits, without padding, behind `before` bytes of a group of three.
/// Digits that also depend on the bytes around are left out.
fn base64(before: usize, bytes: &[u8], last: [u8; 2]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3);
    let (mut bits, mut len) = (0_u32, 0_u32);
    for byte in std::iter::repeat_n(&0, before).chain(bytes) {
        bits = ((bits << 8) | u32::from(*byte)) & 0xffff;
        len += 8;
        while len >= 6 {
            len -= 6;
            let digit = ((bits >> len) & 0x3f) as usize;
            let digit = BASE64.get(digit).copied().unwrap_or_else(|| last[usize::from(digit == 63)]);
            text.push(char::from(digit));
        }
    }
    // Of 8 bits before, two digits have a part, and of 16 bits, three.
    let shared = if before == 0 { 0 } else { before + 1 };
    text.split_off(shared.min(text.len()))
}

/// Sorts the ranges and merges those that overlap.
fn merge_ranges(mut places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    places.sort_unstable_by_key(|place| place.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(places.len());
    for place in places {
        match joined.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => joined.push(place),
        }
    }
    joined
}

// === impl Unescaped ===

impl Unescaped {
    /// Decodes the escapes of a text; `None` if it has none.
    fn new(text: &[u8], resolve: DecodeEscape) -> Option<Self> {
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
    fn source(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.origin.get(range.start).map_or(0, |origin| origin.start);
        let end = range.end.checked_sub(1).and_then(|last| self.origin.get(last)).map_or(start, |origin| origin.end);
        start..end
    }
}

/// Decodes the JSON escape at the beginning of a text: returns its bytes and the length of the escape.
fn json_escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
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
fn percent_escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
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
fn any_escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    json_escape(text).or_else(|| percent_escape(text)).or_else(|| html_escape(text))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "sk-live/0123+45é";

    fn masker() -> Masker {
        Masker::new([KEY.to_owned(), "second-canary".to_owned(), String::new()])
    }

    fn masked(text: &str) -> String {
        masker().mask_text(text).into_owned()
    }

    #[test]
    fn a_secret_is_masked_in_every_spelling() {
        for spelling in [
            KEY.to_owned(),
            KEY.replace('-', r"\u002d"),
            KEY.replace('-', r"\u002D"),
            KEY.replace('/', r"\/"),
            KEY.replace('é', r"\u00e9").replace('/', r"\/"),
            KEY.replace('/', r"\\/"),
            KEY.replace('-', r"\\u002d"),
            KEY.replace('-', r"\\\\u002d"),
            KEY.replace('/', "%2F").replace('+', "%2b").replace('é', "%C3%A9"),
            KEY.bytes().map(|byte| format!("%{byte:02x}")).collect(),
            KEY.bytes().map(|byte| format!("{byte:02x}")).collect(),
            KEY.bytes().map(|byte| format!("{byte:02X}")).collect(),
            KEY.replace('+', "&#43;").replace('/', "&#x2F;"),
            KEY.replace('+', "&plus;").replace('/', "&sol;").replace('-', "&hyphen;"),
            KEY.replace('+', r"\u0026#43;"),
            KEY.replace('+', "&amp;#43;"),
            KEY.chars().map(|char| format!("&#{};", u32::from(char))).collect(),
            KEY.chars().map(|char| format!("\\u{:04x}", u32::from(char))).collect(),
        ] {
            assert_eq!(
                masked(&format!(r#"{{"a":"key {spelling}!"}}"#)),
                format!(r#"{{"a":"key {MASK}!"}}"#),
                "{spelling}"
            );
            assert!(masker().contains_secret(spelling.as_bytes()));
        }
    }

    #[test]
    fn a_secret_is_masked_in_either_case_and_in_base64() {
        let masker = Masker::new(["Sk-live>>??~0123".to_owned(), "Abc1".to_owned()]);
        for (spelling, rest) in [
            ("sk-live>>??~0123", ""),
            ("SK-LIVE>>??~0123", ""),
            // The last digit also depends on bytes that may follow.
            ("U2stbGl2ZT4+Pz9+MDEyMw==", "w=="),
            ("U2stbGl2ZT4-Pz9-MDEyMw", "w"),
        ] {
            assert_eq!(masker.mask_text(&format!("[{spelling}]")), format!("[{MASK}{rest}]"), "{spelling}");
        }
        // Other spellings of a short secret occur by chance.
        for text in ["abc1", "ABC1", "QWJjMQ"] {
            assert_eq!(masker.mask(text.as_bytes()), None, "{text}");
        }
        assert_eq!(base64(0, b"hello", *b"+/"), "aGVsbG");
    }

    #[test]
    fn a_secret_is_masked_in_the_base64_of_a_longer_text() {
        let masker = Masker::new(["Sk-live>>??~0123".to_owned()]);
        for (text, expected) in [
            // `:KEY`, `a:KEY`, `Bearer KEY` and `user:KEY@host`.
            ("OlNrLWxpdmU+Pj8/fjAxMjM=", format!("Ol{MASK}M=")),
            ("YTpTay1saXZlPj4/P34wMTIz", format!("YTp{MASK}")),
            ("QmVhcmVyIFNrLWxpdmU+Pj8/fjAxMjM=", format!("QmVhcmVyIF{MASK}M=")),
            ("dXNlcjpTay1saXZlPj4_P34wMTIzQGhvc3Q", format!("dXNlcjp{MASK}QGhvc3Q")),
        ] {
            assert_eq!(masker.mask_text(text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_secret_is_masked_without_its_end() {
        let key = format!("sk-ant-api03-{}", "0123456789abcdef".repeat(2));
        let masker = Masker::new([key.clone()]);
        for cut in 1..=4 {
            let shown = &key[..key.len() - cut];
            let masked = masker.mask_text(shown).into_owned();
            assert!(masked.starts_with(MASK) && masked.len() < MASK.len() + key.len() / 4, "{masked}");
        }
        assert_eq!(masker.mask_text(&key), MASK);
        // The name of a vendor is no secret, and short ones occur by chance.
        assert_eq!(masker.mask(b"sk-ant-api03-..."), None);
        assert_eq!(Masker::new(["sk-0123456789abcdef".to_owned()]).mask(b"sk-0123456789ab"), None);
    }

    #[test]
    fn every_secret_is_masked_and_other_text_is_kept() {
        assert_eq!(
            masked(r#"{"x\"\n":"second-canary, second\u002dcanary and 100%, \ud83d\ude00 \u0"}"#),
            format!(r#"{{"x\"\n":"{MASK}, {MASK} and 100%, \ud83d\ude00 \u0"}}"#)
        );
        for text in ["", "nothing", r"second\u002dcanar", "%", r"\", r"\ud83d", "\\u00e"] {
            assert_eq!(masker().mask(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Masker::default().mask(b"x"), None);
        assert!(!format!("{:?}", masker()).contains("canary"));
    }

    proptest! {
        #[test]
        fn a_key_is_found_in_any_text(before in any::<String>(), after in any::<String>(), json in any::<bool>()) {
            let text = format!("{before}{KEY}{after}");
            let text = if json { serde_json::to_string(&text).unwrap() } else { text };
            let masked = masked(&text);
            prop_assert!(masked.contains(MASK));
            prop_assert!(!masked.contains(KEY));
        }
    }
}

//! Masks a provider's credentials in the texts that the provider sends.
//!
//! Providers quote a key that they reject, and their error texts go to clients and into the log, where the key must not
//! appear. The key may be written literally, in upper or lower case, in base64 or hexadecimal, alone or within a longer
//! text, with JSON escapes (repeatedly, where JSON is quoted within JSON), percent-encoded or as HTML, or without a
//! part of one end.

mod escapes;
mod shortened;
mod spellings;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

use self::escapes::{DecodeEscape, Unescaped, any_escape, json_escape, percent_escape};
use self::shortened::Shortened;
use self::spellings::spellings;
use crate::secret::MASK;

/// Maximum number of levels of JSON quoted within JSON.
const MAX_JSON_NESTING: usize = 3;

/// Finds credentials in text and replaces them with [`MASK`].
#[derive(Clone, Default)]
pub struct Masker {
    /// The secrets in all spellings.
    secrets: Vec<String>,
    /// The secrets without a part of one end.
    shortened: Vec<Shortened>,
}

/// A masker without secrets, which masks nothing.
pub static NO_SECRETS: Masker = Masker { secrets: Vec::new(), shortened: Vec::new() };

// === impl Masker ===

impl Masker {
    /// Creates a masker for `secrets`; empty ones are ignored.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let (mut all, mut shortened) = (Vec::<String>::new(), Vec::new());
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            shortened.extend(Shortened::of(&secret));
            for spelling in spellings(secret) {
                if !all.contains(&spelling) {
                    all.push(spelling);
                }
            }
        }
        Self { secrets: all, shortened }
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
        let whole = self.secrets.iter().flat_map(of_secret);
        whole.chain(self.shortened.iter().flat_map(|secret| secret.find(text))).map(source).collect()
    }
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masker").field("secrets", &self.secrets.len()).finish()
    }
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
    fn a_secret_is_masked_without_a_part_of_one_end() {
        let long = format!("sk-ant-api03-{}", "0123456789abcdef".repeat(2));
        for (key, most) in [(&*long, 11), ("sk-prov-SECRET-1234567890abcde", 1), ("éa0123456789é", 1)] {
            let masker = Masker::new([key.to_owned()]);
            assert_eq!(masker.mask_text(key), MASK);
            let (all, len) = (key.chars().collect::<Vec<_>>(), key.chars().count());
            for cut in 1..=most {
                for shown in [&all[cut..], &all[..len - cut]].map(|shown| shown.iter().collect::<String>()) {
                    assert_eq!(masker.mask_text(&shown), MASK, "{shown}");
                    assert_eq!(masker.mask_text(&format!("[{shown}...]")), format!("[{MASK}...]"), "{shown}");
                }
            }
            let middle: String = all[most + 1..len - most - 1].iter().collect();
            assert_eq!(masker.mask(middle.as_bytes()), None, "{middle}");
        }
        let masker = Masker::new([long.clone()]);
        let quoted = long[1..].replace('-', r"\u002d");
        assert_eq!(masker.mask_text(&format!("\"{quoted}\"")), format!("\"{MASK}\""));
        // The name of a vendor is no secret, and short ones occur by chance.
        assert_eq!(masker.mask(b"sk-ant-api03-..."), None);
        assert_eq!(Masker::new(["sk-0123456789abcdef".to_owned()]).mask(b"sk-0123456789ab"), None);
        assert_eq!(Masker::new(["01234567890".to_owned()]).mask(b"0123456789"), None);
    }

    #[test]
    fn every_secret_is_masked_and_other_text_is_kept() {
        assert_eq!(
            masked(r#"{"x\"\n":"second-canary, second\u002dcanary and 100%, \ud83d\ude00 \u0"}"#),
            format!(r#"{{"x\"\n":"{MASK}, {MASK} and 100%, \ud83d\ude00 \u0"}}"#)
        );
        for text in ["", "nothing", r"second\u002dcana", "%", r"\", r"\ud83d", "\\u00e"] {
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

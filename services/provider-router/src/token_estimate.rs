//! Estimates of the tokens of a request, from the length of its texts.

use signalbox_core::json::Reader;
use signalbox_pricing::{Expected, Tier};

/// Average number of bytes of a token in English text and code.
const BYTES_PER_TOKEN: usize = 4;
/// Bytes of a token that are assumed where the estimate should not be too low: other languages have shorter tokens.
const FEWEST_BYTES_PER_TOKEN: usize = 3;
/// Maximum bytes of the type of a `data:` URL.
const MAX_MEDIA_TYPE: usize = 128;
/// Tokens that are assumed for an image or another file.
const MEDIA_TOKENS: u64 = 1_600;
/// Tokens that are assumed for an answer if the request does not limit it.
const DEFAULT_OUTPUT: u64 = 4_096;

/// Maximum of a limit that a request sets, so that sums and prices do not overflow.
const MAX_OUTPUT: u64 = 1 << 40;
/// Names beside `data` by which an object is a file rather than a structure of the user's own.
const MEDIA_TYPES: [&str; 4] = ["format", "media_type", "mimeType", "mime_type"];

/// The parts of a request on which its most tokens and costs depend.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demand {
    /// Maximum tokens of the prompt.
    pub(crate) input: u64,
    /// Maximum tokens that the request sets for an answer; `Some(0)` if its answers have no tokens.
    pub(crate) output: Option<u64>,
    /// Number of answers.
    pub(crate) choices: u64,
    /// Whether the prompt has images or other files.
    pub(crate) has_media: bool,
    /// Service tier that the request asks for.
    pub(crate) tier: Tier,
    /// Whether the answer is made in the background, so that its token counts are not in the response.
    pub(crate) is_background: bool,
}

/// Sizes of the parts of a body.
#[derive(Debug, Default)]
struct Sizes {
    text: usize,
    media: u64,
}

/// Returns the average number of tokens of the texts of a request, at least 1.
pub(crate) fn average(body: &[u8]) -> usize {
    Sizes::of(body).text.div_ceil(BYTES_PER_TOKEN).max(1)
}

/// Reads the demand of a request. `is_answered`: whether the answer has tokens. Of several limits the largest counts.
pub(crate) fn demand(body: &[u8], choices: u32, is_answered: bool) -> Demand {
    let sizes = Sizes::of(body);
    let (mut most, mut tier, mut is_background) = (None, Tier::Standard, false);
    // The body has been read as JSON before.
    let _ = Reader::lenient(body).fields(|name, value| {
        match &*name {
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                let number = std::str::from_utf8(value.raw()?).ok().and_then(|raw| raw.parse::<u64>().ok());
                most = most.max(number.map(|number| number.min(MAX_OUTPUT)));
            }
            "background" => is_background = value.raw()? == b"true",
            "service_tier" => tier = value.value()?.as_str().map_or(tier, Tier::read),
            _ => value.skip()?,
        }
        Some(())
    });
    let text = u64::try_from(sizes.text.div_ceil(FEWEST_BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
    Demand {
        input: text.saturating_add(sizes.media.saturating_mul(MEDIA_TOKENS)),
        output: if is_answered { most } else { Some(0) },
        choices: choices.max(1).into(),
        has_media: sizes.media > 0,
        tier,
        is_background,
    }
}

// === impl Demand ===

impl Demand {
    /// Returns the most that a request is expected to use of a model with this maximum of an answer, if that is known. A
    /// request without a limit may use all of that maximum.
    pub(crate) fn expected(&self, model_output: Option<u64>) -> Expected {
        let one = self.output.unwrap_or_else(|| model_output.unwrap_or(DEFAULT_OUTPUT));
        Expected {
            input: self.input,
            max_output: one.min(model_output.unwrap_or(u64::MAX)).saturating_mul(self.choices),
            has_media: self.has_media,
            tier: self.tier,
        }
    }
}

// === impl Sizes ===

impl Sizes {
    /// Measures all names and texts of a body, without images and other data in base64.
    fn of(body: &[u8]) -> Self {
        let mut sizes = Self::default();
        // The body has been read as JSON before.
        let _ = sizes.add(&mut Reader::lenient(body));
        sizes
    }

    fn add(&mut self, value: &mut Reader<'_>) -> Option<()> {
        match value.peek()? {
            b'"' => {
                let raw = value.raw()?;
                let is_media = raw.starts_with(b"\"data:") && {
                    let begin = &raw[..raw.len().min(MAX_MEDIA_TYPE)];
                    memchr::memmem::find(begin, b";base64,").is_some()
                };
                match is_media {
                    true => self.media += 1,
                    false => self.text += raw.len() - 2,
                }
            }
            b'{' => {
                let (mut data, mut is_file) = (None, false);
                value.fields(|name, value| {
                    if name == "data" && value.peek()? == b'"' {
                        data = Some(value.raw()?.len() - 2);
                        return Some(());
                    }
                    is_file |= MEDIA_TYPES.contains(&&*name);
                    self.text += name.len();
                    self.add(value)
                })?;
                match data {
                    Some(_) if is_file => self.media += 1,
                    Some(len) => self.text += "data".len() + len,
                    None => {}
                }
            }
            b'[' => value.array(|value| self.add(value))?,
            _ => self.text += value.raw()?.len(),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &[u8]) -> usize {
        Sizes::of(body).text
    }

    #[test]
    fn texts_are_measured_and_images_are_not() {
        assert_eq!(text(br#"{"a":["bcd",{"e":1}]}"#), 6);
        assert_eq!(text(br#"{"source":{"data":"aaaaaaaaaaaaaaaa","media_type":"i"}}"#), 17);
        assert_eq!(text(br#"{"input":{"data":"aaaaaaaaaaaaaaaa"}}"#), 25, "a field of the user's own");
        assert_eq!(text(br#"{"input":{"data":{"x":"aaaa"}}}"#), 14);
        assert_eq!(text(b"\"data: a text of the user\""), 24);
        assert_eq!(text(br#"{"url":"data:image/png;base64,aaaaaaaa"}"#), 3);
        assert_eq!(text(b""), 0);
        assert_eq!((average(b""), average(br#"["abcdefghi"]"#)), (1, 3));
    }

    #[test]
    fn a_request_is_expected_to_use_all_that_it_may() {
        let expect = |body: &[u8], choices, is_answered| {
            let expected = demand(body, choices, is_answered).expected(None);
            (expected.input, expected.max_output, expected.has_media)
        };
        assert_eq!(expect(br#"{"max_tokens":10,"prompt":"abc"}"#, 1, true), (7, 10, false));
        assert_eq!(expect(br#"{"max_output_tokens":10}"#, 3, true), (7, 30, false));
        assert_eq!(expect(br#"{"max_completion_tokens":null}"#, 1, true).1, DEFAULT_OUTPUT);
        assert_eq!(expect(br#"{"max_completion_tokens":90,"max_tokens":1}"#, 1, true).1, 90);
        assert_eq!(expect(br#"{"max_tokens":18446744073709551615}"#, 1, true).1, MAX_OUTPUT);
        assert_eq!(expect(br#"{"input":"abc"}"#, 1, false), (3, 0, false));
        assert_eq!(expect(br#"{"url":"data:a/b;base64,a"}"#, 1, false), (1 + MEDIA_TOKENS, 0, true));
        assert_eq!(demand(br#"{"service_tier":"flex"}"#, 1, true).tier, Tier::read("flex"));
        assert!(demand(br#"{"background":true}"#, 1, true).is_background);
        let limited = demand(br#"{"max_tokens":50}"#, 2, true);
        assert_eq!((limited.expected(Some(20)).max_output, limited.expected(Some(90)).max_output), (40, 100));
        assert_eq!(demand(b"{}", 2, true).expected(Some(32_000)).max_output, 64_000);
    }
}

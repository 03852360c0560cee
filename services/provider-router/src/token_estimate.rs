//! Estimates of the tokens of a request, from the length of its texts.

use signalbox_core::json::Reader;
use signalbox_pricing::{Expected, Tier};

/// Average number of bytes of a token in English text and code.
const BYTES_PER_TOKEN: usize = 4;
/// Bytes of a token that are assumed where the estimate should not be too low: other languages have shorter tokens.
const FEWEST_BYTES_PER_TOKEN: usize = 3;
/// Tokens that are assumed for an image or another file.
const MEDIA_TOKENS: u64 = 1_600;
/// Tokens that are assumed for an answer if the request does not limit it.
const DEFAULT_OUTPUT: u64 = 4_096;

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

/// Returns what a request is expected to use at most. `is_answered`: whether the answer has tokens.
pub(crate) fn expected(body: &[u8], choices: u32, is_answered: bool) -> Expected {
    let sizes = Sizes::of(body);
    let (mut most, mut tier) = (None, Tier::Standard);
    // The body has been read as JSON before.
    let _ = Reader::lenient(body).fields(|name, value| {
        match &*name {
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                let number = std::str::from_utf8(value.raw()?).ok().and_then(|raw| raw.parse::<u64>().ok());
                most = number.or(most);
            }
            "service_tier" => tier = value.value()?.as_str().map_or(tier, Tier::read),
            _ => value.skip()?,
        }
        Some(())
    });
    let text = u64::try_from(sizes.text.div_ceil(FEWEST_BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
    let one = if is_answered { most.unwrap_or(DEFAULT_OUTPUT) } else { 0 };
    Expected {
        input: text.saturating_add(sizes.media.saturating_mul(MEDIA_TOKENS)),
        max_output: one.saturating_mul(u64::from(choices.max(1))),
        has_media: sizes.media > 0,
        tier,
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
                match raw.starts_with(b"\"data:") {
                    true => self.media += 1,
                    false => self.text += raw.len() - 2,
                }
            }
            b'{' => value.fields(|name, value| {
                if name == "data" {
                    self.media += 1;
                    return value.skip();
                }
                self.text += name.len();
                self.add(value)
            })?,
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
        assert_eq!(text(br#"{"source":{"data":"aaaaaaaaaaaaaaaa"}}"#), 6);
        assert_eq!(text(br#"{"url":"data:image/png;base64,aaaaaaaa"}"#), 3);
        assert_eq!(text(b""), 0);
        assert_eq!((average(b""), average(br#"["abcdefghi"]"#)), (1, 3));
    }

    #[test]
    fn a_request_is_expected_to_use_all_that_it_may() {
        let expect = |body: &[u8], choices, is_answered| {
            let expected = expected(body, choices, is_answered);
            (expected.input, expected.max_output, expected.has_media)
        };
        assert_eq!(expect(br#"{"max_tokens":10,"prompt":"abc"}"#, 1, true), (7, 10, false));
        assert_eq!(expect(br#"{"max_output_tokens":10}"#, 3, true), (7, 30, false));
        assert_eq!(expect(br#"{"max_completion_tokens":null}"#, 1, true).1, DEFAULT_OUTPUT);
        assert_eq!(expect(br#"{"input":"abc"}"#, 1, false), (3, 0, false));
        assert_eq!(expect(br#"{"url":"data:a"}"#, 1, false), (1 + MEDIA_TOKENS, 0, true));
        assert_eq!(expected(br#"{"service_tier":"flex"}"#, 1, true).tier, Tier::read("flex"));
    }
}

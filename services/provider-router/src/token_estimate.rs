//! Estimates of the tokens of a request, from the length of its texts.

use serde_json::{Map, Value};
use signalbox_core::json::Reader;
use signalbox_pricing::{Expected, Tier};

/// Average number of bytes of a token in English text and code.
const BYTES_PER_TOKEN: usize = 4;
/// The same with the JSON around the texts.
const BYTES_PER_TOKEN_OF_JSON: u64 = 5;
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
/// Bytes of base64 of one token of a file that is not an image. A page of a PDF has some 50 KB and 2,000 tokens.
const FILE_BYTES_PER_TOKEN: u64 = 32;
/// Names of the limits of an answer.
const LIMITS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
/// Names beside `data` by which an object is a file rather than a structure of the user's own.
const MEDIA_TYPES: [&str; 4] = ["format", "media_type", "mimeType", "mime_type"];
/// Types of the parts of a prompt that are an image or another file, which may be given by a URL or an id.
const MEDIA_PARTS: [&str; 10] = [
    "audio_url",
    "document",
    "file",
    "image",
    "image_url",
    "input_audio",
    "input_file",
    "input_image",
    "input_video",
    "video_url",
];

/// The parts of a request on which its maximum tokens and cost depend.
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
    /// Number of images and other files.
    media: u64,
    /// Tokens of those.
    media_tokens: u64,
}

/// Returns the average number of tokens of the texts of a request, at least 1.
pub(crate) fn average(body: &[u8]) -> usize {
    Sizes::of(body).text.div_ceil(BYTES_PER_TOKEN).max(1)
}

/// Returns a rough number of tokens of a request, by its length alone: for decisions that every request needs.
pub(crate) const fn rough(body: &[u8]) -> u64 {
    body.len() as u64 / BYTES_PER_TOKEN_OF_JSON
}

/// Returns the average number of tokens of a prompt; `None` if it has images or other files, whose bytes say nothing.
pub(crate) fn of_texts(body: &[u8]) -> Option<u64> {
    let sizes = Sizes::of(body);
    (sizes.media == 0).then(|| u64::try_from(sizes.text.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX))
}

/// Returns the largest limit that a request sets for its answer.
pub(crate) fn output_limit(body: &[u8]) -> Option<u64> {
    let mut most = None;
    // The body has been read as JSON before.
    let _ = Reader::lenient(body).fields(|name, value| {
        let raw = value.raw()?;
        if LIMITS.contains(&&*name) {
            most = most.max(limit(raw));
        }
        Some(())
    });
    most
}

/// Reads the demand of a request. `is_answered`: whether the answer has tokens. Of several limits the largest counts.
pub(crate) fn demand(body: &[u8], choices: u32, is_answered: bool) -> Demand {
    let sizes = Sizes::of(body);
    let (mut most, mut tier, mut is_background) = (None, Tier::Standard, false);
    let (mut choices, mut prompts) = (u64::from(choices), 1);
    // The body has been read as JSON before.
    let _ = Reader::lenient(body).fields(|name, value| {
        match &*name {
            name if LIMITS.contains(&name) => most = most.max(limit(value.raw()?)),
            "n" | "best_of" => choices = choices.max(count(value.raw()?).unwrap_or(1)),
            "prompt" => prompts = prompts.max(number_of_prompts(value)?),
            "background" => is_background = value.raw()? == b"true",
            "service_tier" => tier = value.value()?.as_str().map_or(tier, Tier::read),
            _ => value.skip()?,
        }
        Some(())
    });
    let text = u64::try_from(sizes.text.div_ceil(FEWEST_BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
    Demand {
        input: text.saturating_add(sizes.media_tokens),
        output: if is_answered { most } else { Some(0) },
        choices: choices.max(1).saturating_mul(prompts),
        has_media: sizes.media > 0,
        tier,
        is_background,
    }
}

/// Returns the limit of an answer in a JSON value; `None` if there is none, which some providers write as 0.
fn limit(raw: &[u8]) -> Option<u64> {
    count(raw).filter(|limit| *limit > 0).map(|limit| limit.min(MAX_OUTPUT))
}

/// Reads a count from a JSON value. Some providers take `1e2` and `"100"`, too.
fn count(raw: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(raw).ok()?.trim_matches('"').trim();
    text.parse().ok().or_else(|| {
        let number = text.parse::<f64>().ok().filter(|number| *number >= 0.0)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is not negative, and saturates"
        )]
        Some(number.ceil() as u64)
    })
}

/// Returns the number of prompts in the `prompt` of Completions: a text, a list of texts, the tokens of one, or a list of
/// those.
fn number_of_prompts(value: &mut Reader<'_>) -> Option<u64> {
    if value.peek()? != b'[' {
        value.skip()?;
        return Some(1);
    }
    let mut prompts = 0;
    value.array(|prompt| {
        prompts += u64::from(matches!(prompt.peek()?, b'"' | b'['));
        prompt.skip()
    })?;
    Some(prompts.max(1))
}

// === impl Demand ===

impl Demand {
    /// Returns the demand of the request together with tokens of earlier turns that the provider will add to it.
    pub(crate) const fn after(self, earlier: u64) -> Self {
        Self { input: self.input.saturating_add(earlier), ..self }
    }

    /// Returns the demand if the target sets these fields of the request.
    pub(crate) fn with_params(&self, params: &Map<String, Value>) -> Self {
        let mut demand = *self;
        for (name, value) in params {
            let raw = value.to_string();
            match name.as_str() {
                // Answers without tokens have none, whatever the limit is.
                name if LIMITS.contains(&name) && self.output != Some(0) => {
                    demand.output = match (self.output, limit(raw.as_bytes())) {
                        (Some(own), Some(set)) => Some(own.max(set)),
                        (_, set) => set,
                    };
                }
                "n" | "best_of" => demand.choices = demand.choices.max(count(raw.as_bytes()).unwrap_or(1)),
                "background" => demand.is_background |= value == true,
                "service_tier" => demand.tier = value.as_str().map_or(demand.tier, Tier::read),
                _ => {}
            }
        }
        demand
    }

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

    /// Adds an image or another file, with `len` bytes of base64.
    fn add_media(&mut self, len: usize, is_image: bool) {
        let of_len = u64::try_from(len).unwrap_or(u64::MAX) / FILE_BYTES_PER_TOKEN;
        self.media += 1;
        self.media_tokens += if is_image { MEDIA_TOKENS } else { MEDIA_TOKENS.max(of_len) };
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
                    true => self.add_media(raw.len(), raw.starts_with(b"\"data:image/")),
                    false => self.text += raw.len() - 2,
                }
            }
            b'{' => {
                let (mut data, mut is_file, mut is_image, mut is_part) = (None, false, false, false);
                let before = self.media;
                value.fields(|name, value| {
                    if name == "data" && value.peek()? == b'"' {
                        data = Some(value.raw()?.len() - 2);
                        return Some(());
                    }
                    self.text += name.len();
                    if MEDIA_TYPES.contains(&&*name) || name == "type" {
                        let raw = value.raw()?;
                        let word = raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\"")).unwrap_or(raw);
                        is_file |= name != "type";
                        is_image |= word.starts_with(b"image/");
                        is_part |= name == "type" && MEDIA_PARTS.iter().any(|part| part.as_bytes() == word);
                        self.text += word.len();
                        return Some(());
                    }
                    self.add(value)
                })?;
                match data {
                    Some(len) if is_file => self.add_media(len, is_image),
                    Some(len) => self.text += "data".len() + len,
                    None => {}
                }
                if is_part && self.media == before {
                    self.add_media(0, true);
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
    fn a_prompt_with_files_has_no_average() {
        assert_eq!(of_texts(br#"["abcdefghi"]"#), Some(3));
        assert_eq!(of_texts(br#"{"url":"data:image/png;base64,AAAA"}"#), None);
        assert_eq!(
            of_texts(br#"{"content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}"#),
            None
        );
        assert_eq!(rough(&[b' '; 500]), 100);
        assert_eq!(output_limit(br#"{"max_tokens":7,"max_completion_tokens":9}"#), Some(9));
        assert_eq!((output_limit(br#"{"max_tokens":"x"}"#), output_limit(b"{}")), (None, None));
    }

    #[test]
    fn files_count_wherever_their_content_is() {
        let tokens = |body: &str| Sizes::of(body.as_bytes()).media_tokens;
        for part in [
            r#"{"type":"image_url","image_url":{"url":"http://x/y.png"}}"#,
            r#"{"image_url":{"url":"data:image/png;base64,aaaa"},"type":"image_url"}"#,
            r#"{"type":"image","source":{"type":"url","url":"http://x/y.png"}}"#,
            r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aaaa"}}"#,
            r#"{"type":"input_file","file_id":"file_1"}"#,
        ] {
            assert_eq!(tokens(part), MEDIA_TOKENS, "{part}");
            assert_eq!(tokens(&format!(r#"{{"content":[{part},{part}]}}"#)), 2 * MEDIA_TOKENS, "{part}");
        }
        let data = "a".repeat(320_000);
        let document = |media_type: &str| {
            format!(r#"{{"type":"document","source":{{"type":"base64","media_type":"{media_type}","data":"{data}"}}}}"#)
        };
        assert_eq!(tokens(&document("application/pdf")), 10_000);
        assert_eq!(tokens(&document("image/png")), MEDIA_TOKENS);
        assert_eq!(tokens(&format!(r#"{{"file_data":"data:application/pdf;base64,{data}"}}"#)), 10_000);
    }

    #[test]
    fn every_prompt_and_every_choice_has_an_answer() {
        let choices = |body: &[u8]| demand(body, 1, true).choices;
        assert_eq!(choices(br#"{"prompt":["a","b","c"],"n":2}"#), 6);
        assert_eq!(choices(br#"{"prompt":[[1,2],[3]]}"#), 2);
        assert_eq!(choices(br#"{"prompt":[1,2,3]}"#), 1);
        assert_eq!((choices(br#"{"prompt":"a"}"#), choices(br#"{"prompt":[]}"#)), (1, 1));
        assert_eq!(choices(br#"{"n":1,"best_of":9}"#), 9);
        assert_eq!((choices(br#"{"n":"100"}"#), choices(br#"{"n":1e2}"#)), (100, 100));
        assert_eq!((choices(br#"{"n":-1}"#), choices(br#"{"n":null}"#), choices(br#"{"n":0}"#)), (1, 1, 1));
    }

    #[test]
    fn fields_that_the_target_sets_count() {
        let with =
            |body: &[u8], params: serde_json::Value| demand(body, 1, true).with_params(params.as_object().unwrap());
        let body = br#"{"max_tokens":5}"#;
        assert_eq!(with(body, serde_json::json!({"max_tokens": 1_000})).output, Some(1_000));
        assert_eq!(with(body, serde_json::json!({"max_tokens": 2})).output, Some(5), "an upper bound");
        assert_eq!(with(b"{}", serde_json::json!({"max_output_tokens": 2})).output, Some(2));
        assert_eq!(with(body, serde_json::json!({"max_tokens": 0})).output, None);
        assert_eq!(with(body, serde_json::json!({"n": 100})).choices, 100);
        assert!(with(body, serde_json::json!({"background": true})).is_background);
        assert_eq!(with(body, serde_json::json!({"service_tier": "flex"})).tier, Tier::read("flex"));
        let embeddings = demand(br#"{"input":"a"}"#, 1, false);
        let params = serde_json::json!({"max_tokens": 9});
        assert_eq!(embeddings.with_params(params.as_object().unwrap()).output, Some(0));
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
        assert_eq!(expect(br#"{"max_tokens":0}"#, 1, true).1, DEFAULT_OUTPUT, "no limit");
        assert_eq!(expect(br#"{"max_tokens":"50"}"#, 1, true).1, 50);
        assert_eq!(expect(br#"{"max_tokens":5e1}"#, 1, true).1, 50);
        assert_eq!(demand(br#"{"service_tier":"flex"}"#, 1, true).tier, Tier::read("flex"));
        assert!(demand(br#"{"background":true}"#, 1, true).is_background);
        let limited = demand(br#"{"max_tokens":50}"#, 2, true);
        assert_eq!((limited.expected(Some(20)).max_output, limited.expected(Some(90)).max_output), (40, 100));
        assert_eq!(demand(b"{}", 2, true).expected(Some(32_000)).max_output, 64_000);
    }
}

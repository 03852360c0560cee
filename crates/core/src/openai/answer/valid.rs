//! Makes assembled JSON readable for every parser.

use std::borrow::Cow;

use crate::json::repaired;

/// Turns JSON that was assembled from raw pieces into text that every parser accepts: valid UTF-8 without lone
/// surrogates.
pub(super) fn valid(json: Vec<u8>) -> String {
    let repaired = match repaired(&json) {
        Some(Cow::Owned(repaired)) => Some(repaired),
        _ => None,
    };
    let lossy =
        |json| String::from_utf8(json).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let json = repaired.unwrap_or_else(|| lossy(json));
    let mut out: Option<String> = None;
    let (mut copied, mut at) = (0, 0);
    let bytes = json.as_bytes();
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        at += found;
        let unit = |at: usize| -> Option<u16> {
            let hex = json.get(at..at + 6)?.strip_prefix("\\u")?;
            u16::from_str_radix(hex, 16).ok()
        };
        match (unit(at), unit(at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => at += 12,
            (Some(0xD800..=0xDFFF), _) => {
                let out = out.get_or_insert_default();
                out.push_str(&json[copied..at]);
                out.push(char::REPLACEMENT_CHARACTER);
                at += 6;
                copied = at;
            }
            _ => at += 2,
        }
    }
    match out {
        None => json,
        Some(mut out) => {
            out.push_str(&json[copied..]);
            out
        }
    }
}

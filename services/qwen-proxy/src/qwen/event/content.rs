//! Extraction of the text of a message from all its known formats.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// A JSON string in generalised UTF-8, which may contain unpaired surrogates.
struct Wide(Vec<u8>);

/// The first half of a surrogate pair whose second half has not arrived yet: JSON may encode a character beyond U+FFFF
/// as two escapes, and a stream may be split between them.
#[derive(Debug, Default)]
pub(super) struct HalfCharacter(Option<u32>);

/// Returns the texts of a content: a string, a part, an array of either, or another scalar in its JSON form. `null` has
/// none.
pub(super) fn texts(content: &RawValue) -> Vec<Vec<u8>> {
    match serde_json::from_str::<Vec<&RawValue>>(content.get()) {
        Ok(parts) => parts.into_iter().filter_map(part).collect(),
        Err(_) => part(content).into_iter().collect(),
    }
}

/// Returns the text of one part: `"…"`, `{"text":"…"}`, `{"text":{"value":"…"}}` or `{"content":"…"}`.
fn part(part: &RawValue) -> Option<Vec<u8>> {
    let Ok(members) = serde_json::from_str::<HashMap<String, &RawValue>>(part.get()) else { return wide(part) };
    let text = members.get("text").or_else(|| members.get("content"))?;
    match serde_json::from_str::<HashMap<String, &RawValue>>(text.get()) {
        Ok(inner) => wide(inner.get("value")?),
        Err(_) => wide(text),
    }
}

/// Returns a string, number or boolean as text; `None` for anything else.
pub(super) fn scalar(json: &RawValue) -> Option<String> {
    let mut half = HalfCharacter::default();
    let mut text = half.join(wide(json));
    half.flush(&mut text);
    Some(text).filter(|_| !is_compound(json))
}

fn wide(json: &RawValue) -> Option<Vec<u8>> {
    match json.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<Wide>(json.get()).ok().map(|wide| wide.0),
        b'n' | b'{' | b'[' => None,
        _ => Some(json.get().as_bytes().to_vec()),
    }
}

fn is_compound(json: &RawValue) -> bool {
    json.get().starts_with(['{', '[', 'n'])
}

// === impl HalfCharacter ===

impl HalfCharacter {
    /// Joins the next texts, starting with the pending half of a character. A half at their end stays pending.
    pub(super) fn join(&mut self, texts: impl IntoIterator<Item = Vec<u8>>) -> String {
        let mut joined = String::new();
        for text in texts {
            match String::from_utf8(text) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => {
                    self.flush(&mut joined);
                    joined.push_str(&text);
                }
                Err(wide) => self.add(wide.as_bytes(), &mut joined),
            }
        }
        joined
    }

    /// Ends the text: a pending half becomes U+FFFD.
    pub(super) fn flush(&mut self, text: &mut String) {
        text.extend(self.0.take().map(|_| char::REPLACEMENT_CHARACTER));
    }

    fn add(&mut self, mut wide: &[u8], joined: &mut String) {
        while !wide.is_empty() {
            let valid = wide.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            if !valid.is_empty() {
                self.flush(joined);
                joined.push_str(valid);
                wide = &wide[valid.len()..];
                continue;
            }
            // In generalised UTF-8, ED A0..AF begins the first half of a pair, and ED B0..BF the second one.
            match (wide, self.0.take()) {
                ([0xED, a @ 0xA0..=0xAF, b, rest @ ..], before) => {
                    joined.extend(before.map(|_| char::REPLACEMENT_CHARACTER));
                    self.0 = Some(unit(*a, *b));
                    wide = rest;
                }
                ([0xED, a @ 0xB0..=0xBF, b, rest @ ..], before) => {
                    let pair = before.and_then(|first| {
                        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (unit(*a, *b) - 0xDC00))
                    });
                    joined.push(pair.unwrap_or(char::REPLACEMENT_CHARACTER));
                    wide = rest;
                }
                ([_, rest @ ..], before) => {
                    joined.extend(before.map(|_| char::REPLACEMENT_CHARACTER));
                    joined.push(char::REPLACEMENT_CHARACTER);
                    wide = rest;
                }
                ([], _) => return,
            }
        }
    }
}

/// Returns the surrogate whose three-byte encoding ends in `a` and `b`.
fn unit(a: u8, b: u8) -> u32 {
    0xD000 | (u32::from(a & 0x3F) << 6) | u32::from(b & 0x3F)
}

// === impl Wide ===

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Wide;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Wide, E> {
                Ok(Wide(bytes.to_vec()))
            }
        }
        // Deserialise as bytes: for a string, serde_json rejects unpaired surrogates.
        deserializer.deserialize_bytes(Bytes)
    }
}

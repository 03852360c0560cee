//! Recognises events that differ from an earlier one only in their texts and numbers.
//!
//! # Theory
//! Nearly every event of a stream adds a piece of text, and its names, types and structure are those of the event
//! before. [`Usual`] keeps such an event as a pattern: literal bytes, with gaps for the texts and numbers between them.
//! Comparing an event with it costs a few comparisons of memory; parsing the event costs ten times as much.
//!
//! # Invariants
//! An event that fits has the names and types of the learnt event, which was parsed; so it has the same meaning, and no
//! field that the learnt event does not have. Only single-line events are learnt, and a gap contains no line break.

use std::ops::Range;

use memchr::{memchr2, memmem};

/// Maximum bytes of an event that is learnt.
const MAX_LEN: usize = 2 << 10;
/// Maximum number of gaps.
const MAX_GAPS: usize = 24;

/// Pattern of the newest event that was learnt.
#[derive(Debug, Default)]
pub(super) struct Usual {
    event: Vec<u8>,
    gaps: Vec<Gap>,
    /// Literal bytes after the last gap.
    end: Range<usize>,
}

/// Literal bytes, and the value that follows them.
#[derive(Debug)]
struct Gap {
    literal: Range<usize>,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// Text up to its closing quote, which is part of the next literal.
    Text,
    /// Number.
    Number,
}

// === impl Usual ===

impl Usual {
    /// Returns whether the event differs from the learnt one only in texts and numbers.
    pub(super) fn fits(&self, event: &[u8]) -> bool {
        if self.event.is_empty() {
            return false;
        }
        let mut rest = event;
        for Gap { literal, value } in &self.gaps {
            let after = rest.strip_prefix(&self.event[literal.clone()]);
            let Some(after) = after.and_then(|after| after.get(value.len_in(after)?..)) else { return false };
            rest = after;
        }
        rest == &self.event[self.end.clone()]
    }

    /// Learns an event that adds a piece of text; others, and those that are not a single line of JSON after their
    /// name, make it forget the former one. `forbidden` are names of fields that an event must not have.
    pub(super) fn learn(&mut self, event: &[u8], forbidden: &[&str]) {
        self.event.clear();
        self.gaps.clear();
        if event.len() > MAX_LEN {
            return;
        }
        self.event.extend_from_slice(event);
        let is_plain = self.find_gaps().is_some_and(|end| {
            self.end = end;
            let literals = self.gaps.iter().map(|gap| &gap.literal).chain([&self.end]);
            !literals.map(|literal| &self.event[literal.clone()]).any(|literal| names_any(literal, forbidden))
        });
        if !is_plain {
            self.event.clear();
        }
    }

    /// Finds the gaps; returns the literal after the last one, or `None` if the event cannot be learnt.
    fn find_gaps(&mut self) -> Option<Range<usize>> {
        let event = &self.event;
        let json = memmem::find(event, b"data:")? + b"data:".len();
        let line = event[json..].strip_suffix(b"\n\n")?;
        if memchr2(b'\n', b'\r', line).is_some() {
            return None;
        }
        let (mut at, mut literal) = (json, 0);
        // Whether the newest name is `type`, whose value is literal.
        let mut is_type = false;
        while let Some(&byte) = event.get(at) {
            let (begin, value) = match byte {
                b'"' => (at + 1, Value::Text),
                b'0'..=b'9' | b'-' => (at, Value::Number),
                _ => {
                    at += 1;
                    continue;
                }
            };
            let end = begin + value.len_in(&event[begin..])?;
            at = end + usize::from(value == Value::Text);
            if value == Value::Text {
                if event[at..].trim_ascii_start().first() == Some(&b':') {
                    is_type = &event[begin..end] == b"type";
                    continue;
                }
                if std::mem::take(&mut is_type) {
                    continue;
                }
            }
            if self.gaps.len() == MAX_GAPS {
                return None;
            }
            self.gaps.push(Gap { literal: literal..begin, value });
            literal = end;
        }
        Some(literal..event.len())
    }
}

// === impl Value ===

impl Value {
    /// Returns the length of the value at the beginning of `json`; `None` if there is none on the line.
    fn len_in(self, json: &[u8]) -> Option<usize> {
        match self {
            Self::Text => {
                let mut at = 0;
                loop {
                    at += memchr2(b'"', b'\\', &json[at..])?;
                    if json[at] == b'"' {
                        break;
                    }
                    at = (at + 2).min(json.len());
                }
                memchr2(b'\n', b'\r', &json[..at]).is_none().then_some(at)
            }
            Self::Number => {
                let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let len = json.iter().take_while(|byte| is_part(byte)).count();
                (len > 0).then_some(len)
            }
        }
    }
}

fn names_any(literal: &[u8], names: &[&str]) -> bool {
    names.iter().any(|name| memmem::find(literal, name.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
                         \"delta\":{\"type\":\"text_delta\",\"text\":\"one\"}}\n\n";

    fn learnt(event: &str) -> Usual {
        let mut usual = Usual::default();
        usual.learn(event.as_bytes(), &["error"]);
        usual
    }

    #[test]
    fn texts_and_numbers_may_differ() {
        let usual = learnt(DELTA);
        for (from, to) in [
            ("one", "two"),
            ("one", ""),
            ("one", r#"say \"error\" \\"#),
            ("one", "\\u00e9 – …"),
            ("\"index\":0", "\"index\":17"),
        ] {
            assert!(usual.fits(DELTA.replace(from, to).as_bytes()), "{to}");
        }
    }

    #[test]
    fn names_types_and_structure_may_not_differ() {
        let usual = learnt(DELTA);
        for (from, to) in [
            ("text_delta", "thinking_delta"),
            ("content_block_delta", "content_block_stop"),
            ("\"text\":", "\"thinking\":"),
            ("\"one\"", "null"),
            ("\"one\"", "\"one\",\"error\":\"x\""),
            ("one", "one\ntwo"),
            ("one", "one\r"),
            ("}}\n\n", "}}\n"),
            ("}}\n\n", "}}\n\n\n"),
            ("}}\n\n", "}\n\n"),
            ("data: ", "data:"),
            ("0", "\"0\""),
        ] {
            assert!(!usual.fits(DELTA.replace(from, to).as_bytes()), "{from} {to}");
        }
        assert!(!usual.fits(b"") && !Usual::default().fits(b""));
    }

    #[test]
    fn events_that_quote_errors_or_have_several_lines_are_not_learnt() {
        for event in [
            DELTA.replace("\"index\"", "\"error\""),
            DELTA.replace("\n\n", "\r\n\r\n"),
            DELTA.replace("\"index\"", "\ndata: \"index\""),
            "event: ping\n\n".to_owned(),
            "data: \"one\n\n".to_owned(),
            DELTA.replace("one", &"x".repeat(MAX_LEN)),
            DELTA.replace("\"index\":0", &format!("\"list\":[{}0]", "1,".repeat(MAX_GAPS))),
        ] {
            let usual = learnt(&event);
            assert!(!usual.fits(event.as_bytes()), "{event}");
        }
    }

    proptest! {
        /// An event that fits is JSON of the same structure if its texts and numbers are.
        #[test]
        fn an_event_with_other_values_fits(text in ".{0,40}", index in 0_u32..1000, obfuscation in "[a-zA-Z0-9]{0,16}") {
            let event = |text: &str, index: u32, other: &str| format!(
                "event: response.output_text.delta\ndata: {}\n\n",
                serde_json::json!({
                    "type": "response.output_text.delta", "sequence_number": index, "item_id": "msg_1",
                    "output_index": 0, "delta": text, "logprobs": [], "obfuscation": other,
                }),
            );
            prop_assert!(learnt(&event("one", 4, "x")).fits(event(&text, index, &obfuscation).as_bytes()));
        }

        /// No panic, whatever the bytes.
        #[test]
        fn any_bytes_are_compared(first in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
            let usual = learnt(DELTA);
            usual.fits(&first);
            usual.fits(&DELTA.as_bytes()[..cut.min(DELTA.len())]);
            let mut usual = Usual::default();
            usual.learn(&[b"data: ", &*first, b"\n\n"].concat(), &["error"]);
            usual.fits(&first);
        }
    }
}

//! Reads and repairs documents that servers send in place of JSON.
//!
//! Python's `json` writes `NaN` and `Infinity` by default, and some servers do not escape control characters or nest
//! their own fields without a limit.

use std::borrow::Cow;

use super::{MAX_DEPTH, Reader};

/// Words that Python writes for numbers that JSON does not have.
const NOT_FINITE: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// Returns the length of the word at the beginning of `bytes` that stands for a number JSON does not have.
pub(super) fn not_finite(bytes: &[u8]) -> Option<usize> {
    NOT_FINITE.into_iter().find(|word| bytes.starts_with(word)).map(<[u8]>::len)
}

/// Returns a document that a [lenient](Reader::lenient) reader accepts as JSON that every parser accepts; `None` if the
/// reader does not accept it. JSON in UTF-8 is returned unchanged. Otherwise, numbers that JSON does not have become
/// `null`, values nested too deep become their text, and invalid UTF-8 becomes U+FFFD. White space is not kept then.
#[must_use]
pub fn repaired(json: &[u8]) -> Option<Cow<'_, str>> {
    if let Ok(text) = simdutf8::basic::from_utf8(json) {
        let mut strict = Reader::new(json);
        if strict.skip().and_then(|()| strict.end()).is_some() {
            return Some(Cow::Borrowed(text));
        }
    }
    let (mut reader, mut out) = (Reader::lenient(json), String::with_capacity(json.len()));
    write(&mut reader, &mut out)?;
    reader.end()?;
    Some(Cow::Owned(out))
}

/// Copies the next value.
fn write(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    match reader.peek()? {
        // One level less than the limit, which parsers count differently.
        b'{' | b'[' if reader.depth + 2 > MAX_DEPTH => {
            let text = serde_json::to_string(&String::from_utf8_lossy(reader.raw()?));
            out.push_str(&text.ok()?);
        }
        b'{' => {
            let start = out.len();
            reader.members(|name, value| {
                out.push(if out.len() == start { '{' } else { ',' });
                write_string(name.raw, out);
                out.push(':');
                write(value, out)
            })?;
            out.push_str(if out.len() == start { "{}" } else { "}" });
        }
        b'[' => {
            let start = out.len();
            reader.array(|element| {
                out.push(if out.len() == start { '[' } else { ',' });
                write(element, out)
            })?;
            out.push_str(if out.len() == start { "[]" } else { "]" });
        }
        b'"' => write_string(reader.consume_string()?.raw, out),
        _ => {
            let raw = reader.raw()?;
            out.push_str(if not_finite(raw).is_some() { "null" } else { std::str::from_utf8(raw).ok()? });
        }
    }
    Some(())
}

/// Copies a string with its quotes, and escapes its control characters.
fn write_string(raw: &[u8], out: &mut String) {
    for char in String::from_utf8_lossy(raw).chars() {
        if char < ' ' {
            out.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            out.push(char);
        }
    }
}

// === impl Reader ===

impl Reader<'_> {
    /// Returns whether a lenient reader has to skip the next array or object instead of entering it.
    pub(super) const fn is_too_deep(&self) -> bool {
        self.is_lenient && self.depth >= MAX_DEPTH
    }

    /// Skips an array or an object without recursion: only strings and the number of open brackets are checked.
    pub(super) fn skip_deep(&mut self) -> Option<()> {
        let mut open = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.consume_string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn accepts(json: &[u8]) -> bool {
        let mut reader = Reader::lenient(json);
        reader.skip().and_then(|()| reader.end()).is_some()
    }

    fn nested(depth: usize) -> String {
        ["[".repeat(depth), "]".repeat(depth)].concat()
    }

    #[test]
    fn what_python_writes_is_accepted_only_by_a_lenient_reader() {
        for odd in [
            "NaN",
            "-Infinity",
            "[1,Infinity]",
            r#"{"a":{"b":NaN},"c":1}"#,
            "{\"a\":\"x\ty\0\"}",
            &nested(129),
            &nested(1_000_000),
            &format!(r#"{{"a":{},"b":"]]"}}"#, nested(5000)),
        ] {
            assert!(accepts(odd.as_bytes()), "{odd:.40}");
            assert_eq!(Reader::new(odd.as_bytes()).skip(), None, "{odd:.40}");
        }
        for wrong in ["nan", "NaNx", "+Infinity", "-NaN", "[NaN", "{NaN:1}", "\"a\\x\"", "\"a", "{\"a\":}", "[1,]"] {
            assert!(!accepts(wrong.as_bytes()), "{wrong}");
        }
        assert!(!accepts("[".repeat(100_000).as_bytes()));
    }

    #[test]
    fn what_is_no_json_becomes_json() {
        let repair = |json: &[u8]| -> Value { serde_json::from_str(&repaired(json).unwrap()).unwrap() };
        assert_eq!(
            repair(b" {\"a\" : [NaN, -Infinity ,1.5], \"b\":{}, \"c\":[], \"d\":\"x\ty\xFF\\n\"}"),
            json!({"a": [null, null, 1.5], "b": {}, "c": [], "d": "x\ty\u{FFFD}\n"})
        );
        let deep = repair(format!(r#"{{"a":{},"b":1}}"#, nested(5000)).as_bytes());
        assert_eq!(deep["b"], 1);
        let plain = " {\"a\" : 1e999, \"b\":\"\\ud83d\"} ";
        assert!(matches!(repaired(plain.as_bytes()), Some(Cow::Borrowed(text)) if text == plain));
        for wrong in ["", "{", "[NaN", "NaN NaN", "{\"a\":NaN,}"] {
            assert_eq!(repaired(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_a_lenient_reader_accepts_can_be_repaired(json in "[\\[\\]{}\",:1NaInfity\\\\ \t-]{0,24}", depth in 0_usize..200) {
            for json in [json.clone(), format!("{}{json}{}", "[".repeat(depth), "]".repeat(depth))] {
                let repaired = repaired(json.as_bytes());
                prop_assert_eq!(accepts(json.as_bytes()), repaired.is_some());
                if let Some(repaired) = repaired {
                    prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&repaired).is_ok(), "{}", repaired);
                }
            }
        }
    }
}

//! Masks credentials in the errors that events and answers carry beside their content.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::json::Reader;
use crate::masking::Masker;

/// Fields whose values are the provider's own words, never text of the model.
pub(super) const QUOTING: [&str; 2] = ["error", "incomplete_details"];

/// Masks the credentials in the errors of an event, or of an answer, that is passed on. Returns `None` if it has none.
/// Text of the model is not changed.
#[must_use]
pub fn mask_errors(text: &[u8], masker: &Masker) -> Option<Vec<u8>> {
    let quotes = |name: &&str| memmem::find(text, name.as_bytes()).is_some();
    if masker.is_empty() || !QUOTING.iter().any(quotes) || !masker.contains_secret(text) {
        return None;
    }
    let start = memchr(b'{', text)?;
    let json = &text[start..];
    let mut ranges = Vec::new();
    if find(&mut Reader::lenient(json), json, &mut ranges).is_none() {
        // Not one JSON document: an event of several lines.
        return masker.mask(text);
    }
    let mut masked = Vec::with_capacity(text.len());
    let mut copied = 0;
    for Range { start: from, end } in ranges {
        masked.extend_from_slice(&text[copied..start + from]);
        let quoted = &text[start + from..start + end];
        masked.extend_from_slice(masker.mask(quoted).as_deref().unwrap_or(quoted));
        copied = start + end;
    }
    masked.extend_from_slice(&text[copied..]);
    (masked != text).then_some(masked)
}

/// Collects the places of the values in which errors are quoted.
fn find(value: &mut Reader<'_>, json: &[u8], ranges: &mut Vec<Range<usize>>) -> Option<()> {
    match value.peek()? {
        b'{' => value.fields(|name, value| {
            if !QUOTING.contains(&&*name) {
                return find(value, json, ranges);
            }
            let raw = value.raw()?;
            let at = raw.as_ptr() as usize - json.as_ptr() as usize;
            ranges.push(at..at + raw.len());
            Some(())
        }),
        b'[' => value.array(|value| find(value, json, ranges)),
        _ => value.skip(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-0123456789abcdef";

    fn masked(text: &str) -> String {
        let masker = Masker::new([KEY.to_owned()]);
        let masked = mask_errors(text.as_bytes(), &masker).unwrap_or_else(|| text.into());
        String::from_utf8(masked).unwrap()
    }

    #[test]
    fn errors_are_masked_and_texts_are_not() {
        for text in [
            r#"data: {"type":"response.completed","response":{"output":[{"text":"KEY"}],"error":{"message":"KEY"}}}"#,
            r#"data: {"type":"response.output_item.done","item":{"type":"mcp_call","output":"KEY","error":"KEY"}}"#,
            r#"data: {"type":"response.incomplete","response":{"incomplete_details":{"reason":"KEY"},"x":"KEY"}}"#,
            r#"{"type":"message","content":[{"text":"KEY"}],"error":{"message":"a KEY b"}}"#,
        ] {
            let masked = masked(&text.replace("KEY", KEY));
            assert_eq!(masked.matches(KEY).count(), 1, "{masked}");
        }
        for text in [r#"{"text":"KEY"}"#, r#"{"text":"the \"error\": KEY"}"#, r#"{"error":null,"text":"KEY"}"#] {
            let text = text.replace("KEY", KEY);
            assert_eq!(masked(&text), text);
        }
    }

    #[test]
    fn an_event_of_several_lines_is_masked_as_a_whole() {
        let text = format!("data: {{\"error\":\ndata: \"{KEY}\"}}\n\n");
        assert!(!masked(&text).contains(KEY));
    }
}

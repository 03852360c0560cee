//! Values that several writers need.

use std::borrow::Cow;

use crate::field::Raw;
use crate::hub::{Cache, Json, Ttl};
use crate::out::Object;

/// Writes `prompt_cache_breakpoint`.
pub(crate) fn write_breakpoint(part: &mut Object<'_>, cache: Option<Cache>) {
    let Some(cache) = cache else { return };
    part.object("prompt_cache_breakpoint", |point| {
        point.str("mode", "explicit");
        match cache.ttl {
            Some(Ttl::Long) => point.str("ttl", "12h"),
            Some(Ttl::Short) => point.str("ttl", "30m"),
            None => {}
        }
    });
}

/// Writes `cache_control`.
pub(crate) fn write_cache_control(part: &mut Object<'_>, cache: Option<Cache>) {
    let Some(cache) = cache else { return };
    part.object("cache_control", |control| {
        control.str("type", "ephemeral");
        match cache.ttl {
            Some(Ttl::Long) => control.str("ttl", "1h"),
            Some(Ttl::Short) => control.str("ttl", "5m"),
            None => {}
        }
    });
}

/// Returns the JSON of the arguments of a call; `None` if they are not an object. No arguments are an empty object.
pub(crate) fn arguments_object(input: &str) -> Option<Cow<'_, str>> {
    let trimmed = input.trim_ascii();
    if trimmed.is_empty() {
        return Some(Cow::Borrowed("{}"));
    }
    let json = Json::parse(trimmed)?;
    if !json.is_object() {
        return None;
    }
    // Text that was repaired is written anew.
    Some(if json.as_str() == trimmed { Cow::Borrowed(trimmed) } else { Cow::Owned(json.as_str().to_owned()) })
}

/// Returns the only member `input` of the arguments of a function that stands for a custom tool.
pub(crate) fn unwrap_custom(arguments: &str) -> Option<String> {
    let json = Json::parse(arguments)?;
    Raw::document(json.as_str()).fields()?.string("input")
}

/// Returns the beginning of the member `input` of arguments that were cut off within it.
pub(crate) fn unwrap_cut(arguments: &str) -> Option<String> {
    let rest = arguments.trim_start().strip_prefix('{')?.trim_start().strip_prefix("\"input\"")?;
    let text = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    // The text may end within an escape, the longest of which are two halves of six bytes each.
    let ends = (0..=12).filter_map(|back| text.get(..text.len().checked_sub(back)?));
    let mut closed = ends.map(|text| format!("\"{text}\""));
    closed.find_map(|json| Raw::document(Json::parse(&json)?.as_str()).str().map(Cow::into_owned))
}

/// Returns the index of a block as the last part of its place.
pub(crate) fn block_at(at: &str, index: usize) -> String {
    format!("{at}.content.{index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_was_cut_off_is_unwrapped_to_its_last_character() {
        let whole = r#"{"input": "a\n\"\u00e9\ud83d\ude00b"}"#;
        let text = "a\n\"\u{E9}\u{1F600}b";
        let mut last = String::new();
        for cut in 11..whole.len() - 1 {
            let input = unwrap_cut(&whole[..cut]).unwrap();
            let input = input.trim_end_matches('\u{FFFD}');
            assert!(text.starts_with(input) && input.starts_with(&last), "{cut} {input}");
            last = input.to_owned();
        }
        assert_eq!(last, text);
        for other in ["", "{", r#"{"a":"b"#, r#"{"input":1"#, "text"] {
            assert_eq!(unwrap_cut(other), None, "{other}");
        }
    }
}

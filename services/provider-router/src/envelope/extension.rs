//! Removes the extension of this gateway from a body before it is sent to a provider.

use std::ops::Range;

use bytes::Bytes;

/// Returns the body without the member whose value is at `value`, and without a comma beside it; all other bytes stay
/// identical. The body has been read as JSON before, and the name of the member contains no quotes.
#[must_use]
pub fn without_extension(body: &Bytes, value: &Range<usize>) -> Bytes {
    let before = &body[..value.start];
    // The name ends with the last quote before the value, and begins with the one before that.
    let quote = |text: &[u8]| memchr::memrchr(b'"', text);
    let start = quote(before).and_then(|end| quote(&before[..end])).unwrap_or(value.start);
    let rest = &body[value.end..];
    let blanks = rest.len() - rest.trim_ascii_start().len();
    let (start, end) = if rest.get(blanks) == Some(&b',') {
        (start, value.end + blanks + 1)
    } else {
        let kept = body[..start].trim_ascii_end();
        (if kept.ends_with(b",") { kept.len() - 1 } else { start }, value.end)
    };
    [&body[..start], &body[end..]].concat().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use signalbox_core::Api;

    use super::*;
    use crate::envelope::Envelope;

    fn without(body: &str) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let at = Envelope::parse(Api::Chat, &body).unwrap().extension_at.unwrap();
        String::from_utf8(without_extension(&body, &at).to_vec()).unwrap()
    }

    #[test]
    fn the_member_goes_and_the_rest_stays() {
        for (body, expected) in [
            (r#"{"signalbox":{"a":"}"},"messages":[1]}"#, r#"{"messages":[1]}"#),
            (r#"{"messages":[1], "signalbox" : {} }"#, r#"{"messages":[1] }"#),
            (r#"{"messages":[1],"signalbox":null , "n":1}"#, r#"{"messages":[1], "n":1}"#),
            (r#"{"\u0073ignalbox":"x","messages":[1]}"#, r#"{"messages":[1]}"#),
        ] {
            assert_eq!(without(body), expected);
        }
    }

    proptest! {
        #[test]
        fn the_rest_is_the_same_json(place in 0_usize..4, blanks in "[ \n\t]{0,2}", text in "\\PC{0,8}") {
            let mut members = vec![r#""messages":[1]"#.to_owned(), format!("\"a\":{}", json!(text)), r#""model":"m""#.to_owned()];
            let rest = format!("{{{}}}", members.join(","));
            members.insert(place, format!("\"signalbox\":{}", json!({"x": text})));
            let body = format!("{{{blanks}{}{blanks}}}", members.join(&format!("{blanks},{blanks}")));
            let left: Value = serde_json::from_str(&without(&body)).unwrap();
            prop_assert_eq!(left, serde_json::from_str::<Value>(&rest).unwrap());
        }
    }
}

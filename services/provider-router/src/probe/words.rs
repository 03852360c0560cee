//! Extracts the message of an error from the formats that providers use.

use serde_json::Value;
use signalbox_core::text::is_line;

/// Maximum characters of a provider's message.
const MAX_CHARS: usize = 300;

/// JSON pointers to the message of an error: OpenAI, others with only `message`, FastAPI, JSON:API, MiniMax.
const POINTERS: [&str; 9] = [
    "/error/message",
    "/error",
    "/error_message",
    "/message",
    "/msg",
    "/detail",
    "/detail/0/msg",
    "/errors/0/message",
    "/base_resp/status_msg",
];

/// Returns the message of an error on a single line, or the error object if it has no message. Returns `None` for HTML.
pub(super) fn words(body: &[u8]) -> Option<String> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        return (!text.starts_with('<')).then(|| shown(text)).filter(|text| !text.is_empty());
    };
    let said = |place: &&str| Some(value.pointer(place)?.as_str()?.trim().to_owned()).filter(|text| !text.is_empty());
    let error = || value.get("error").filter(|error| !error.is_null()).map(ToString::to_string);
    POINTERS.iter().find_map(said).or_else(error).map(|text| shown(&text))
}

/// Names the kind of a JSON value, for messages.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object without a list",
    }
}

/// Returns the first [`MAX_CHARS`] characters of a text, on a single line.
fn shown(text: &str) -> String {
    let printable = |c: char| if is_line(c.encode_utf8(&mut [0; 4])) { c } else { ' ' };
    let mut shown: String = text.chars().take(MAX_CHARS).map(printable).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_and_bounded() {
        for (body, expected) in [
            (r#"{"error":{"message":" no "}}"#, Some("no")),
            (r#"{"detail":[{"msg":"field required"}]}"#, Some("field required")),
            (r#"{"base_resp":{"status_code":1004,"status_msg":"login fail"}}"#, Some("login fail")),
            (r#"{"errors":[{"message":"a\nb\u001b[31m"}]}"#, Some("a b [31m")),
            ("plain words", Some("plain words")),
            ("<!doctype html>", None),
            ("{}", None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(words(body.as_bytes()).as_deref(), expected, "{body}");
        }
        let long = "x".repeat(1000);
        assert_eq!(words(long.as_bytes()).unwrap().chars().count(), MAX_CHARS + 1);
    }
}

//! Cuts a long body to an excerpt for lists; a JSON object stays a JSON object.

use serde::de::IgnoredAny;

/// Field that marks a truncated object.
const TRUNCATED_FIELD: &str = "\"truncated\":true";

/// Suffix of a truncated text that is not an object.
const TRUNCATED_SUFFIX: &str = "… [truncated]";

/// Maximum depth of open containers; deeper objects are shown as text.
const MAX_DEPTH: usize = 100;

/// Returns an excerpt of a longer body that begins with `start`.
///
/// An object is cut after its last whole value, its open containers and string are closed, and the field `"truncated":
/// true` is added: `{"a":[{"b":"long te` becomes `{"a":[{"b":"long te"}],"truncated":true}`. Any other body is returned
/// as text with a mark at its end.
#[must_use]
pub fn excerpt(start: &str) -> String {
    close_containers(start).unwrap_or_else(|| format!("{start}{TRUNCATED_SUFFIX}"))
}

/// Closes the containers and the string that are open where an object was cut; `None` if `start` does not begin an
/// object.
fn close_containers(start: &str) -> Option<String> {
    if !start.trim_ascii_start().starts_with('{') {
        return None;
    }
    let CutPoint { end, in_string, open } = CutPoint::of(start)?;
    let mut object = String::with_capacity(end + TRUNCATED_FIELD.len() + 2 * open.len() + 2);
    object.push_str(&start[..end]);
    if in_string {
        object.push('"');
    }
    for opened in open.iter().skip(1).rev() {
        object.push(if *opened == b'{' { '}' } else { ']' });
    }
    if !object.ends_with('{') {
        object.push(',');
    }
    object.push_str(TRUNCATED_FIELD);
    object.push('}');
    // The body may have been invalid: only a valid object is returned.
    serde_json::from_str::<IgnoredAny>(&object).is_ok().then_some(object)
}

/// The offset at which to cut, and the containers that are open there.
struct CutPoint {
    end: usize,
    in_string: bool,
    open: Vec<u8>,
}

/// The role of the next string in an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Key,
    Value,
}

impl CutPoint {
    /// Finds the last offset that ends a whole value or lies within the text of a string value.
    fn of(start: &str) -> Option<Self> {
        let bytes = start.as_bytes();
        let mut open = Vec::new();
        let mut role = Role::Value;
        let mut cut = Self { end: 0, in_string: false, open: Vec::new() };
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'{' | b'[' => {
                    if open.len() >= MAX_DEPTH {
                        return None;
                    }
                    open.push(*byte);
                    role = if *byte == b'{' { Role::Key } else { Role::Value };
                    at += 1;
                    cut.set(at, &open);
                }
                b'}' | b']' => {
                    open.pop()?;
                    at += 1;
                    cut.set(at, &open);
                }
                b',' => {
                    role = if open.last() == Some(&b'{') { Role::Key } else { Role::Value };
                    at += 1;
                }
                b':' => {
                    role = Role::Value;
                    at += 1;
                }
                b'"' => {
                    let string = Text::of(&bytes[at + 1..]);
                    match (string.closed, role) {
                        (true, Role::Key) => at += string.length + 2,
                        (true, Role::Value) => {
                            at += string.length + 2;
                            cut.set(at, &open);
                        }
                        (false, Role::Key) => break,
                        (false, Role::Value) => {
                            let end = start.floor_char_boundary(at + 1 + string.whole);
                            cut = Self { end, in_string: true, open };
                            break;
                        }
                    }
                }
                byte if byte.is_ascii_whitespace() => at += 1,
                _ => {
                    // A number or a word may continue past the end, so it counts only when another byte follows.
                    let length = bytes[at..].iter().take_while(|byte| !is_structural(**byte)).count();
                    at += length;
                    if at < bytes.len() {
                        cut.set(at, &open);
                    }
                }
            }
        }
        (!cut.open.is_empty()).then_some(cut)
    }

    fn set(&mut self, end: usize, open: &[u8]) {
        self.end = end;
        self.open.clear();
        self.open.extend_from_slice(open);
    }
}

fn is_structural(byte: u8) -> bool {
    matches!(byte, b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"') || byte.is_ascii_whitespace()
}

/// The content of a string after its opening quote.
struct Text {
    /// Number of bytes up to the closing quote, or to the end.
    length: usize,
    /// Number of bytes before a truncated escape or a truncated surrogate pair.
    whole: usize,
    closed: bool,
}

impl Text {
    fn of(bytes: &[u8]) -> Self {
        let mut at = 0;
        let mut whole = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => return Self { length: at, whole: at, closed: true },
                b'\\' => {
                    let length = escape(&bytes[at..]);
                    if at + length > bytes.len() {
                        break;
                    }
                    at += length;
                }
                _ => at += 1,
            }
            whole = at;
        }
        Self { length: bytes.len(), whole, closed: false }
    }
}

/// Returns the length of an escape in bytes; for a surrogate pair, of both halves.
fn escape(bytes: &[u8]) -> usize {
    match bytes {
        [_, b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', _, _, rest @ ..] => match rest {
            [] | [b'\\'] | [b'\\', b'u', ..] => 12,
            _ => 6,
        },
        [_, b'u', ..] => 6,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_truncated_document_is_closed() {
        for (start, expected) in [
            (r#"{"a":[{"b":"long te"#, r#"{"a":[{"b":"long te"}],"truncated":true}"#),
            ("{", r#"{"truncated":true}"#),
            (r#"{"a"#, r#"{"truncated":true}"#),
            (r#"{"a":"#, r#"{"truncated":true}"#),
            (r#"{"a":1"#, r#"{"truncated":true}"#),
            (r#"{"a":1,"#, r#"{"a":1,"truncated":true}"#),
            (r#"{"a":1,"b":tru"#, r#"{"a":1,"truncated":true}"#),
            (r#"{"a":{},"b":[1, 2"#, r#"{"a":{},"b":[1],"truncated":true}"#),
            (r#"{"a":{"#, r#"{"a":{},"truncated":true}"#),
            (r#"{"a":"x\"#, r#"{"a":"x","truncated":true}"#),
            (r#"{"a":"x\u00"#, r#"{"a":"x","truncated":true}"#),
            (r#"{"a":"x\ud83d"#, r#"{"a":"x","truncated":true}"#),
            (r#"{"a":"x\ud83d\ude0"#, r#"{"a":"x","truncated":true}"#),
            (r#"{"a":"x\ud83d\ude00"#, r#"{"a":"x\ud83d\ude00","truncated":true}"#),
            ("{\"a\":\"é", "{\"a\":\"é\",\"truncated\":true}"),
        ] {
            assert_eq!(excerpt(start), expected, "{start}");
        }
    }

    #[test]
    fn other_documents_become_text() {
        for start in ["[1,2", "\"text", "plain", "", "{]", &"{\"a\":".repeat(200)] {
            assert_eq!(excerpt(start), format!("{start}{TRUNCATED_SUFFIX}"), "{start}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_excerpt_of_an_object_is_an_object(inner in json(), pretty: bool) {
            let object = serde_json::json!({"model": "m", "messages": inner});
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            for end in (1..text.len()).filter(|end| text.is_char_boundary(*end)) {
                let cut: Value = serde_json::from_str(&excerpt(&text[..end])).unwrap();
                prop_assert_eq!(&cut["truncated"], &Value::Bool(true));
            }
        }

        #[test]
        fn any_text_is_accepted(text in any::<String>(), json in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,60}") {
            for start in [text, json] {
                let shown = excerpt(&start);
                prop_assert!(shown.ends_with(TRUNCATED_SUFFIX) || serde_json::from_str::<Value>(&shown).is_ok());
            }
        }
    }
}

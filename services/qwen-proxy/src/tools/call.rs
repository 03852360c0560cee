//! A tool call, and its format in the model's text.

use std::fmt::Write;

use serde_json::{Map, Value};

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Name of the tool.
    pub name: String,
    /// Arguments as JSON text, an object.
    pub arguments: String,
}

impl Call {
    /// Returns the call in the format of the model. Arguments that are not an object are inserted unchanged.
    #[must_use]
    pub fn to_tags(&self) -> String {
        match serde_json::from_str::<Map<String, Value>>(&self.arguments) {
            Ok(arguments) => tags(&self.name, arguments.iter().map(|(name, value)| (name.as_str(), written(value)))),
            Err(_) => format!("<{0}>\n{1}\n</{0}>", self.name, self.arguments),
        }
    }
}

/// Formats a call of `name` as tags. A multi-line value is put on lines of its own, so that its first and last line
/// break are preserved.
pub(super) fn tags<'a>(name: &str, arguments: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut text = format!("<{name}>\n");
    for (parameter, value) in arguments {
        let lines = if value.contains('\n') { "\n" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "<{parameter}>{lines}{value}{lines}</{parameter}>");
    }
    let _ = write!(text, "</{name}>");
    text
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags_of(arguments: &str) -> String {
        Call { name: "run".into(), arguments: arguments.into() }.to_tags()
    }

    #[test]
    fn arguments_are_written_verbatim() {
        assert_eq!(
            tags_of(r#"{"a":"x < y & z","b":"one\ntwo","c":[1,"2"],"d":true}"#),
            "<run>\n<a>x < y & z</a>\n<b>\none\ntwo\n</b>\n<c>[1,\"2\"]</c>\n<d>true</d>\n</run>"
        );
        assert_eq!(tags_of("{}"), "<run>\n</run>");
        assert_eq!(tags_of("not json"), "<run>\nnot json\n</run>");
    }
}

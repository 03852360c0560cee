//! The few fields of a request body that the router has to know, read without building a tree of it.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What was found in a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `model`, unescaped; `None` when it is absent, null or empty.
    pub model: Option<String>,
    /// `stream`; absent and null mean no.
    pub stream: bool,
    /// Whether the stream's last chunk shall carry the usage (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Where the value of `model` stands in the body, quotes included.
    model_at: Option<Range<usize>>,
    /// Where a first field could be inserted: behind the opening brace.
    insert_at: usize,
}

/// Why a body is no chat request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or not an object, or a field twice, or a field of the wrong type.
    #[error("the request body is not valid JSON for a chat completion: {0}")]
    Malformed(String),
    /// `messages` is absent or null.
    #[error("`messages` is missing: send an array with at least one message")]
    MissingMessages,
    /// `messages` is something else than an array with something in it.
    #[error("`messages` must be an array with at least one message")]
    InvalidMessages,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

impl Envelope {
    /// Reads the fields of a chat request.
    ///
    /// # Errors
    /// [`EnvelopeError`] says what is wrong with the body.
    pub fn parse(body: &[u8]) -> Result<Self, EnvelopeError> {
        let malformed = |error: serde_json::Error| EnvelopeError::Malformed(error.to_string());
        // serde would also read a struct from an array.
        if body.trim_ascii_start().first().is_some_and(|&first| first != b'{') {
            return Err(EnvelopeError::Malformed("an object is expected".into()));
        }
        let fields: Fields<'_> = serde_json::from_slice(body).map_err(malformed)?;
        let messages = fields.messages.ok_or(EnvelopeError::MissingMessages)?.get();
        let inside = messages.strip_prefix('[').ok_or(EnvelopeError::InvalidMessages)?;
        if inside.trim_start().starts_with(']') {
            return Err(EnvelopeError::InvalidMessages);
        }
        let model = match fields.model {
            None => None,
            Some(raw) => serde_json::from_str::<Cow<'_, str>>(raw.get())
                .map(|name| (!name.is_empty()).then(|| name.into_owned()))
                .map_err(malformed)?,
        };
        let model_at = fields.model.map(|raw| {
            let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
            start..start + raw.get().len()
        });
        let insert_at = memchr::memchr(b'{', body).map_or(0, |at| at + 1);
        let include_usage = fields.stream_options.and_then(|options| options.include_usage).unwrap_or_default();
        Ok(Self { model, stream: fields.stream.unwrap_or_default(), include_usage, model_at, insert_at })
    }

    /// The body with `model` as its model name: the same bytes but for that value.
    #[must_use]
    pub fn with_model(&self, body: &Bytes, model: &str) -> Bytes {
        if self.model.as_deref() == Some(model) {
            return body.clone();
        }
        // A string always becomes JSON.
        let name = serde_json::to_string(model).unwrap_or_default();
        let (at, name) = match &self.model_at {
            Some(at) => (at.clone(), name),
            // The body has at least `messages`, so a comma may follow.
            None => (self.insert_at..self.insert_at, format!("\"model\":{name},")),
        };
        [&body[..at.start], name.as_bytes(), &body[at.end..]].concat().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &str) -> Result<Envelope, EnvelopeError> {
        Envelope::parse(body.as_bytes())
    }

    #[test]
    fn reads_what_routing_needs() {
        let envelope = parse(r#"{"stream":true,"messages":[{"role":"user","content":"hi"}],"model":"a\/b"}"#).unwrap();
        assert_eq!((envelope.model.as_deref(), envelope.stream), (Some("a/b"), true));
        let envelope =
            parse(r#"{"messages":[1],"stream":null,"model":null,"stream_options":{"include_usage":true}}"#).unwrap();
        assert_eq!((envelope.model.as_deref(), envelope.stream, envelope.include_usage), (None, false, true));
    }

    #[test]
    fn says_what_is_wrong() {
        for body in [
            "",
            "{",
            "[]",
            "nonsense",
            r#"{"messages":[1],"model":7}"#,
            r#"{"messages":[1],"stream":"yes"}"#,
            r#"{"model":"a","model":"b","messages":[1]}"#,
        ] {
            assert!(matches!(parse(body), Err(EnvelopeError::Malformed(_))), "{body}");
        }
        assert_eq!(parse(r#"{"model":"a"}"#), Err(EnvelopeError::MissingMessages));
        assert_eq!(parse(r#"{"messages":null}"#), Err(EnvelopeError::MissingMessages));
        for body in [r#"{"messages":[ ]}"#, r#"{"messages":"hi"}"#, r#"{"messages":{}}"#] {
            assert_eq!(parse(body), Err(EnvelopeError::InvalidMessages), "{body}");
        }
    }

    #[test]
    fn only_the_model_changes() {
        let body = Bytes::from_static(br#" { "messages" : [1], "model" : "old", "x": 1e400 }"#);
        let envelope = Envelope::parse(&body).unwrap();
        assert_eq!(
            envelope.with_model(&body, "n\"ew"),
            br#" { "messages" : [1], "model" : "n\"ew", "x": 1e400 }"#.as_slice()
        );
        assert_eq!(envelope.with_model(&body, "old").as_ptr(), body.as_ptr());
    }

    #[test]
    fn a_missing_model_is_added() {
        let body = Bytes::from_static(br#"{"messages":[1]}"#);
        let envelope = Envelope::parse(&body).unwrap();
        assert_eq!(envelope.with_model(&body, "m"), br#"{"model":"m","messages":[1]}"#.as_slice());
    }

    proptest! {
        #[test]
        fn any_name_can_replace_any_name(old in ".*", new in ".+") {
            let body = Bytes::from(format!(r#"{{"a":[{{"model":"inner"}}],"model":{},"messages":[{{}}]}}"#, serde_json::to_string(&old).unwrap()));
            let renamed = Envelope::parse(&body).unwrap().with_model(&body, &new);
            let envelope = Envelope::parse(&renamed).unwrap();
            prop_assert_eq!(envelope.model, Some(new));
            let start = br#"{"a":[{"model":"inner"}],"model":"#;
            prop_assert!(renamed.starts_with(start), "{:?}", renamed);
        }
    }
}

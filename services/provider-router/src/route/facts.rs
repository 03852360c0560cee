//! The facts about a request that its route depends on, read from its body only when they are needed.

use std::hash::{DefaultHasher, Hasher as _};

use serde_json::Value;
use signalbox_core::{
    json::Reader,
    overrides::Overrides,
    schema::{Ability, Sticky},
};

use crate::{owners::Owner, token_estimate};

/// Tokens of an answer whose request sets no limit, for comparing prices.
const USUAL_OUTPUT: u64 = 1_000;
/// Maximum bytes of a text prompt that count as its beginning.
const MAX_PREFIX: usize = 1 << 10;

/// Types of the parts that are images.
const IMAGES: [&[u8]; 4] = [b"\"image_url\"", b"\"input_image\"", b"\"image\"", b"\"computer_screenshot\""];

/// A request, as far as its route depends on it.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// Requested model.
    pub model: Option<&'a str>,
    /// Session named by the client.
    pub session: Option<&'a str>,
    /// Body for providers: that of the client without the router's extension, after the guardrails.
    pub body: &'a [u8],
    /// Unix time in milliseconds, on which prices depend.
    pub unix_ms: i64,
    /// Overrides that the request asks for.
    pub overrides: Option<&'a Overrides>,
    /// Target that made the answer which the request continues, if it is known.
    pub owner: Option<&'a Owner>,
    /// Whether the client asks for a stream.
    pub stream: bool,
    /// Whether the request counts for the policies that take turns; false for one that only asks for its plan.
    pub takes_turn: bool,
}

// === impl RequestFacts ===

impl RequestFacts<'_> {
    /// Returns an estimate of the tokens of the prompt; `None` if it has media, whose bytes say nothing.
    #[must_use]
    pub fn prompt_tokens(&self) -> Option<u64> {
        token_estimate::of_texts(self.body)
    }

    /// Returns the maximum tokens of the answer that the request allows, or a usual number.
    #[must_use]
    pub fn output_tokens(&self) -> u64 {
        token_estimate::output_limit(self.body).unwrap_or(USUAL_OUTPUT)
    }

    /// Returns an estimate of the tokens of prompt and answer, for prices.
    #[must_use]
    pub fn expected_tokens(&self) -> (u64, u64) {
        (token_estimate::rough(self.body), self.output_tokens())
    }

    /// Returns the abilities that a model must have to answer.
    #[must_use]
    pub fn needs(&self) -> Vec<Ability> {
        let (mut tools, mut vision, mut schema) = (false, false, false);
        // The body has been read as JSON before.
        let _ = Reader::lenient(self.body).fields(|name, value| {
            match &*name {
                "tools" | "functions" => tools |= matches!(value.value()?, Value::Array(tools) if !tools.is_empty()),
                "messages" | "input" => vision |= has_image(value)?,
                "response_format" | "output_format" => schema |= is_schema(&value.value()?),
                "text" | "output_config" => schema |= is_schema(&value.value()?["format"]),
                _ => value.skip()?,
            }
            Some(())
        });
        let needs = [(tools, Ability::Tools), (vision, Ability::Vision), (schema, Ability::JsonSchema)];
        needs.into_iter().filter_map(|(is_needed, ability)| is_needed.then_some(ability)).collect()
    }

    /// Returns the key that keeps the request at its target. A client that names no session is recognised by the
    /// beginning of its prompt, which all requests of a conversation share.
    #[must_use]
    pub fn key(&self, sticky: Sticky) -> Option<u64> {
        match (sticky, self.session) {
            (Sticky::Session, Some(session)) => {
                let mut hasher = DefaultHasher::new();
                hasher.write(session.as_bytes());
                Some(hasher.finish())
            }
            (Sticky::Session | Sticky::Prefix, _) => prefix_key(self.body),
        }
    }
}

/// Returns whether messages or items contain an image, also as the result of a tool.
fn has_image(value: &mut Reader<'_>) -> Option<bool> {
    let mut found = false;
    match value.peek()? {
        b'[' => value.array(|item| {
            found |= has_image(item)?;
            Some(())
        })?,
        b'{' => value.fields(|name, value| {
            match &*name {
                "type" => found |= IMAGES.contains(&value.raw()?),
                "content" | "output" => found |= has_image(value)?,
                _ => value.skip()?,
            }
            Some(())
        })?,
        _ => value.skip()?,
    }
    Some(found)
}

fn is_schema(format: &Value) -> bool {
    format["type"] == "json_schema"
}

/// Returns a hash of tools, instructions and messages up to the first one of the user; `None` without any of these.
fn prefix_key(body: &[u8]) -> Option<u64> {
    let (mut hasher, mut has_any) = (DefaultHasher::new(), false);
    // `None` also means that the rest need not be read.
    let _ = Reader::lenient(body).fields(|name, value| {
        match &*name {
            "tools" | "system" | "instructions" => {
                hasher.write(value.raw()?);
                has_any = true;
            }
            "messages" | "input" if value.peek()? == b'[' => {
                let mut is_over = false;
                value.array(|message| {
                    let raw = message.raw()?;
                    if !is_over {
                        hasher.write(raw);
                        has_any = true;
                        is_over = is_of_user(raw);
                    }
                    Some(())
                })?;
            }
            "input" | "prompt" => {
                let raw = value.raw()?;
                hasher.write(&raw[..raw.len().min(MAX_PREFIX)]);
                has_any = true;
            }
            _ => value.skip()?,
        }
        Some(())
    });
    has_any.then(|| hasher.finish())
}

fn is_of_user(message: &[u8]) -> bool {
    let mut is_user = false;
    let _ = Reader::lenient(message).fields(|name, value| {
        let raw = value.raw()?;
        is_user |= name == "role" && raw == b"\"user\"";
        Some(())
    });
    is_user
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(body: &str) -> RequestFacts<'_> {
        RequestFacts {
            model: None,
            session: None,
            body: body.as_bytes(),
            unix_ms: 0,
            overrides: None,
            owner: None,
            stream: true,
            takes_turn: true,
        }
    }

    #[test]
    fn later_turns_of_a_conversation_have_the_key_of_the_first() {
        let turns = |first: &str| {
            let begun = format!(
                r#"{{"tools":[{{"x":1}}],"messages":[{{"role":"system","content":"s"}},{{"role":"user","content":"{first}"}}"#
            );
            [
                format!("{begun}]}}"),
                format!(r#"{begun},{{"role":"assistant","content":"a"}},{{"role":"user","content":"b"}}]}}"#),
            ]
        };
        let key = |body: &str| facts(body).key(Sticky::Prefix);
        let [one, two] = turns("hi");
        assert_eq!(key(&one), key(&two));
        assert_ne!(key(&one), key(&turns("ho")[0]));
        assert_eq!(facts(&one).key(Sticky::Session), key(&one));
        assert_ne!(RequestFacts { session: Some("s"), ..facts(&one) }.key(Sticky::Session), key(&one));
        assert_eq!(RequestFacts { session: Some("s"), ..facts(&one) }.key(Sticky::Prefix), key(&one));
        assert!(key(r#"{"input":"x"}"#).is_some() && key(r#"{"input":"x"}"#) != key(r#"{"input":"y"}"#));
        assert_eq!(key("{}"), None);
        assert_eq!(key("[1]"), None);
    }

    #[test]
    fn needs_are_read_in_each_api() {
        use Ability::{JsonSchema, Tools, Vision};
        for (body, needs) in [
            (r#"{"messages":[{"role":"user","content":"a \"type\":\"image\""}],"tools":[]}"#, &[][..]),
            (
                r#"{"messages":[{"content":[{"type":"text","text":"image"},{"type":"image_url","image_url":{}}]}]}"#,
                &[Vision],
            ),
            (r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}]}"#, &[Vision]),
            (r#"{"messages":[{"content":[{"type":"tool_use","input":{"type":"image"}}]}]}"#, &[]),
            (
                r#"{"input":[{"role":"user","content":[{"type":"input_image"}]}],"tools":[{"type":"function"}]}"#,
                &[Tools, Vision],
            ),
            (r#"{"input":[{"type":"function_call_output","output":[{"type":"input_image"}]}]}"#, &[Vision]),
            (r#"{"response_format":{"type":"json_schema"}}"#, &[JsonSchema]),
            (r#"{"response_format":{"type":"json_object"},"functions":[{}]}"#, &[Tools]),
            (r#"{"text":{"format":{"type":"json_schema"}}}"#, &[JsonSchema]),
            (r#"{"output_config":{"format":{"type":"json_schema"}}}"#, &[JsonSchema]),
            (r#"{"text":"a","input":["b"],"output_config":null}"#, &[]),
        ] {
            assert_eq!(facts(body).needs(), needs, "{body}");
        }
    }

    #[test]
    fn sizes_are_estimated_from_the_body() {
        assert_eq!(facts(r#"{"max_tokens":7}"#).output_tokens(), 7);
        assert_eq!(facts(r#"{"max_tokens":"x"}"#).output_tokens(), USUAL_OUTPUT);
        let prompt = format!(r#"{{"input":"{}"}}"#, "x".repeat(395));
        assert_eq!(facts(&prompt).prompt_tokens(), Some(100));
        assert_eq!(facts(r#"{"url":"data:image/png;base64,AAAA"}"#).prompt_tokens(), None);
    }
}

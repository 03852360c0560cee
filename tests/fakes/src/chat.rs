//! Chat Completions: the parsed request, and the JSON of streamed and whole answers.

mod events;
mod whole;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    plan::{Heard, Plan},
    script::{Chat, Tokens, Usage},
};

pub(crate) use events::Events;
pub(crate) use whole::whole;

/// Unix time of all answers; fixed so that tests can compare bytes.
const CREATED: u32 = 1_700_000_000;
const ID: &str = "chatcmpl-fake0000000000000001";

/// The fields of a chat request that the fake uses.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked<'a> {
    #[serde(borrow, default)]
    pub(crate) model: Cow<'a, str>,
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    /// Kept raw and parsed only if the answer depends on it, because the prompt may be megabytes long.
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_choice: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

// === impl Asked ===

impl Asked<'_> {
    pub(crate) fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    fn plan(&self, chat: &Chat) -> Plan {
        Plan::new(chat, self.choices(chat), || self.hear())
    }

    fn choices(&self, chat: &Chat) -> u32 {
        chat.choices.or(self.n).unwrap_or(1).clamp(1, 128)
    }

    fn reports_usage(&self, chat: &Chat) -> bool {
        match chat.usage {
            Usage::Asked => !self.streams() || self.stream_options.as_ref().is_some_and(|o| o.include_usage),
            Usage::Always => true,
            Usage::Never => false,
        }
    }

    fn hear(&self) -> Heard {
        let mut heard = Heard { forced: self.forced(), ..Heard::default() };
        for message in parsed(self.messages).as_array().into_iter().flatten() {
            let content = &message["content"];
            match message["role"].as_str() {
                Some("user") => heard.user = text_of(content),
                Some("tool") => heard.results.push(text_of(content)),
                _ => {}
            }
            for part in content.as_array().into_iter().flatten() {
                if let Some(url) = part["image_url"]["url"].as_str() {
                    heard.see(url);
                }
            }
        }
        heard
    }

    fn forced(&self) -> Option<String> {
        let choice = parsed(self.tool_choice);
        if choice == "required" {
            return parsed(self.tools)[0]["function"]["name"].as_str().map(str::to_owned);
        }
        choice["function"]["name"].as_str().map(str::to_owned)
    }
}

fn parsed(raw: Option<&RawValue>) -> Value {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// Returns a content that is text, or the text parts of a content.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// Returns the token counts of an answer of `words` words. Classes that are zero are left out.
fn usage(tokens: &Tokens, words: u32) -> Value {
    let (prompt, completion) = (tokens.prompt(), words.saturating_add(tokens.reasoning));
    let mut usage = serde_json::json!({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt.saturating_add(completion),
    });
    if prompt != tokens.input {
        let (read, written) = (tokens.cache_read, tokens.written());
        usage["prompt_tokens_details"] = serde_json::json!({"cached_tokens": read, "cache_write_tokens": written});
    }
    if tokens.reasoning > 0 {
        usage["completion_tokens_details"] = serde_json::json!({"reasoning_tokens": tokens.reasoning});
    }
    usage
}

//! Chat answers: the parsed request, and the JSON of streamed and whole answers.

mod events;
mod whole;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::script::{Chat, Text, Usage};

pub(crate) use events::Events;
pub(crate) use whole::whole;

/// Unix time of all answers; fixed so that tests can compare bytes.
const CREATED: u32 = 1_700_000_000;
const ID: &str = "chatcmpl-fake0000000000000001";
const PROMPT_TOKENS: u32 = 10;

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
    /// Kept raw and parsed only for an echo, because the prompt may be megabytes long.
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
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

    /// Returns the words of the answer, each with its trailing space. Endless text and ticks are generated elsewhere.
    fn words(&self, text: &Text) -> Vec<String> {
        let text = match text {
            Text::Fixed(text) => text.clone(),
            Text::Echo => self.last_user_text(),
            Text::Ticks(_) | Text::Endless => String::new(),
        };
        text.split_inclusive(' ').map(str::to_owned).collect()
    }

    /// Returns the text parts of the last user message; empty if there is none.
    fn last_user_text(&self) -> String {
        let messages = self.messages.map(RawValue::get).and_then(|raw| serde_json::from_str::<Vec<Value>>(raw).ok());
        let message = messages.unwrap_or_default().into_iter().rfind(|message| message["role"] == "user");
        match message.map(|message| message["content"].clone()) {
            Some(Value::String(text)) => text,
            Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            _ => String::new(),
        }
    }
}

fn finish_reason(chat: &Chat) -> &str {
    let usual = if chat.tool.is_some() { "tool_calls" } else { "stop" };
    chat.finish_reason.as_deref().unwrap_or(usual)
}

/// Returns a word with its creation time: nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine share.
pub(crate) fn tick() -> String {
    let clock = nix::time::ClockId::CLOCK_MONOTONIC;
    let now = nix::time::clock_gettime(clock).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec());
    format!("t={now} ")
}

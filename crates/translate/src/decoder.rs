//! Reads the answers of providers.

use std::hash::{DefaultHasher, Hash, Hasher};

use signalbox_core::json::repaired;

use crate::field::Raw;
use crate::hub::{Answer, Event, Failure};
use crate::target::Api;
use crate::{chat, messages, responses};

/// Reads the events of a provider's stream.
///
/// Unknown events and fields are skipped, duplicates are ignored. Every answer ends with exactly one [`Event::Finish`]
/// or [`Event::Failed`], and everything after it is ignored.
#[derive(Debug)]
pub struct Decoder(Protocol);

#[derive(Debug)]
enum Protocol {
    Chat(chat::Decoder),
    Messages(messages::Decoder),
    Responses(Box<responses::Decoder>),
}

// === impl Decoder ===

impl Decoder {
    /// Creates a decoder for a provider of `api`. `id` makes up the ids of tool calls that have none: give a text that
    /// is unique within the conversation.
    #[must_use]
    pub fn new(api: Api, id: &str) -> Self {
        Self(match api {
            Api::Chat => Protocol::Chat(chat::Decoder::new(id)),
            Api::Messages => Protocol::Messages(messages::Decoder::new(id)),
            Api::Responses => Protocol::Responses(Box::new(responses::Decoder::new(id))),
        })
    }

    /// Reads one event of the stream and appends what it means to `out`. `name` is the value of its `event:` line.
    pub fn push(&mut self, name: Option<&str>, data: &[u8], out: &mut Vec<Event>) {
        match &mut self.0 {
            Protocol::Chat(decoder) => decoder.push(data, out),
            Protocol::Messages(decoder) => decoder.push(name, data, out),
            Protocol::Responses(decoder) => decoder.push(name, data, out),
        }
    }

    /// Returns whether the answer is complete if the stream ends or breaks off here: [`finish`](Self::finish) then ends
    /// it without a failure. That is so after the terminal event, and in Chat Completions, whose `[DONE]` some providers
    /// leave out, after the finish reason.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match &self.0 {
            Protocol::Chat(decoder) => decoder.is_complete(),
            Protocol::Messages(decoder) => decoder.is_complete(),
            Protocol::Responses(decoder) => decoder.is_complete(),
        }
    }

    /// Ends the stream. An answer that is not complete ends with the failure [`Incomplete`](crate::hub::ErrorClass).
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        match &mut self.0 {
            Protocol::Chat(decoder) => decoder.finish(out),
            Protocol::Messages(decoder) => decoder.finish_stream(out),
            Protocol::Responses(decoder) => decoder.finish(out),
        }
    }
}

/// Reads a whole answer of a provider.
///
/// # Errors
/// Fails with the error that the body reports, or if the body is not an answer of `api`.
pub fn read_answer(api: Api, body: &[u8]) -> Result<Answer, Failure> {
    match api {
        Api::Chat => chat::read_answer(body),
        Api::Messages => messages::read_answer(body),
        Api::Responses => responses::read_answer(body),
    }
}

/// Returns a text that makes up ids of calls which differ from those of other answers in the conversation.
pub(crate) fn id_of_body(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Returns how an event or a body shows that it belongs to another API than `own`; `None` if it does not.
pub(crate) fn foreign_api(data: &[u8], own: Api) -> Option<String> {
    let json = repaired(data)?;
    let fields = Raw::document(&json).fields()?;
    let kind = fields.str("type").unwrap_or_default();
    let object = fields.str("object").unwrap_or_default();
    let is_messages = matches!(
        &*kind,
        "message_start" | "message_delta" | "message_stop" | "content_block_start" | "content_block_delta" | "message"
    );
    let found = if own != Api::Chat && (object.starts_with("chat.completion") || fields.get("choices").is_some()) {
        "Chat Completions"
    } else if own != Api::Messages && is_messages {
        "Messages"
    } else if own != Api::Responses && (kind.starts_with("response.") || object == "response") {
        "Responses"
    } else {
        return None;
    };
    Some(format!("it is of {found}"))
}

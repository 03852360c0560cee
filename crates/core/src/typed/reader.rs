//! Reads the events of a stream.

use serde_json::Value;

use super::fields::{finish_reason, merge, take, type_of, value};
use super::quoted::QUOTING;
use super::usual::Usual;
use super::{error_of, usage_in, usage_of};
use crate::Api;
use crate::openai::{Ending, ProviderError, provider_error};
use crate::sse::Frame;

/// Meaning of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypedEvent {
    /// The answer has begun, without any content so far; or the provider only shows that it is alive.
    Preamble,
    /// Content of the answer.
    Content,
    /// The answer is complete: nothing follows.
    Done,
    /// The provider reports an error: nothing follows.
    Failed {
        /// The error.
        error: Box<ProviderError>,
        /// Whether clients of the API recognise the event.
        is_native: bool,
    },
    /// No event of the API.
    Unknown,
}

/// The values of an answer that an event of the gateway's own repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// Id of the answer.
    pub id: String,
    /// Model that answers.
    pub model: String,
    /// Time of the answer, in Unix seconds.
    pub created: u64,
    /// Number of events so far.
    pub events: u64,
}

/// Reads the events of a stream of Messages or Responses.
#[derive(Debug)]
pub struct TypedReader {
    api: Api,
    ending: Ending,
    started: Started,
    usage: Value,
    usual: Usual,
}

/// Beginnings of the names of the events of Responses that have content of the model.
const CONTENT: [&str; 15] = [
    "response.audio",
    "response.code_interpreter_call",
    "response.compaction",
    "response.content_part.",
    "response.custom_tool_call_input.",
    "response.file_search_call.",
    "response.function_call_arguments.",
    "response.image_generation_call.",
    "response.mcp_",
    "response.output_item.",
    "response.output_text.",
    "response.reasoning",
    "response.refusal.",
    "response.shell_call",
    "response.web_search_call.",
];

// === impl TypedReader ===

impl TypedReader {
    /// Creates a reader of `api`, which is not [`Api::Chat`].
    #[must_use]
    pub fn new(api: Api) -> Self {
        Self {
            api,
            ending: Ending::default(),
            started: Started::default(),
            usage: Value::Null,
            usual: Usual::default(),
        }
    }

    /// Returns what has been read of the end so far.
    #[must_use]
    pub const fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Returns what has been read of the beginning.
    #[must_use]
    pub const fn started(&self) -> &Started {
        &self.started
    }

    /// Returns whether the next event only adds a piece of text, as the one before did; it need not be
    /// [read](Self::read) then, and has none of the fields that [`mask_errors`](super::mask_errors) looks for.
    pub fn is_usual(&mut self, event: &[u8]) -> bool {
        let is_usual = self.usual.fits(event);
        self.started.events += u64::from(is_usual);
        is_usual
    }

    /// Reads the next event. Its type is the field `type` of its data, or else its name.
    pub fn read(&mut self, frame: &Frame) -> TypedEvent {
        let Some(data) = frame.data() else { return TypedEvent::Unknown };
        self.started.events += 1;
        let name = frame.event();
        let named = || name.and_then(|name| std::str::from_utf8(name).ok().map(str::to_owned));
        let typed = type_of(&data);
        // Anthropic's clients skip events without their name.
        let is_native = match typed.as_deref() {
            Some("error") => self.api != Api::Messages || name == Some(b"error"),
            kind => kind == Some("response.failed"),
        };
        let kind = typed.or_else(named);
        let is_delta = kind.as_deref().is_some_and(|kind| kind == "content_block_delta" || kind.ends_with(".delta"));
        let event = self.read_typed(kind, &data);
        if is_delta && event == TypedEvent::Content {
            self.usual.learn(frame.raw(), &QUOTING);
        }
        match event {
            TypedEvent::Failed { error, .. } => {
                // The error event that follows takes its number.
                self.started.events -= u64::from(!is_native);
                TypedEvent::Failed { error, is_native }
            }
            event => event,
        }
    }

    fn read_typed(&mut self, kind: Option<String>, data: &[u8]) -> TypedEvent {
        let Some(kind) = kind else {
            // Some gateways report errors of their own in OpenAI's form.
            return match provider_error(data) {
                Some(error) => self.failed(error),
                None => TypedEvent::Unknown,
            };
        };
        match self.api {
            Api::Messages => self.read_messages(&kind, data),
            Api::Responses | Api::Chat => self.read_responses(&kind, data),
        }
    }

    fn read_messages(&mut self, kind: &str, data: &[u8]) -> TypedEvent {
        match kind {
            "content_block_start" | "content_block_delta" | "content_block_stop" => TypedEvent::Content,
            "ping" => TypedEvent::Preamble,
            "message_start" => {
                let mut message = value(data).map(|mut event| take(&mut event, "message")).unwrap_or_default();
                self.start(&message, "");
                self.usage = take(&mut message, "usage");
                TypedEvent::Preamble
            }
            "message_delta" => {
                if let Some(event) = value(data) {
                    merge(&mut self.usage, &event["usage"]);
                    self.ending.usage = usage_of(&self.usage);
                    if let Some(reason) = event["delta"]["stop_reason"].as_str() {
                        self.ending.finish_reason = Some(reason.to_owned());
                    }
                }
                TypedEvent::Content
            }
            "message_stop" => TypedEvent::Done,
            "error" => self.failed(error_in(data)),
            _ => self.read_unknown(data),
        }
    }

    fn read_responses(&mut self, kind: &str, data: &[u8]) -> TypedEvent {
        match kind {
            "response.created" | "response.queued" | "response.in_progress" => {
                if self.started.id.is_empty()
                    && let Some(event) = value(data)
                {
                    self.start(&event["response"], "created_at");
                }
                TypedEvent::Preamble
            }
            "response.completed" | "response.incomplete" => {
                let event = value(data).unwrap_or_default();
                let response = &event["response"];
                if response["status"] == "failed" {
                    let error = serde_json::json!({ "error": response["error"] });
                    return self.failed(error_of(&error));
                }
                self.ending.usage = usage_in(response);
                self.ending.finish_reason = Some(finish_reason(response, kind == "response.completed"));
                TypedEvent::Done
            }
            "response.failed" => {
                let mut event = value(data).unwrap_or_default();
                let response = take(&mut event, "response");
                self.ending.usage = usage_in(&response);
                let error = serde_json::json!({ "error": response["error"] });
                self.failed(error_of(&error))
            }
            "error" => self.failed(error_in(data)),
            kind if CONTENT.iter().any(|known| kind.starts_with(known)) => TypedEvent::Content,
            _ => self.read_unknown(data),
        }
    }

    /// Reads an event of a type that is not known. Some gateways report errors of their own within the stream, in a
    /// field `error`; an event that only has a message may be of a newer version of the API.
    fn read_unknown(&mut self, data: &[u8]) -> TypedEvent {
        let reports = |event: &Value| event.get("error").is_some_and(|error| error.is_object() || error.is_string());
        match value(data).filter(reports) {
            Some(event) => self.failed(error_of(&event)),
            None => TypedEvent::Unknown,
        }
    }

    fn start(&mut self, answer: &Value, created: &str) {
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        self.started.id = text("id");
        self.started.model = text("model");
        self.started.created = answer.get(created).and_then(Value::as_u64).unwrap_or_default();
    }

    fn failed(&mut self, error: ProviderError) -> TypedEvent {
        self.ending.failure = Some(error.message.clone());
        TypedEvent::Failed { error: Box::new(error), is_native: true }
    }
}

/// Returns the error of an event that is declared as one; plain text is its message.
fn error_in(data: &[u8]) -> ProviderError {
    let text = || ProviderError {
        message: String::from_utf8_lossy(data.trim_ascii()).into_owned(),
        ..ProviderError::default()
    };
    value(data).map_or_else(text, |event| error_of(&event))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::openai::Usage;
    use crate::sse::Splitter;
    use crate::token_classes::TokenClasses;

    fn read(api: Api, stream: &str) -> (Vec<TypedEvent>, TypedReader) {
        let mut splitter = Splitter::new(usize::MAX);
        splitter.push(Bytes::copy_from_slice(stream.as_bytes()));
        let mut reader = TypedReader::new(api);
        let mut events = Vec::new();
        while let Some(frame) = splitter.finish() {
            events.push(reader.read(&frame));
        }
        (events, reader)
    }

    use TypedEvent::{Content, Done, Preamble, Unknown};

    #[test]
    fn reads_a_message() {
        let (events, reader) = read(
            Api::Messages,
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\n\
             event: ping\ndata: {\"type\": \"ping\"}\n\n\
             event: content_block_start\ndata: {}\n\n\
             data: {\"delta\":{},\"type\":\"content_block_delta\"}\n\n: alive\n\n\
             data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n\
             data: {\"type\":\"message_stop\"}\n\n",
        );
        assert_eq!(events, [Preamble, Preamble, Content, Content, Unknown, Content, Done]);
        assert_eq!(reader.ending().finish_reason.as_deref(), Some("end_turn"));
        let classes = TokenClasses { cache_read: 4, ..TokenClasses::default() };
        let usage = Usage { classes, ..Usage::new(7, 9) };
        assert_eq!(reader.ending().usage, Some(usage));
        assert_eq!((&*reader.started().id, &*reader.started().model), ("msg_1", "m"));
    }

    #[test]
    fn reads_a_response() {
        let (events, reader) = read(
            Api::Responses,
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"created_at\":5}}\n\n\
             data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n\
             data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\"usage\":{\"input_tokens\":1,\"output_tokens\":2,\"total_tokens\":3},\"tool_usage\":{\"web_search\":{\"num_requests\":2}}}}\n\n",
        );
        assert_eq!(events, [Preamble, Content, Done]);
        assert_eq!(reader.ending().finish_reason.as_deref(), Some("max_output_tokens"));
        assert_eq!(reader.ending().usage.unwrap().total_tokens, 3);
        assert_eq!(reader.ending().usage.unwrap().web_searches, 2);
        assert_eq!((&*reader.started().id, reader.started().created), ("resp_1", 5));
    }

    #[test]
    fn errors_of_any_form_are_recognised() {
        for (api, event, message) in [
            (Api::Messages, r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#, "busy"),
            (Api::Messages, r#"{"error":{"message":"chat"}}"#, "chat"),
            (Api::Responses, r#"{"type":"error","code":"server_error","message":"oops"}"#, "oops"),
            (Api::Responses, r#"{"type":"response.failed","response":{"error":{"code":"c","message":"no"}}}"#, "no"),
        ] {
            let (events, reader) = read(api, &format!("data: {event}\n\n"));
            assert!(
                matches!(&events[..], [TypedEvent::Failed { error, .. }] if error.message == message),
                "{event}: {events:?}"
            );
            assert_eq!(reader.ending().failure.as_deref(), Some(message));
        }
        for newer in [r#"{"type":"newer","message":"m","code":"c"}"#, r#"{"type":"newer","error":null}"#] {
            for api in [Api::Messages, Api::Responses] {
                assert_eq!(read(api, &format!("data: {newer}\n\n")).0, [Unknown], "{newer}");
            }
        }
        let failed = r#"{"type":"response.completed","response":{"status":"failed","error":{"message":"no"}}}"#;
        let (events, _) = read(Api::Responses, &format!("data: {failed}\n\n"));
        assert!(matches!(&events[..], [TypedEvent::Failed { error, .. }] if error.message == "no"), "{events:?}");
        let (events, _) = read(Api::Messages, "data: {\"choices\":[]}\n\ndata: nothing\n\n");
        assert_eq!(events, [Unknown, Unknown]);
    }
}

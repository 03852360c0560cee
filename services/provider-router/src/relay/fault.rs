//! Errors that events of a stream report, and their classes.

use signalbox_core::{
    Api,
    openai::{ErrorBody, ProviderError, StreamEvent, joined_events, read_event},
    sse::Frame,
    typed::{TypedEvent, TypedReader},
};
use signalbox_translate::hub::Failure;

use super::Relay;
use crate::fault::Fault;

/// Returns the error that an event reports.
pub(super) fn error_of(api: Api, frame: &Frame) -> Option<ProviderError> {
    let data = frame.data()?;
    if api != Api::Chat {
        return match TypedReader::new(api).read(frame) {
            TypedEvent::Failed { error, .. } => Some(*error),
            _ => None,
        };
    }
    let is_error = frame.event() == Some(b"error");
    let events = joined_events(&data).unwrap_or_else(|| vec![&*data]);
    events.into_iter().find_map(|data| match read_event(data) {
        StreamEvent::Error(error) => Some(error),
        StreamEvent::Unknown if is_error => {
            let message = String::from_utf8_lossy(data.trim_ascii()).into_owned();
            Some(ProviderError { message, ..ProviderError::default() })
        }
        _ => None,
    })
}

/// Returns the class of an error within a stream.
pub(super) fn class_of(error: &ProviderError) -> Fault {
    Fault::of_event(Failure::read(error.status, ErrorBody { error: error.to_object() }.to_json().as_bytes()).class)
}

// === impl Relay ===

impl Relay {
    /// Records whether the error that the provider reported counts against the breaker of its target.
    pub(super) fn judge(&mut self, error: &ProviderError) {
        if !class_of(error).rule().counts {
            self.exchange.spare_target();
        }
    }
}

#[cfg(test)]
mod tests {
    use signalbox_core::sse::Splitter;

    use super::*;

    fn read(api: Api, event: &str) -> Option<Fault> {
        let mut splitter = Splitter::new(usize::MAX);
        splitter.push(format!("{event}\n\n").into());
        error_of(api, &splitter.next_frame().unwrap().unwrap()).as_ref().map(class_of)
    }

    #[test]
    fn errors_of_chat_streams_are_found_in_every_form() {
        let text = r#"data: {"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        let error = r#"data: {"error":{"message":"busy"}}"#;
        for event in [error, "event: error\ndata: busy", &format!("{text}\n{error}")] {
            assert!(read(Api::Chat, event).is_some_and(|fault| fault.rule().counts), "{event}");
        }
        for event in [text, "data: busy", ": error", "data: [DONE]", &format!("{text}\n{text}")] {
            assert_eq!(read(Api::Chat, event), None, "{event}");
        }
    }

    #[test]
    fn errors_of_the_request_do_not_count() {
        for (error, class, is_counted) in [
            (r#"{"message":"no","code":"content_policy_violation"}"#, Fault::ContentRefused, false),
            (r#"{"message":"long","code":"context_length_exceeded"}"#, Fault::ContextLength, false),
            (r#"{"message":"wrong","type":"invalid_request_error"}"#, Fault::BadRequest, false),
            (r#"{"message":"busy","type":"overloaded_error"}"#, Fault::Overloaded, true),
            (r#"{"message":"oops"}"#, Fault::Server, true),
        ] {
            for (api, event) in [
                (Api::Chat, format!("data: {{\"error\":{error}}}")),
                (Api::Messages, format!("event: error\ndata: {{\"type\":\"error\",\"error\":{error}}}")),
                (Api::Responses, format!("data: {{\"type\":\"response.failed\",\"response\":{{\"error\":{error}}}}}")),
            ] {
                assert_eq!(read(api, &event), Some(class), "{event}");
                assert_eq!(class.rule().counts, is_counted, "{event}");
            }
        }
    }
}

//! The API of an event, and whether a body is an answer.

use super::fields::{type_of, value};
use crate::Api;
use crate::openai::{ProviderError, StreamEvent, provider_error, read_event};

/// Returns the API of an event that only one API has; `None` if it is of none or of several.
#[must_use]
pub fn api_of_event(data: &[u8]) -> Option<Api> {
    match type_of(data).as_deref() {
        Some("message_start" | "message_delta" | "message_stop") => Some(Api::Messages),
        Some("content_block_start" | "content_block_delta" | "content_block_stop") => Some(Api::Messages),
        Some(kind) if kind.starts_with("response.") => Some(Api::Responses),
        Some(_) => None,
        None => match read_event(data) {
            StreamEvent::Chunk(chunk) if !chunk.choices.is_empty() => Some(Api::Chat),
            _ => None,
        },
    }
}

/// Checks that a body is a whole answer of `api`, which is not [`Api::Chat`].
///
/// # Errors
/// Returns the error that it reports, or else the reason why it is no answer.
pub fn whole_answer(api: Api, body: &[u8]) -> Result<(), Result<ProviderError, &'static str>> {
    let Some(answer) = value(body) else { return Err(Err("it is not JSON")) };
    let is_answer = match api {
        Api::Messages => answer["type"] == "message",
        Api::Responses | Api::Chat => answer["object"] == "response",
    };
    if is_answer && (api == Api::Messages || answer["status"] != "failed") {
        return Ok(());
    }
    if let Some(error) = provider_error(body) {
        return Err(Ok(error));
    }
    Err(Err(match api {
        Api::Messages => "it is not a message",
        Api::Responses | Api::Chat => "it is not a response",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_name_their_api() {
        for (data, api) in [
            (r#"{"type":"message_start","message":{}}"#, Some(Api::Messages)),
            (r#"{"type":"content_block_delta","index":0}"#, Some(Api::Messages)),
            (r#"{"type":"response.created","response":{}}"#, Some(Api::Responses)),
            (r#"{"id":"c","object":"chat.completion.chunk","choices":[{"delta":{"content":"x"}}]}"#, Some(Api::Chat)),
            (r#"{"type":"ping"}"#, None),
            (r#"{"type":"error","error":{"message":"m"}}"#, None),
            (r#"{"choices":[]}"#, None),
            ("[DONE]", None),
            ("words", None),
        ] {
            assert_eq!(api_of_event(data.as_bytes()), api, "{data}");
        }
    }

    #[test]
    fn whole_answers_are_told_from_errors() {
        let message = br#"{"type":"message","content":[]}"#;
        let response = br#"{"object":"response","status":"in_progress"}"#;
        assert_eq!(whole_answer(Api::Messages, message), Ok(()));
        assert_eq!(whole_answer(Api::Responses, response), Ok(()));
        assert_eq!(whole_answer(Api::Messages, response), Err(Err("it is not a message")));
        assert_eq!(whole_answer(Api::Responses, message), Err(Err("it is not a response")));
        assert_eq!(whole_answer(Api::Responses, b"<html>"), Err(Err("it is not JSON")));
        let failed = br#"{"object":"response","status":"failed","error":{"code":"server_error","message":"no"}}"#;
        assert!(matches!(whole_answer(Api::Responses, failed), Err(Ok(error)) if error.message == "no"));
    }
}

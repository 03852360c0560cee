//! Errors in the form of each API.

use signalbox_core::typed::Started;

use crate::error::RequestError;
use crate::hub::{ErrorClass, Failure};
use crate::out::{self, Object};
use crate::responses::write_failed_event;
use crate::target::Api;

/// Writes an error body for a client of `api`. Returns its HTTP status and the JSON.
///
/// `request_id` is the id of the exchange, which Messages has in its body.
#[must_use]
pub fn write_error(api: Api, failure: &Failure, request_id: &str) -> (u16, Vec<u8>) {
    let mut body = Vec::new();
    out::object(&mut body, |out| match api {
        Api::Chat | Api::Responses => write_openai(out, failure),
        Api::Messages => write_messages(out, failure, Some(request_id)),
    });
    (status(api, failure), body)
}

/// Writes the body for a request that was refused. Returns its HTTP status and the JSON.
#[must_use]
pub fn write_request_error(api: Api, error: &RequestError, request_id: &str) -> (u16, Vec<u8>) {
    let class = if error.status() == 404 { ErrorClass::NotFound } else { ErrorClass::BadRequest };
    let failure = Failure {
        status: Some(error.status()),
        code: Some(error.code().to_owned()),
        kind: Some("invalid_request_error".to_owned()),
        param: Some(error.field.clone()).filter(|field| !field.is_empty()),
        ..Failure::new(class, error.message.clone())
    };
    write_error(api, &failure, request_id)
}

/// Writes the event that ends a stream of `api` which was not translated and has broken off.
///
/// A client of Responses takes it for the end of the answer only if it names the same answer, so `started` has what the
/// first event of the stream said.
#[must_use]
pub fn write_error_event(api: Api, failure: &Failure, started: &Started, request_id: &str) -> Vec<u8> {
    let mut event = Vec::new();
    match api {
        Api::Chat => out::frame(&mut event, None, |out| write_openai(out, failure)),
        Api::Messages => out::frame(&mut event, Some("error"), |out| write_messages(out, failure, Some(request_id))),
        Api::Responses => write_failed_event(failure, started, request_id, &mut event),
    }
    event
}

/// Writes the members of an error of the OpenAI APIs.
pub(crate) fn write_openai(out: &mut Object<'_>, failure: &Failure) {
    out.object("error", |error| {
        error.str("message", &failure.message);
        error.str("type", openai_type(failure));
        error.str_or_null("param", failure.param.as_deref());
        error.str_or_null("code", openai_code(failure));
    });
}

/// Writes the members of an error of Messages.
pub(crate) fn write_messages(out: &mut Object<'_>, failure: &Failure, request_id: Option<&str>) {
    out.str("type", "error");
    out.object("error", |error| {
        error.str("type", messages_type(failure));
        error.str("message", &failure.message);
    });
    out.opt_str("request_id", request_id);
}

/// Returns the HTTP status for a client of `api`.
fn status(api: Api, failure: &Failure) -> u16 {
    use ErrorClass::*;
    match failure.class {
        BadRequest if failure.status == Some(422) && api != Api::Messages => 422,
        BadRequest | ContextLength | ContentRefused => 400,
        Credentials => 401,
        Permission => 403,
        Billing if api == Api::Messages => 402,
        Billing => 429,
        NotFound => 404,
        Conflict => 409,
        TooLarge => 413,
        RateLimit => 429,
        Overloaded if api == Api::Messages => 529,
        Overloaded => 503,
        Timeout => 504,
        Server => failure.status.filter(|status| *status >= 500).unwrap_or(500),
        Incomplete | Foreign => 502,
    }
}

/// Returns `type` of an error of the OpenAI APIs.
fn openai_type(failure: &Failure) -> &str {
    use ErrorClass::*;
    match failure.class {
        BadRequest | ContextLength | ContentRefused | Credentials | Permission | NotFound | TooLarge | Conflict => {
            "invalid_request_error"
        }
        Billing => "insufficient_quota",
        RateLimit => failure.kind.as_deref().filter(|kind| *kind != "rate_limit_error").unwrap_or("requests"),
        Timeout => "timeout",
        Overloaded | Server | Incomplete | Foreign => "server_error",
    }
}

/// Returns `code` of an error of the OpenAI APIs.
pub(crate) fn openai_code(failure: &Failure) -> Option<&str> {
    use ErrorClass::*;
    Some(match failure.class {
        ContextLength => "context_length_exceeded",
        ContentRefused => "content_policy_violation",
        Credentials => "invalid_api_key",
        Billing => "insufficient_quota",
        RateLimit => "rate_limit_exceeded",
        Overloaded => "overloaded",
        Incomplete => "incomplete_answer",
        Foreign => "invalid_answer",
        NotFound => failure.code.as_deref().unwrap_or("model_not_found"),
        BadRequest | Permission | Conflict | TooLarge | Timeout | Server => return failure.code.as_deref(),
    })
}

/// Returns `error.code` of a failed response, which is one of a fixed set; Codex knows three more.
pub(crate) fn response_code(failure: &Failure) -> &str {
    use ErrorClass::*;
    match failure.class {
        RateLimit => "rate_limit_exceeded",
        ContextLength => "context_length_exceeded",
        Billing => "insufficient_quota",
        BadRequest | ContentRefused | TooLarge => "invalid_prompt",
        _ => "server_error",
    }
}

/// Returns `error.type` of Messages.
fn messages_type(failure: &Failure) -> &'static str {
    use ErrorClass::*;
    match failure.class {
        BadRequest | ContextLength | ContentRefused => "invalid_request_error",
        Credentials => "authentication_error",
        Permission => "permission_error",
        Billing => "billing_error",
        NotFound => "not_found_error",
        Conflict => "conflict_error",
        TooLarge => "request_too_large",
        RateLimit => "rate_limit_error",
        Overloaded => "overloaded_error",
        Timeout => "timeout_error",
        Server | Incomplete | Foreign => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_has_its_own_event_for_a_stream_that_broke_off() {
        let started = Started { id: "resp_7".into(), model: "m".into(), created: 5, events: 3 };
        let text = |api| {
            let event = write_error_event(api, &Failure::incomplete(), &started, "r1");
            String::from_utf8(event).unwrap()
        };
        let message = Failure::incomplete().message;
        assert_eq!(
            text(Api::Chat),
            format!(
                "data: {{\"error\":{{\"message\":\"{message}\",\"type\":\"server_error\",\"param\":null,\"code\":\"incomplete_answer\"}}}}\n\n"
            )
        );
        assert_eq!(
            text(Api::Messages),
            format!(
                "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"api_error\",\"message\":\"{message}\"}},\"request_id\":\"r1\"}}\n\n"
            )
        );
        let failed = text(Api::Responses);
        assert!(failed.starts_with("event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":3,\"response\":{\"id\":\"resp_7\","), "{failed}");
        assert!(failed.contains("\"status\":\"failed\",\"error\":{\"code\":\"server_error\","), "{failed}");
    }
}

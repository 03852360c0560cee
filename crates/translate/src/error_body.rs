//! Errors in the form of each API.

use crate::error::RequestError;
use crate::hub::{ErrorClass, Failure};
use crate::out::{self, Object};
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

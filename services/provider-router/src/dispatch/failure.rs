//! Failure of an attempt: whether another provider may be tried, and the error that the client receives if none is
//! left.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;
use serde::{Deserialize, de::IgnoredAny};
use signalbox_core::{
    Api,
    masking::Masker,
    openai::{ErrorBody, ProviderError, StreamEvent, provider_error, read_event},
    schema::RequestStatus,
};
use signalbox_translate::{RequestError, hub, write_error, write_request_error};

use crate::{body::ResponseBody, exchange::Exchange, stored_responses::StoredError};

/// Reason why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error("{0}")]
    Transport(#[from] signalbox_upstream::Error),
    #[error("the provider answered with status {status}")]
    Status { status: StatusCode, headers: Box<HeaderMap>, body: Bytes },
    /// Error reported with status 200, as the whole body or as the first event of a stream; some providers do this.
    #[error("the provider reported an error: {}", error.message)]
    Reported { error: Box<ProviderError>, body: Bytes },
    #[error("the provider's answer cannot be used: {reason}")]
    Invalid { reason: String },
    #[error("the provider's answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the provider {provider} is misconfigured: {reason}")]
    Misconfigured { provider: String, reason: String },
    /// The request cannot be expressed in the API of the provider.
    #[error("{0}")]
    Untranslatable(#[from] RequestError),
    /// The request continues an answer that cannot be read.
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("no provider is available")]
    NoCandidate,
}

impl AttemptError {
    /// Removes the provider's credentials, which some providers repeat in their errors.
    pub(super) fn masked(mut self, masker: &Masker) -> Self {
        match &mut self {
            Self::Status { headers, body, .. } => {
                let names: Vec<HeaderName> = headers.keys().cloned().collect();
                for name in names {
                    if headers.get_all(&name).iter().any(|value| masker.contains_secret(value.as_bytes())) {
                        headers.remove(name);
                    }
                }
                mask(body, masker);
            }
            Self::Reported { error, body } => {
                error.message = masker.mask_text(&error.message).into_owned();
                mask(body, masker);
            }
            Self::Invalid { reason } => *reason = masker.mask_text(reason).into_owned(),
            Self::Transport(_)
            | Self::TooLarge { .. }
            | Self::Misconfigured { .. }
            | Self::Untranslatable(_)
            | Self::Stored(_)
            | Self::NoCandidate => {}
        }
        self
    }

    /// Returns the provider's status, or the one named in its error body.
    fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Reported { error, .. } => Some(
                error
                    .status
                    .and_then(|status| StatusCode::from_u16(status).ok())
                    .filter(|status| may_pass(*status))
                    .unwrap_or(StatusCode::BAD_GATEWAY),
            ),
            _ => None,
        }
    }

    /// Returns the status of the provider's response, if it failed because of it.
    pub(super) fn provider_status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }

    /// Returns the stable word for the failure.
    pub(super) fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    /// Returns whether another provider may succeed; it cannot where the request itself is invalid.
    pub(super) fn may_try_next(&self) -> bool {
        self.status().is_none_or(|status| {
            !matches!(status.as_u16(), 400 | 405 | 406 | 410 | 411 | 413 | 414 | 415 | 416 | 417 | 422)
        })
    }

    /// Returns whether the failure counts against the provider's health.
    pub(super) fn is_provider_fault(&self) -> bool {
        match self.status() {
            Some(status) => matches!(status.as_u16(), 401 | 403) || !status.is_client_error(),
            None => !matches!(self, Self::NoCandidate | Self::Untranslatable(_) | Self::Stored(_)),
        }
    }

    /// Builds the response for a client of `api`, after the end of the request has been written to the journal.
    pub(super) async fn into_response(self, mut exchange: Exchange, api: Api) -> Response<ResponseBody> {
        let id = exchange.id().simple().to_string();
        let (status, headers, body, message) = self.client_message(api, &id);
        exchange.head(status.as_u16(), false);
        exchange.answer(&body);
        exchange.finish(RequestStatus::Failed, Some(message)).await;
        response_of(status, headers, body)
    }

    /// Returns status, headers and body for a client of `api`, and the message for the log.
    fn client_message(self, api: Api, id: &str) -> (StatusCode, HeaderMap, Bytes, String) {
        let message = self.to_string();
        let (status, mut headers, body, message) = match (self.status().filter(|status| may_pass(*status)), self) {
            (Some(status), Self::Status { headers, body, .. }) => {
                let said = message_of(&body);
                let body = error_body(api, status, body, said.as_ref(), id);
                (status, *headers, body, said.map_or(message, |error| error.message))
            }
            (Some(status), Self::Reported { error, body }) => {
                let body = error_body(api, status, body, Some(&error), id);
                (status, HeaderMap::new(), body, error.message)
            }
            (_, Self::Untranslatable(error)) => {
                let (status, body) = write_request_error(api, &error, id);
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                (status, HeaderMap::new(), body.into(), message)
            }
            (_, other) => {
                let (status, code) = other.status_and_code();
                let body = match api {
                    Api::Chat | Api::Responses => {
                        ErrorBody::new("upstream_error", code, message.clone()).to_json().into()
                    }
                    Api::Messages => {
                        write_error(api, &hub::Failure::of_status(status.as_u16(), code, message.clone()), id).1.into()
                    }
                };
                (status, HeaderMap::new(), body, message)
            }
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (status, headers, body, message)
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Transport(error) if error.is_timeout() => (StatusCode::GATEWAY_TIMEOUT, error.code()),
            Self::Transport(error) => (StatusCode::BAD_GATEWAY, error.code()),
            Self::Status { status, .. } if status.is_redirection() => (StatusCode::BAD_GATEWAY, "upstream_redirect"),
            Self::Status { .. } | Self::Reported { .. } => (StatusCode::BAD_GATEWAY, "upstream_status"),
            Self::Invalid { .. } => (StatusCode::BAD_GATEWAY, "upstream_invalid_response"),
            Self::TooLarge { .. } => (StatusCode::BAD_GATEWAY, "upstream_too_large"),
            Self::Misconfigured { .. } => (StatusCode::BAD_GATEWAY, "provider_misconfigured"),
            Self::Untranslatable(error) => (StatusCode::BAD_REQUEST, error.code()),
            Self::Stored(StoredError::NotFound { .. }) => (StatusCode::NOT_FOUND, "previous_response_not_found"),
            Self::Stored(StoredError::Unavailable(_)) => (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
            Self::NoCandidate => (StatusCode::SERVICE_UNAVAILABLE, "no_provider"),
        }
    }
}

/// Returns whether a provider's status may be sent to the client unchanged: only 4xx and 5xx.
fn may_pass(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

fn response_of(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::whole(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if status.canonical_reason().is_none() {
        // hyper would write `<none>` as the reason phrase.
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Provider Error"));
    }
    response
}

/// Masks secrets; a body without any stays identical, byte for byte.
fn mask(body: &mut Bytes, masker: &Masker) {
    if let Some(masked) = masker.mask(body) {
        *body = masked.into();
    }
}

/// Returns the error that a provider reports, even inside a choice.
fn message_of(body: &[u8]) -> Option<ProviderError> {
    provider_error(body).or_else(|| match read_event(body) {
        StreamEvent::Error(error) => Some(error),
        _ => None,
    })
}

/// Returns the provider's own body if it has the form of the client's API; otherwise its message in that form, or an
/// error that quotes the first 300 characters of the body.
fn error_body(api: Api, status: StatusCode, body: Bytes, said: Option<&ProviderError>, id: &str) -> Bytes {
    #[derive(Deserialize)]
    struct ErrorShape {
        #[serde(default, rename = "type")]
        kind: Option<String>,
        error: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        #[expect(dead_code, reason = "only its presence is checked")]
        message: IgnoredAny,
    }
    let shape = serde_json::from_slice(&body).ok();
    let is_of_messages = shape.map(|ErrorShape { kind, error: Message { .. } }| kind.as_deref() == Some("error"));
    if is_of_messages == Some(api == Api::Messages) {
        return body;
    }
    if api == Api::Messages || is_of_messages == Some(true) {
        let failure = hub::Failure::read(Some(status.as_u16()), &body);
        let failure = match said {
            Some(_) => failure,
            None => hub::Failure { message: description(status, &body), ..failure },
        };
        return write_error(api, &failure, id).1.into();
    }
    let body = match said {
        Some(said) => ErrorBody { error: said.to_object() },
        None => ErrorBody::new("upstream_error", "upstream_status", description(status, &body)),
    };
    body.to_json().into()
}

/// Describes an error body without a message.
fn description(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let said: String = text.trim().chars().take(300).collect();
    if said.is_empty() {
        format!("the provider answered with status {status} and an empty body")
    } else if said.chars().any(|char| char.is_control() && !char.is_whitespace()) {
        // For example, a body in an unknown compression format.
        format!("the provider answered with status {status} and {} bytes of binary data", body.len())
    } else {
        format!("the provider answered with status {status}: {said}")
    }
}

#[cfg(test)]
mod tests {
    use signalbox_core::secret::MASK;

    use super::*;

    fn refused(body: &'static [u8]) -> AttemptError {
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static("request-id"), HeaderValue::from_static("key sk-canary-1")),
            (HeaderName::from_static("retry-after"), HeaderValue::from_static("5")),
        ]);
        AttemptError::Status {
            status: StatusCode::UNAUTHORIZED,
            headers: Box::new(headers),
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn a_key_echoed_by_a_provider_is_masked() {
        let masker = Masker::new(["sk-canary-1".to_owned(), "second-canary".to_owned()]);
        let body = br#"{"error":{"message":"no: sk-canary-1, sk\u002dcanary-1 and second-canary"}}"#;
        let AttemptError::Status { headers, body, .. } = refused(body).masked(&masker) else {
            panic!("another failure")
        };
        assert_eq!(body, format!(r#"{{"error":{{"message":"no: {MASK}, {MASK} and {MASK}"}}}}"#));
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["retry-after"]);
        let invalid = AttemptError::Invalid { reason: "odd: sk-canary-1".into() }.masked(&masker);
        assert!(matches!(invalid, AttemptError::Invalid { reason } if reason == format!("odd: {MASK}")));
        let body = Bytes::from_static(br#"{"error":"sk-canary-1"}"#);
        let error = Box::new(provider_error(&body).unwrap());
        let reported = AttemptError::Reported { error, body }.masked(&masker);
        assert!(!format!("{reported:?} {reported}").contains("canary"), "{reported:?}");
    }

    #[test]
    fn other_errors_are_passed_on_unchanged() {
        let masker = Masker::new(["sk-canary-2".to_owned()]);
        let AttemptError::Status { headers, body, .. } = refused(b"\xff sk-other").masked(&masker) else {
            panic!("another failure")
        };
        assert_eq!((headers.len(), &*body), (2, &b"\xff sk-other"[..]));
    }

    #[test]
    fn the_status_of_an_error_with_status_200_is_taken_from_its_body() {
        for (body, status, another) in [
            (r#"{"error":{"message":"slow down","code":429}}"#, 429, true),
            (r#"{"error":{"message":"too long","code":400}}"#, 400, false),
            (r#"{"error":{"message":"pay","code":402}}"#, 402, true),
            (r#"{"error":{"message":"odd","code":200}}"#, 502, true),
            (r#"{"error":{"message":"odd","code":999}}"#, 502, true),
            (r#"{"error":"plain"}"#, 502, true),
        ] {
            let body = Bytes::from(body);
            let failure =
                AttemptError::Reported { error: Box::new(provider_error(&body).unwrap()), body: body.clone() };
            assert_eq!(failure.status().unwrap().as_u16(), status, "{body:?}");
            assert_eq!(failure.may_try_next(), another, "{body:?}");
        }
    }

    #[test]
    fn errors_of_any_shape_are_converted_to_the_openai_shape() {
        let own = Bytes::from_static(br#"{"error":{"message":"own","x":1}}"#);
        assert_eq!(
            error_body(Api::Chat, StatusCode::BAD_REQUEST, own.clone(), provider_error(&own).as_ref(), "1"),
            own
        );
        for body in [
            r#"{"message":"words"}"#,
            r#"{"error":"words"}"#,
            r#"[{"error":{"message":"words"}}]"#,
            r#"{"detail":"words"}"#,
            r#"{"choices":[{"index":0,"finish_reason":"error","error":{"message":"words"}}]}"#,
        ] {
            let body = Bytes::from(body);
            let shown = error_body(Api::Chat, StatusCode::BAD_REQUEST, body.clone(), message_of(&body).as_ref(), "1");
            let shown: ErrorBody = serde_json::from_slice(&shown).unwrap();
            assert_eq!(shown.error.message, "words", "{body:?}");
        }
        let shown = error_body(Api::Chat, StatusCode::BAD_GATEWAY, Bytes::from_static(b"<html>busy"), None, "1");
        assert!(String::from_utf8_lossy(&shown).contains("502 Bad Gateway: <html>busy"));
    }

    #[test]
    fn errors_are_converted_between_the_apis() {
        let of_messages = Bytes::from_static(
            br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"req_1"}"#,
        );
        let of_chat =
            Bytes::from_static(br#"{"error":{"message":"slow","type":"requests","code":"rate_limit_exceeded"}}"#);
        let shown = |api, status: u16, body: &Bytes| {
            let status = StatusCode::from_u16(status).unwrap();
            String::from_utf8(error_body(api, status, body.clone(), message_of(body).as_ref(), "id").to_vec()).unwrap()
        };
        // The client's own form passes unchanged.
        assert_eq!(shown(Api::Messages, 529, &of_messages), String::from_utf8_lossy(&of_messages));
        assert_eq!(shown(Api::Responses, 429, &of_chat), String::from_utf8_lossy(&of_chat));
        let body = shown(Api::Chat, 529, &of_messages);
        assert!(body.contains(r#""code":"overloaded""#) && body.contains("busy"), "{body}");
        assert_eq!(
            shown(Api::Messages, 429, &of_chat),
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"},"request_id":"id"}"#
        );
        let body = shown(Api::Messages, 502, &Bytes::from_static(b"<html>busy"));
        assert!(body.contains("502 Bad Gateway: <html>busy") && body.contains("api_error"), "{body}");
        let timeout = AttemptError::Misconfigured { provider: "p".into(), reason: "r".into() };
        let (status, _, body, _) = timeout.client_message(Api::Messages, "id");
        assert!(status == 502 && body.starts_with(br#"{"type":"error","error":{"type":"api_error""#), "{body:?}");
    }

    #[test]
    fn binary_errors_are_described_by_their_size() {
        let shown =
            error_body(Api::Chat, StatusCode::BAD_GATEWAY, Bytes::from_static(b"\x1f\x9d\x90\x00 noise"), None, "1");
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains("10 bytes of binary data") && !shown.contains("noise"), "{shown}");
        // Latin-1 counts as text.
        let shown = error_body(Api::Chat, StatusCode::BAD_GATEWAY, Bytes::from_static(b"gest\xf6rt"), None, "1");
        assert!(String::from_utf8_lossy(&shown).contains("gest\u{fffd}rt"));
    }

    #[test]
    fn an_invalid_status_becomes_502() {
        for (from, to) in [
            (400, 400),
            (418, 418),
            (429, 429),
            (499, 499),
            (500, 500),
            (529, 529),
            (599, 599),
            (600, 502),
            (999, 502),
            (101, 502),
            (304, 502),
            (307, 502),
        ] {
            let status = StatusCode::from_u16(from).unwrap();
            let failure = AttemptError::Status { status, headers: Box::default(), body: Bytes::new() };
            assert_eq!(failure.client_message(Api::Chat, "1").0, to, "{from}");
        }
    }

    #[test]
    fn an_unregistered_status_has_a_reason_phrase() {
        for (status, reason) in [(499, true), (529, true), (599, true), (404, false), (502, false)] {
            let response = response_of(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), Bytes::new());
            let phrase = response.extensions().get::<ReasonPhrase>();
            assert_eq!(phrase.map(ReasonPhrase::as_bytes), reason.then_some(&b"Provider Error"[..]), "{status}");
        }
    }
}

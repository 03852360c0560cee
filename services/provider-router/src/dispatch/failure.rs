//! An attempt that failed: whether another provider may be tried, and what the client is told if none is left.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;
use memchr::memmem;
use serde::{Deserialize, de::IgnoredAny};
use signalbox_core::{
    openai::{Chunk, ErrorBody},
    schema::RequestStatus,
    secret::MASK,
};

use crate::{body::ResponseBody, exchange::Exchange};

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Transport(#[from] signalbox_upstream::Error),
    #[error("the provider answered with status {status}")]
    Status { status: StatusCode, headers: Box<HeaderMap>, body: Bytes },
    #[error("the provider's answer cannot be used: {reason}")]
    Invalid { reason: String, body: Bytes },
    #[error("the provider's answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the provider {provider} is misconfigured: {reason}")]
    Misconfigured { provider: String, reason: String },
    #[error("there is no provider to ask")]
    Nobody,
}

impl Failure {
    /// An answer that makes no sense.
    pub(super) fn invalid(reason: String, body: Bytes) -> Self {
        Self::Invalid { reason, body }
    }

    /// There was nobody to ask.
    pub(super) fn nobody() -> Self {
        Self::Nobody
    }

    /// Some providers report errors with status 200; a few put the status they mean into `code`.
    pub(super) fn of_body(body: &Bytes) -> Option<Self> {
        let error = serde_json::from_slice::<Chunk>(body).ok()?.error?;
        let meant = error.code.as_deref().and_then(|code| code.parse::<StatusCode>().ok());
        let status = meant.filter(|status| status.is_client_error() || status.is_server_error());
        let headers = Box::new(HeaderMap::new());
        Some(Self::Status { status: status.unwrap_or(StatusCode::BAD_GATEWAY), headers, body: body.clone() })
    }

    /// The same without these texts. Some providers repeat the key they refuse; it belongs to the user, not to the client.
    pub(super) fn without(mut self, secrets: &[String]) -> Self {
        match &mut self {
            Self::Status { headers, body, .. } => {
                let names: Vec<HeaderName> = headers.keys().cloned().collect();
                for name in names {
                    if headers.get_all(&name).iter().any(|value| holds(value.as_bytes(), secrets)) {
                        headers.remove(name);
                    }
                }
                mask(body, secrets);
            }
            Self::Invalid { body, .. } => mask(body, secrets),
            Self::Transport(_) | Self::TooLarge { .. } | Self::Misconfigured { .. } | Self::Nobody => {}
        }
        self
    }

    /// Whether another provider may do better: not when the request itself is at fault.
    pub(super) fn allows_another(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                !matches!(status.as_u16(), 400 | 405 | 406 | 410 | 411 | 413 | 414 | 415 | 416 | 417 | 422)
            }
            _ => true,
        }
    }

    /// Whether it says something about the provider's health.
    pub(super) fn blames_provider(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 401 | 403) || !status.is_client_error(),
            Self::Nobody => false,
            _ => true,
        }
    }

    /// Returns what the client is told. Writes the end of the request first.
    pub(super) async fn into_response(self, mut exchange: Exchange) -> Response<ResponseBody> {
        let message = self.to_string();
        let (status, mut headers, body, message) = match self {
            Self::Status { status, headers, body } if may_pass(status) => {
                let body = error_body(status, body);
                let said = serde_json::from_slice::<Chunk>(&body).ok().and_then(|chunk| chunk.error);
                let message = said.map_or(message, |error| error.message);
                (status, *headers, body, message)
            }
            other => {
                let (status, code) = other.status_and_code();
                let body = ErrorBody::new("upstream_error", code, message.clone()).to_json().into();
                (status, HeaderMap::new(), body, message)
            }
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        exchange.head(status.as_u16(), false);
        exchange.answer(&body);
        exchange.finish(RequestStatus::Failed, Some(message)).await;
        let mut response = Response::new(ResponseBody::whole(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if status.canonical_reason().is_none() {
            // hyper would write `<none>`.
            response.extensions_mut().insert(ReasonPhrase::from_static(b"Provider Error"));
        }
        response
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Transport(error) if error.code() == "upstream_timeout" => (StatusCode::GATEWAY_TIMEOUT, error.code()),
            Self::Transport(error) => (StatusCode::BAD_GATEWAY, error.code()),
            Self::Status { status, .. } if status.is_redirection() => (StatusCode::BAD_GATEWAY, "upstream_redirect"),
            Self::Status { .. } => (StatusCode::BAD_GATEWAY, "upstream_status"),
            Self::Invalid { .. } => (StatusCode::BAD_GATEWAY, "upstream_invalid_response"),
            Self::TooLarge { .. } => (StatusCode::BAD_GATEWAY, "upstream_too_large"),
            Self::Misconfigured { .. } => (StatusCode::BAD_GATEWAY, "provider_misconfigured"),
            Self::Nobody => (StatusCode::SERVICE_UNAVAILABLE, "no_provider"),
        }
    }
}

/// Whether a provider's status may go to the client as it is: an error, of those that HTTP has.
fn may_pass(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

fn holds(text: &[u8], secrets: &[String]) -> bool {
    secrets.iter().any(|secret| memmem::find(text, secret.as_bytes()).is_some())
}

/// Leaves a body without secrets as it is, byte by byte.
fn mask(body: &mut Bytes, secrets: &[String]) {
    if holds(body, secrets) {
        let text = String::from_utf8_lossy(body).into_owned();
        *body = secrets.iter().fold(text, |text, secret| text.replace(secret, MASK)).into();
    }
}

/// The provider's own error if it is shaped like one of OpenAI's; else one that quotes it.
fn error_body(status: StatusCode, body: Bytes) -> Bytes {
    #[derive(Deserialize)]
    struct OpenAiError {
        error: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        #[expect(dead_code, reason = "its presence is the point")]
        message: IgnoredAny,
    }
    if serde_json::from_slice::<OpenAiError>(&body).is_ok_and(|shape| matches!(shape.error, Message { .. })) {
        return body;
    }
    let said = String::from_utf8_lossy(&body);
    let said: String = said.trim().chars().take(300).collect();
    let message = if said.is_empty() {
        format!("the provider answered with status {status} and said nothing")
    } else {
        format!("the provider answered with status {status}: {said}")
    };
    ErrorBody::new("upstream_error", "upstream_status", message).to_json().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &'static [u8]) -> Failure {
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static("x-echo"), HeaderValue::from_static("key sk-canary-1")),
            (HeaderName::from_static("retry-after"), HeaderValue::from_static("5")),
        ]);
        Failure::Status { status: StatusCode::UNAUTHORIZED, headers: Box::new(headers), body: Bytes::from_static(body) }
    }

    #[test]
    fn a_key_that_a_provider_repeats_stays_here() {
        let secrets = ["sk-canary-1".to_owned(), "second-canary".to_owned()];
        let body = br#"{"error":{"message":"no: sk-canary-1, sk-canary-1 and second-canary"}}"#;
        let Failure::Status { headers, body, .. } = refused(body).without(&secrets) else { panic!("another failure") };
        assert_eq!(body, format!(r#"{{"error":{{"message":"no: {MASK}, {MASK} and {MASK}"}}}}"#));
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["retry-after"]);
        let invalid = Failure::invalid("it is odd".into(), Bytes::from_static(b"sk-canary-1")).without(&secrets);
        assert!(matches!(invalid, Failure::Invalid { body, .. } if body == MASK));
    }

    #[test]
    fn everything_else_is_passed_on_byte_by_byte() {
        let Failure::Status { headers, body, .. } = refused(b"\xff sk-other").without(&["sk-canary-2".to_owned()])
        else {
            panic!("another failure")
        };
        assert_eq!((headers.len(), &*body), (2, &b"\xff sk-other"[..]));
    }
}

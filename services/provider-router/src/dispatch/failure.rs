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
    schema::{GuardRules, RequestStatus},
};
use signalbox_translate::{RequestError, hub, write_error, write_request_error};
use tokio::time::Duration;

use crate::{
    body::ResponseBody,
    body_memory::MemoryFull,
    exchange::{Exchange, FailedAttempt},
    guard::{self, Refused},
    ledger::{Denial, seconds},
    stored_responses::StoredError,
};

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
    /// There is no memory to hold the stream for the guardrails.
    #[error(transparent)]
    Memory(#[from] MemoryFull),
    #[error("the provider {provider} is misconfigured: {reason}")]
    Misconfigured { provider: String, reason: String },
    /// The request cannot be expressed in the API of the provider.
    #[error("{0}")]
    Untranslatable(#[from] RequestError),
    /// The request continues an answer that cannot be read.
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("the provider {provider} has no /v1{path}; use a model of a provider that has it")]
    NoRoute { provider: String, path: &'static str },
    /// A guardrail refused the answer.
    #[error(transparent)]
    Guarded(#[from] Refused),
    /// A stream has no content in time.
    #[error("the provider sent no first token within {} s; raise deadlines.first_token_ms of the route, or ask another model", after.as_secs_f64())]
    FirstToken { after: Duration },
    #[error("the router is shutting down before the provider has answered; send the request again")]
    ShuttingDown,
    /// An operator has cancelled the request.
    #[error("the request was cancelled by an operator")]
    Cancelled,
    #[error("no provider is available")]
    NoCandidate,
    /// A limit of the provider, which the gateway keeps itself, is reached.
    #[error(transparent)]
    AtLimit(#[from] Denial),
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
                for word in [&mut error.code, &mut error.kind, &mut error.param].into_iter().flatten() {
                    *word = masker.mask_text(word).into_owned();
                }
                mask(body, masker);
            }
            Self::Invalid { reason } => *reason = masker.mask_text(reason).into_owned(),
            Self::Transport(_)
            | Self::TooLarge { .. }
            | Self::Memory(_)
            | Self::Misconfigured { .. }
            | Self::Untranslatable(_)
            | Self::Stored(_)
            | Self::NoRoute { .. }
            | Self::Guarded(_)
            | Self::FirstToken { .. }
            | Self::ShuttingDown
            | Self::Cancelled
            | Self::NoCandidate
            | Self::AtLimit(_) => {}
        }
        self
    }

    /// Removes what the rules for answers find in the words of the provider.
    pub(super) fn guarded(mut self, rules: &GuardRules) -> Self {
        let redact = |text: &mut String| {
            if let Some(redacted) = guard::error_text(rules, text) {
                *text = redacted;
            }
        };
        match &mut self {
            Self::Status { headers, body, .. } => {
                let is_found = |value: &HeaderValue| {
                    guard::error_text(rules, &String::from_utf8_lossy(value.as_bytes())).is_some()
                };
                let found = headers.iter().filter(|(_, value)| is_found(value)).map(|(name, _)| name.clone());
                for name in found.collect::<Vec<_>>() {
                    headers.remove(name);
                }
                redact_body(body, rules);
            }
            Self::Reported { error, body } => {
                redact(&mut error.message);
                [&mut error.code, &mut error.kind, &mut error.param].into_iter().flatten().for_each(redact);
                redact_body(body, rules);
            }
            Self::Invalid { reason } => redact(reason),
            // These have no words of the provider.
            _ => {}
        }
        self
    }

    /// Returns the provider's status, or the one named in its error body.
    pub(super) fn status(&self) -> Option<StatusCode> {
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

    /// Returns whether the provider refuses a stream because it is asked for its token counts.
    pub(super) fn refuses_usage(&self) -> bool {
        let names = |body: &[u8]| {
            let has = |word: &str| memchr::memmem::find(body, word.as_bytes()).is_some();
            has("stream_options") || has("include_usage")
        };
        match self {
            Self::Status { status, body, .. } => matches!(status.as_u16(), 400 | 422) && names(body),
            Self::Reported { body, .. } => names(body),
            _ => false,
        }
    }

    /// Returns the stable word for the failure.
    pub(super) fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    /// Returns the record of the failure; `why_next` says what follows, or why nothing does.
    pub(super) fn recorded(&self, why_next: String) -> FailedAttempt {
        FailedAttempt {
            status: self.provider_status(),
            code: self.code(),
            message: self.to_string(),
            counts: self.fault().rule().counts,
            retry_after: self.retry_after(),
            why_next,
        }
    }

    /// Returns whether another provider may succeed; it cannot where the request itself is invalid.
    #[cfg(test)]
    pub(super) fn may_try_next(&self) -> bool {
        self.fault().rule().next != crate::fault::NextTarget::None
    }

    /// Returns whether the request is likely to succeed in a moment.
    const fn is_momentary(&self) -> bool {
        matches!(
            self,
            Self::ShuttingDown
                | Self::Memory(_)
                | Self::Stored(StoredError::Unavailable(_) | StoredError::NotLoaded(_))
        )
    }

    /// Returns whether the failure counts against the provider's health.
    pub(super) fn is_provider_fault(&self) -> bool {
        match self.status() {
            Some(status) => matches!(status.as_u16(), 401 | 403) || !status.is_client_error(),
            None => !matches!(
                self,
                Self::NoCandidate
                    | Self::AtLimit(_)
                    | Self::Memory(_)
                    | Self::ShuttingDown
                    | Self::Cancelled
                    | Self::NoRoute { .. }
                    | Self::Guarded(_)
                    | Self::Untranslatable(_)
                    | Self::Stored(_)
            ),
        }
    }

    /// Builds the response for a client of `api`, after the end of the request has been written to the journal.
    pub(super) async fn into_response(self, mut exchange: Exchange, api: Api) -> Response<ResponseBody> {
        let id = exchange.id().simple().to_string();
        let logged = if matches!(self, Self::Cancelled) { RequestStatus::Cancelled } else { RequestStatus::Failed };
        let (status, headers, body, message) = self.client_message(api, &id);
        exchange.head(status.as_u16(), false);
        exchange.answer(&body);
        exchange.finish(logged, Some(message)).await;
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
                    Api::Chat | Api::Responses => ErrorBody::new(other.kind(), code, message.clone()).to_json().into(),
                    Api::Messages => {
                        write_error(api, &hub::Failure::of_status(status.as_u16(), code, message.clone()), id).1.into()
                    }
                };
                let mut headers = HeaderMap::new();
                if let Some(wait) = other.retry_after() {
                    headers.insert(header::RETRY_AFTER, seconds(wait).into());
                }
                if other.is_momentary() {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                }
                (status, headers, body, message)
            }
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (status, headers, body, message)
    }

    /// Returns the `type` of an error of the gateway's own.
    const fn kind(&self) -> &'static str {
        match self {
            Self::NoRoute { .. }
            | Self::Cancelled
            | Self::Stored(StoredError::NotFound { .. })
            | Self::Guarded(Refused::Content { .. }) => "invalid_request_error",
            Self::Guarded(Refused::Unavailable { .. }) => "server_error",
            Self::ShuttingDown | Self::Stored(_) => "server_error",
            Self::AtLimit(_) => "rate_limit_error",
            Self::Memory(_) => "overloaded_error",
            _ => "upstream_error",
        }
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Transport(error) if error.is_timeout() => (StatusCode::GATEWAY_TIMEOUT, error.code()),
            Self::Transport(error) => (StatusCode::BAD_GATEWAY, error.code()),
            Self::Status { status, .. } if status.is_redirection() => (StatusCode::BAD_GATEWAY, "upstream_redirect"),
            Self::Status { .. } | Self::Reported { .. } => (StatusCode::BAD_GATEWAY, "upstream_status"),
            Self::Invalid { .. } => (StatusCode::BAD_GATEWAY, "upstream_invalid_response"),
            Self::TooLarge { .. } => (StatusCode::BAD_GATEWAY, "upstream_too_large"),
            Self::Memory(_) => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::Misconfigured { .. } => (StatusCode::BAD_GATEWAY, "provider_misconfigured"),
            Self::Untranslatable(error) => (StatusCode::BAD_REQUEST, error.code()),
            Self::Stored(StoredError::NotFound { .. }) => (StatusCode::NOT_FOUND, "previous_response_not_found"),
            Self::Stored(StoredError::Unavailable(_)) => (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
            Self::Stored(StoredError::NotLoaded(_)) => (StatusCode::SERVICE_UNAVAILABLE, "log_behind"),
            Self::NoRoute { .. } => (StatusCode::BAD_REQUEST, "route_not_supported"),
            Self::Guarded(refused) if refused.is_content() => (StatusCode::BAD_REQUEST, refused.code()),
            Self::Guarded(refused) => (StatusCode::SERVICE_UNAVAILABLE, refused.code()),
            Self::FirstToken { .. } => (StatusCode::GATEWAY_TIMEOUT, "upstream_first_token_timeout"),
            Self::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
            Self::Cancelled => (cancelled_status(), "request_cancelled"),
            Self::NoCandidate => (StatusCode::SERVICE_UNAVAILABLE, "no_provider"),
            Self::AtLimit(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
        }
    }
}

/// Returns 499, the status for a request that was cancelled: SDKs do not repeat such a request, as they do after 409 or
/// 503.
fn cancelled_status() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
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
        let phrase: &[u8] = if status == cancelled_status() { b"Request Cancelled" } else { b"Provider Error" };
        response.extensions_mut().insert(ReasonPhrase::from_static(phrase));
    }
    response
}

/// Masks secrets; a body without any stays identical, byte for byte.
fn mask(body: &mut Bytes, masker: &Masker) {
    if let Some(masked) = masker.mask(body) {
        *body = masked.into();
    }
}

fn redact_body(body: &mut Bytes, rules: &GuardRules) {
    if let Some(redacted) = guard::error_body(rules, body) {
        *body = redacted;
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
            Some(said) => hub::Failure { message: said.message.clone(), ..failure },
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
mod tests;

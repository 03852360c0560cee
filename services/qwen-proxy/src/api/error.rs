//! Errors of the API in OpenAI's format, and their mapping to statuses.
//!
//! A handler returns the bare error, which `endpoint.rs` reports and turns into a response.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use serde_json::{Value, json};
use signalbox_daemon::{
    BodyError, Denied, KeptTexts, Refusal, RequestSigner, admin, host_origin_guard, trusted_request,
};

use crate::{convert::Invalid, credentials::NoLogin, log_access::LogDenied, model_cache::NoModels, qwen::Failure};

/// A rejected request, or a response that broke off.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The client key is missing or wrong.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The host or the origin is not allowed.
    #[error(transparent)]
    HostOrigin(#[from] host_origin_guard::Forbidden),
    /// A shutdown request without the necessary authorisation.
    #[error(transparent)]
    NotLocal(#[from] admin::ShutdownDenied),
    /// The request log is closed to the caller.
    #[error(transparent)]
    LogDenied(LogDenied),
    /// There is no usable login at chat.qwen.ai.
    #[error(transparent)]
    NoLogin(#[from] NoLogin),
    /// The request is invalid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The call to chat.qwen.ai failed.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// chat.qwen.ai broke off its response.
    #[error("{0}")]
    Stream(Failure),
    /// The list of models is not available.
    #[error("Failed to fetch models from Qwen API: {0}")]
    Models(Failure),
    /// There is no such model.
    #[error("Model '{0}' not found")]
    UnknownModel(String),
    /// The request has passed through too many services.
    #[error("the request loops: the `baseURL` of a provider leads back to this service; change it")]
    Loop,
    /// The maximum number of requests is in flight.
    #[error("too many requests are in flight; try again in a moment, or raise `api.max_in_flight`")]
    Overloaded,
    /// The service is shutting down.
    #[error("the service is shutting down, and the answer is incomplete; send the request again")]
    ShuttingDown,
    /// The body cannot be collected.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is compressed.
    #[error("request bodies must not be compressed (Content-Encoding: {0}); send the body as it is")]
    Encoded(String),
    /// A query or path parameter is invalid.
    #[error("{message}")]
    Parameter {
        /// Stable error code.
        code: &'static str,
        /// One sentence that describes the error.
        message: String,
    },
    /// The log has no such entry, or the database is not available.
    #[error(transparent)]
    Store(#[from] signalbox_store::Error),
    /// There is no such route.
    #[error("Route not found: {0} {1}")]
    NotFound(Method, String),
}

/// The request that caused an error, for its report.
#[derive(Clone, Debug)]
pub struct ReportedRequest {
    /// Method, such as `POST`.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// The `User-Agent` of the client.
    pub user_agent: Option<String>,
    /// Body of the request.
    pub body: Bytes,
    /// Texts that may be logged, according to the service that sent it.
    pub kept: KeptTexts,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::HostOrigin(forbidden) => forbidden.into(),
            Refusal::Key(denied) => denied.into(),
        }
    }
}

impl From<LogDenied> for ApiError {
    fn from(denied: LogDenied) -> Self {
        match denied {
            LogDenied::TooMany(denied) => denied.into(),
            denied => Self::LogDenied(denied),
        }
    }
}

impl From<NoModels> for ApiError {
    fn from(error: NoModels) -> Self {
        match error {
            NoModels::NoLogin(error) => Self::NoLogin(error),
            NoModels::Failure(failure) => Self::Models(failure),
        }
    }
}

const REQUEST: &str = "invalid_request_error";

// === impl ApiError ===

impl ApiError {
    /// Returns whether the message may quote the request or the answer.
    #[must_use]
    pub const fn may_quote(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Failure(_) | Self::Stream(_))
    }

    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Denied(denied) => denied.status(),
            Self::HostOrigin(refused) => refused.status(),
            Self::NotLocal(refused) => refused.status(),
            Self::LogDenied(LogDenied::NoToken(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::LogDenied(_) => StatusCode::UNAUTHORIZED,
            Self::NoLogin(NoLogin::CoolingDown(_)) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoLogin(_) => StatusCode::UNAUTHORIZED,
            Self::Invalid(_) | Self::Parameter { .. } => StatusCode::BAD_REQUEST,
            Self::Failure(failure) | Self::Stream(failure) => failure.status(),
            // Keep the status of a login failure, so that the client can tell that the login has to be renewed.
            Self::Models(failure) if failure.requires_new_login() => failure.status(),
            Self::Models(_) => StatusCode::BAD_GATEWAY,
            Self::Body(error) => error.status(),
            Self::Encoded(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnknownModel(_) | Self::NotFound(..) => StatusCode::NOT_FOUND,
            Self::Store(signalbox_store::Error::NotFound { .. }) => StatusCode::NOT_FOUND,
            // A path or query value that cannot occur in a row, such as one with U+0000.
            Self::Store(signalbox_store::Error::Invalid(_)) => StatusCode::BAD_REQUEST,
            Self::Store(error) if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::ShuttingDown | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns OpenAI's error type.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.kind(),
            Self::HostOrigin(refused) => refused.kind(),
            Self::NoLogin(NoLogin::CoolingDown(_)) => "rate_limit_error",
            Self::LogDenied(LogDenied::NoToken(_)) => "server_error",
            Self::LogDenied(_) | Self::NoLogin(_) => "authentication_error",
            Self::Failure(failure) => failure.kind(),
            Self::Body(error) => error.kind(),
            Self::Stream(_) | Self::ShuttingDown => "stream_error",
            Self::Models(failure) if failure.requires_new_login() => failure.kind(),
            Self::Overloaded => "overloaded_error",
            Self::Store(signalbox_store::Error::NotFound { .. }) => "not_found_error",
            Self::Store(signalbox_store::Error::Invalid(_)) => REQUEST,
            Self::Models(_) | Self::Store(_) => "api_error",
            _ => REQUEST,
        }
    }

    /// Returns the stable error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::HostOrigin(refused) => refused.code(),
            Self::NotLocal(refused) => refused.code(),
            Self::LogDenied(LogDenied::NoToken(_)) => "control_token_unreadable",
            Self::LogDenied(_) => "invalid_control_token",
            Self::NoLogin(NoLogin::Missing | NoLogin::Expired) => "missing_credentials",
            Self::NoLogin(NoLogin::Unreadable(_)) => "unreadable_credentials",
            Self::NoLogin(NoLogin::CoolingDown(_)) => "rate_limit_exceeded",
            Self::Invalid(invalid) => invalid.code,
            Self::Failure(failure) | Self::Stream(failure) => failure.code(),
            Self::Models(failure) if failure.requires_new_login() => failure.code(),
            Self::Models(_) => "qwen_api_error",
            Self::ShuttingDown => "shutting_down",
            Self::Body(error) => error.code(),
            Self::Encoded(_) => "unsupported_content_encoding",
            Self::Parameter { code, .. } => code,
            Self::UnknownModel(_) | Self::NotFound(..) => "not_found",
            Self::Loop => "loop_detected",
            Self::Overloaded => "overloaded",
            Self::Store(signalbox_store::Error::NotFound { entity }) => match *entity {
                "session" => "session_not_found",
                "request" => "request_not_found",
                "response" => "response_not_found",
                _ => "not_found",
            },
            Self::Store(signalbox_store::Error::Invalid(_)) => "invalid_value",
            Self::Store(error) if error.is_transient() => "database_unavailable",
            Self::Store(_) => "internal_error",
        }
    }

    /// Returns the body of the response, with the id of the report if there is one.
    #[must_use]
    pub fn body(&self, error_id: Option<&str>) -> String {
        let param = match self {
            Self::Invalid(invalid) => invalid.param.as_deref(),
            _ => None,
        };
        let mut error = json!({"message": self.to_string(), "type": self.kind(), "param": param, "code": self.code()});
        if let (Some(error_id), Value::Object(fields)) = (error_id, &mut error) {
            fields.insert("error_id".to_owned(), error_id.into());
        }
        json!({"error": error}).to_string()
    }

    /// Returns the error class for the report.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Stream(_) | Self::ShuttingDown => "stream_error",
            Self::Failure(_) | Self::Models(_) => "api_error",
            Self::Invalid(_) | Self::Parameter { .. } | Self::Store(signalbox_store::Error::Invalid(_)) => {
                "validation_error"
            }
            Self::Store(signalbox_store::Error::NotFound { .. }) => "http_error",
            Self::Store(_) => "database_error",
            _ => "http_error",
        }
    }

    /// Returns `true` if the error should be reported. A flood of refused requests must not cause a flood of writes.
    #[must_use]
    pub const fn is_reported(&self) -> bool {
        !matches!(self, Self::Overloaded | Self::Denied(_) | Self::LogDenied(_))
    }

    /// Returns the severity for the report.
    #[must_use]
    pub fn severity(&self) -> &'static str {
        match self {
            Self::Failure(failure) | Self::Models(failure) if failure.requires_new_login() => "critical",
            _ if self.status().is_server_error() => "critical",
            Self::Stream(_) => "error",
            _ => "warning",
        }
    }

    /// Returns the seconds after which the same request may succeed.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::NoLogin(NoLogin::CoolingDown(rest)) => Some(rest.as_secs()),
            Self::Failure(failure) | Self::Models(failure) => failure.retry_after().map(|wait| wait.as_secs()),
            Self::Denied(denied) => denied.retry_after(),
            Self::ShuttingDown | Self::Overloaded => Some(1),
            Self::Store(error) if error.is_transient() => Some(1),
            _ => None,
        }
    }

    /// Returns a response with this [`Self::body`].
    #[must_use]
    pub fn response(&self, body: String) -> Response {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if matches!(self, Self::Denied(Denied::Unknown) | Self::LogDenied(LogDenied::Unauthorized)) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl ReportedRequest {
    /// Describes the request with this head and body. `signer` verifies the header in which provider-router says which
    /// texts may be logged.
    #[must_use]
    pub fn of(head: &Parts, body: Bytes, signer: &RequestSigner) -> Self {
        let user_agent = head.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            user_agent: user_agent.map(str::to_owned),
            body,
            kept: trusted_request(&head.headers, signer).map_or(KeptTexts::ALL, |trusted| trusted.kept),
        }
    }
}

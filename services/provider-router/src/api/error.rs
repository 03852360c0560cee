//! Errors that occur before a provider is called, in OpenAI's format. Only this module maps them to statuses and codes.

use axum::{extract::rejection::QueryRejection, response::IntoResponse};
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use signalbox_core::openai::ErrorBody;
use signalbox_daemon::{BodyError, Denied, Refusal, admin, host_origin_guard};

use crate::{
    body::ResponseBody, catalog::CatalogUnavailable, envelope::EnvelopeError, journal::JournalUnavailable,
    management::refused::ManagementError, route::RouteError,
};

/// Reason why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The `Host` header is for another server, or the `Origin` is not allowed.
    #[error(transparent)]
    HostOrigin(#[from] host_origin_guard::Forbidden),
    /// The client key is missing or wrong, or too many wrong keys came from the client's address.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A shutdown request that is not authorised.
    #[error(transparent)]
    NotLocal(#[from] admin::ShutdownDenied),
    /// The query is invalid.
    #[error("{0}")]
    Query(#[from] QueryRejection),
    /// The body is not a valid chat request.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// No provider serves the model.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The body cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is compressed.
    #[error("request bodies must not be compressed (Content-Encoding: {0})")]
    Encoded(String),
    /// The request has passed through too many routers.
    #[error("the request loops: the `baseURL` of a provider leads back to this router")]
    Loop,
    /// The limit of requests in flight is reached.
    #[error("the router is at its limit of requests in flight; try again in a moment")]
    Overloaded,
    /// The request cannot be logged, and `journal.on_failure` is `refuse`.
    #[error(transparent)]
    Unlogged(#[from] JournalUnavailable),
    /// The named provider does not exist, or is disabled.
    #[error("there is no enabled provider `{0}`")]
    UnknownProvider(String),
    /// The named provider cannot be asked.
    #[error("the request to the provider `{provider}` failed: {reason}")]
    Provider {
        /// Id of the provider.
        provider: String,
        /// Reason of the failure.
        reason: String,
    },
    /// The named provider is disabled.
    #[error("the provider `{0}` is disabled")]
    ProviderDisabled(String),
    /// The database, which is needed for the answer, is away.
    #[error("the database is unavailable: {0}")]
    DatabaseUnavailable(#[from] CatalogUnavailable),
    /// A management request that is refused.
    #[error(transparent)]
    Management(#[from] ManagementError),
    /// No route matches the path.
    #[error("no route for {0} {1}")]
    NotFound(Method, String),
    /// The route does not support the method.
    #[error("{0} is not allowed on {1}")]
    MethodNotAllowed(Method, String),
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::HostOrigin(forbidden) => forbidden.into(),
            Refusal::Key(denied) => denied.into(),
        }
    }
}

impl ApiError {
    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::HostOrigin(refused) => refused.status(),
            Self::Denied(denied) => denied.status(),
            Self::NotLocal(refused) => refused.status(),
            Self::Management(refused) => refused.status(),
            Self::Query(_)
            | Self::Envelope(_)
            | Self::Route(RouteError::MissingModel(_))
            | Self::ProviderDisabled(_) => StatusCode::BAD_REQUEST,
            Self::Route(RouteError::UnknownModel(_)) | Self::UnknownProvider(_) | Self::NotFound(..) => {
                StatusCode::NOT_FOUND
            }
            Self::Body(error) => error.status(),
            Self::Encoded(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Overloaded | Self::Unlogged(_) | Self::DatabaseUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Provider { .. } => StatusCode::BAD_GATEWAY,
            Self::MethodNotAllowed(..) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// Returns the body of the response.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        const REQUEST: &str = "invalid_request_error";
        let (kind, code, param) = match self {
            Self::HostOrigin(refused) => (refused.kind(), refused.code(), None),
            Self::Denied(denied) => (denied.kind(), denied.code(), None),
            Self::NotLocal(refused) => ("permission_error", refused.code(), None),
            Self::Management(refused) => (refused.kind(), refused.code(), None),
            Self::Query(_) => (REQUEST, "invalid_query", None),
            Self::Envelope(EnvelopeError::Malformed(_)) => (REQUEST, "invalid_json", None),
            Self::Envelope(EnvelopeError::MissingMessages) => (REQUEST, "missing_required_parameter", Some("messages")),
            Self::Envelope(EnvelopeError::InvalidMessages) => (REQUEST, "invalid_type", Some("messages")),
            Self::Route(RouteError::MissingModel(_)) => (REQUEST, "missing_required_parameter", Some("model")),
            Self::Route(RouteError::UnknownModel(_)) => (REQUEST, "model_not_found", Some("model")),
            Self::Body(error) => (error.kind(), error.code(), None),
            Self::Encoded(_) => (REQUEST, "unsupported_content_encoding", None),
            Self::Loop => (REQUEST, "loop_detected", None),
            Self::Overloaded => ("overloaded_error", "overloaded", None),
            Self::Unlogged(_) => ("server_error", "log_unavailable", None),
            Self::UnknownProvider(_) => (REQUEST, "provider_not_found", Some("provider")),
            Self::ProviderDisabled(_) => ("provider_disabled_error", "provider_disabled", Some("provider")),
            Self::DatabaseUnavailable(_) => ("server_error", "database_unavailable", None),
            Self::Provider { .. } => ("upstream_error", "upstream_unavailable", None),
            Self::NotFound(..) => (REQUEST, "not_found", None),
            Self::MethodNotAllowed(..) => (REQUEST, "method_not_allowed", None),
        };
        let body = ErrorBody::new(kind, code, self.to_string());
        match param {
            Some(param) => body.param(param),
            None => body,
        }
    }

    /// Builds the complete response.
    #[must_use]
    pub fn response(&self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::whole(self.body().to_json()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::Overloaded
            | Self::Unlogged(_)
            | Self::DatabaseUnavailable(_)
            | Self::Body(BodyError::ArrivingLimit)
            | Self::Management(ManagementError::Unavailable(_)) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Management(ManagementError::Unauthorized) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Denied(denied) => match denied.retry_after() {
                Some(seconds) => drop(headers.insert(header::RETRY_AFTER, seconds.into())),
                None => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            },
            _ => {}
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> axum::response::Response {
        self.response().map(axum::body::Body::new)
    }
}

/// Handles every path without a route.
pub async fn not_found(method: Method, uri: Uri) -> ApiError {
    ApiError::NotFound(method, uri.path().to_owned())
}

/// Handles methods that a route does not support.
pub async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::MethodNotAllowed(method, uri.path().to_owned())
}

//! What goes wrong before a provider is asked, in OpenAI's shape. The one place that knows these statuses.

use axum::{extract::rejection::QueryRejection, response::IntoResponse};
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use signalbox_core::openai::ErrorBody;
use signalbox_daemon::{BodyError, Denied, admin, doors};

use crate::{
    body::ResponseBody, catalog::Away, envelope::EnvelopeError, journal::Refused, management, route::RouteError,
};

/// A request that is refused.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Somebody else is meant, or a page that may not asks.
    #[error(transparent)]
    Door(#[from] doors::Refused),
    /// No key, or a wrong one.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A request to leave, from somebody who may not ask for that.
    #[error(transparent)]
    NotLocal(#[from] admin::Refused),
    /// The query is not what it should be.
    #[error("{0}")]
    Query(#[from] QueryRejection),
    /// The body is not what it should be.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Nobody serves the model.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The body cannot be had.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is compressed.
    #[error("request bodies must not be compressed (Content-Encoding: {0})")]
    Encoded(String),
    /// The request has come through too many routers.
    #[error("the request goes in a circle: a provider's `baseURL` leads back to a router that asks it")]
    Loop,
    /// Too much is going on.
    #[error("the router is at its limit of requests in flight; try again in a moment")]
    Overloaded,
    /// The request cannot be logged, and the router is told to refuse it then.
    #[error(transparent)]
    Unlogged(#[from] Refused),
    /// The provider that was named does not exist, or is disabled.
    #[error("there is no enabled provider `{0}`")]
    UnknownProvider(String),
    /// The provider that was named cannot be asked.
    #[error("the provider `{provider}` cannot be asked: {reason}")]
    Provider {
        /// Its id.
        provider: String,
        /// What is wrong.
        reason: String,
    },
    /// The provider that was named is disabled.
    #[error("the provider `{0}` is disabled")]
    ProviderDisabled(String),
    /// What was asked is in the database only.
    #[error("the database is away: {0}")]
    DatabaseAway(#[from] Away),
    /// A management request that is not answered.
    #[error(transparent)]
    Management(#[from] management::Refused),
    /// No such route.
    #[error("no route for {0} {1}")]
    NotFound(Method, String),
    /// The route has other methods.
    #[error("{0} is not allowed on {1}")]
    MethodNotAllowed(Method, String),
}

impl ApiError {
    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Door(refused) => refused.status(),
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
            Self::Overloaded | Self::Unlogged(_) | Self::DatabaseAway(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Provider { .. } => StatusCode::BAD_GATEWAY,
            Self::MethodNotAllowed(..) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// The body of the response.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        const REQUEST: &str = "invalid_request_error";
        let (kind, code, param) = match self {
            Self::Door(refused) => (refused.kind(), refused.code(), None),
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
            Self::DatabaseAway(_) => ("server_error", "database_unavailable", None),
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

    /// The whole response.
    #[must_use]
    pub fn response(&self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::whole(self.body().to_json()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::Overloaded
            | Self::Unlogged(_)
            | Self::DatabaseAway(_)
            | Self::Body(BodyError::Crowded)
            | Self::Management(management::Refused::Away(_)) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Management(management::Refused::Unauthorized) => {
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

/// For every path that is no route.
pub async fn not_found(method: Method, uri: Uri) -> ApiError {
    ApiError::NotFound(method, uri.path().to_owned())
}

/// For every route that has other methods.
pub async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::MethodNotAllowed(method, uri.path().to_owned())
}

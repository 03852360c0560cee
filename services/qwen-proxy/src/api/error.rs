//! What goes wrong, in OpenAI's shape. The one place that knows statuses.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use signalbox_core::openai::ErrorBody;

/// A request that is refused.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No client key, or a wrong one.
    #[error("a valid API key is required: send it as `Authorization: Bearer <key>`")]
    Unauthorized,
    /// Nobody has logged in at chat.qwen.ai. Existing clients look for these words.
    #[error("Qwen credentials not configured. Please configure credentials through the Electron app Settings.")]
    MissingCredentials,
    /// No such route.
    #[error("Route not found: {0} {1}")]
    NotFound(Method, String),
}

impl ApiError {
    /// The whole response.
    #[must_use]
    pub fn response(&self) -> Response {
        let (status, kind, code) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "authentication_error", "invalid_api_key"),
            Self::MissingCredentials => (StatusCode::UNAUTHORIZED, "authentication_error", "missing_credentials"),
            Self::NotFound(..) => (StatusCode::NOT_FOUND, "invalid_request_error", "not_found"),
        };
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        (status, json, ErrorBody::new(kind, code, self.to_string()).to_json()).into_response()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.response()
    }
}

/// For every path that is no route.
pub(super) async fn not_found(method: Method, uri: Uri) -> ApiError {
    ApiError::NotFound(method, uri.path().to_owned())
}

//! What handlers take out of a request. The refusals have our error shape, which axum's own do not.

use axum::RequestExt as _;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::form::Form;
use super::{App, Error};

/// Segments of the path, percent-decoded.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

/// A body that is a JSON object. No body at all is an empty one.
#[derive(Debug)]
pub(super) struct Body(pub(super) Map<String, Value>);

/// The layer that makes [`Body`] refuse what is longer.
pub(crate) fn body_limit(bytes: usize) -> DefaultBodyLimit {
    DefaultBodyLimit::max(bytes)
}

/// The body as it came.
pub(super) async fn bytes_of(request: Request, app: &App) -> Result<Bytes, Error> {
    request.extract_with_state(app).await.map_err(|rejection| {
        let response = axum::extract::rejection::BytesRejection::into_response(rejection);
        match response.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge(app.body_limit),
            _ => Error::Malformed("it broke off".to_owned()),
        }
    })
}

// === impl Path ===

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        axum::extract::Path::from_request_parts(parts, app)
            .await
            .map(|axum::extract::Path(segments)| Self(segments))
            // A segment that is no UTF-8, or no number where one is needed, names nothing.
            .map_err(|_| Error::NoRoute(parts.method.clone(), parts.uri.path().to_owned()))
    }
}

// === impl Body ===

impl Body {
    /// The fields, to be taken apart.
    pub(super) fn form(self) -> Form {
        Form::new(self.0)
    }
}

impl FromRequest<App> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        let bytes = bytes_of(request, app).await?;
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Error::invalid("body must be a JSON object")),
            Err(error) => Err(Error::Malformed(error.to_string())),
        }
    }
}

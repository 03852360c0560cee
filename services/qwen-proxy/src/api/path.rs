//! An extractor for the path parameter that rejects with JSON errors, because axum's own rejection is plain text.

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::error::ApiError;

/// The only parameter of a route's path, percent-decoded.
#[derive(Debug)]
pub(super) struct Path(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segment = axum::extract::Path::from_request_parts(parts, state).await;
        // A name that is not valid UTF-8 does not exist.
        let nobody = |_| ApiError::NotFound(parts.method.clone(), parts.uri.path().to_owned());
        segment.map(|axum::extract::Path(name)| Self(name)).map_err(nobody)
    }
}

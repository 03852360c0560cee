//! The name in a path. Axum's own refusal is plain text, and clients of this API read JSON.

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::error::ApiError;

/// The one segment that a route leaves open, percent-decoded.
#[derive(Debug)]
pub(super) struct Path(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segment = axum::extract::Path::from_request_parts(parts, state).await;
        // What is no UTF-8 names nothing.
        let nobody = |_| ApiError::NotFound(parts.method.clone(), parts.uri.path().to_owned());
        segment.map(|axum::extract::Path(name)| Self(name)).map_err(nobody)
    }
}

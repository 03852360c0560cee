//! Path parameter extractor. It exists because axum rejects invalid paths with plain text, while clients expect JSON.

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::error::ApiError;

/// Single parameter of the path, percent-decoded.
#[derive(Debug)]
pub struct Path(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segment = axum::extract::Path::from_request_parts(parts, state).await;
        // A segment that is not valid UTF-8 matches no resource.
        let nobody = |_| ApiError::NotFound(parts.method.clone(), parts.uri.path().to_owned());
        segment.map(|axum::extract::Path(name)| Self(name)).map_err(nobody)
    }
}

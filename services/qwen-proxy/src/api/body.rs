//! Collection of a request body, bounded in size.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};

use super::error::ApiError;

/// Reads the body to its end, up to `limit` bytes. Rejects compressed bodies.
pub(super) async fn collect(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return Err(ApiError::Encoded(String::from_utf8_lossy(coding.as_bytes()).into_owned()));
    }
    Ok(signalbox_daemon::collect(headers, body, limit).await?)
}

//! Reading a request's body, up to a limit.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};

use super::error::ApiError;

/// The whole body, unless it is larger than `limit` bytes.
pub(super) async fn collect(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return Err(ApiError::Encoded(String::from_utf8_lossy(coding.as_bytes()).into_owned()));
    }
    Ok(signalbox_daemon::collect(headers, body, limit).await?)
}

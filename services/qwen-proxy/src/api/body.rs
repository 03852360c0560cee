//! Reading a request's body, up to a limit.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::{Duration, timeout};

use super::error::ApiError;

/// How much of a body that is too large is read and forgotten, and for how long: a client that is still sending would see a
/// reset instead of the answer.
const DISCARD: usize = 64 << 20;
const DISCARD_FOR: Duration = Duration::from_secs(2);

/// The whole body, unless it is larger than `limit` bytes.
pub(super) async fn collect(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, ApiError> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return Err(ApiError::Encoded(String::from_utf8_lossy(coding.as_bytes()).into_owned()));
    }
    let mut whole = BytesMut::new();
    let mut fits = body.size_hint().lower() <= limit as u64;
    while fits && let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ApiError::BrokenBody)?.into_data() else { continue };
        whole.extend_from_slice(&data);
        fits = whole.len() <= limit;
    }
    if fits {
        return Ok(whole.freeze());
    }
    let discard = async {
        let mut left = DISCARD;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = rest;
        }
    };
    // Whether all of it came does not matter.
    let _ = timeout(DISCARD_FOR, discard).await;
    Err(ApiError::TooLarge { limit })
}

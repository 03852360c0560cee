//! Collection of a request body into memory, bounded in size.
//!
//! The bounds on its duration and on the memory of all bodies together are enforced by
//! [`RequestBody`](crate::RequestBody), independent of the reader.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

/// Maximum bytes of an oversized body that are read and discarded before the response. A client that is still sending
/// when its connection is closed sees a reset instead of the response.
const MAX_DISCARDED: usize = 64 << 20;

/// Maximum time spent on discarding.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum time spent on waiting for the next byte to discard. A client that has stopped sending waits for the
/// response.
const DISCARD_IDLE_TIMEOUT: Duration = Duration::from_millis(250);

/// Bytes reserved up front for a body with a declared length. Beyond that, memory is allocated as the bytes arrive,
/// because declaring a length costs the client nothing.
const MAX_PREALLOCATED: usize = 1 << 20;

/// Reason why a request body cannot be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The client did not send the body in time.
    #[error("the request body did not arrive in time; send it without long pauses")]
    TooSlow,
    /// The memory reserved for arriving bodies is used up by other requests.
    #[error("too many large request bodies are arriving at once; try again in a moment")]
    ArrivingLimit,
    /// The body is larger than the service accepts.
    #[error("the request body is larger than {limit} bytes; send less, or raise the limit of the service")]
    TooLarge {
        /// Maximum size in bytes.
        limit: usize,
    },
    /// The client disconnected, or sent a malformed body.
    #[error("the request body is incomplete or malformed; check what sends it, and send it again")]
    Broken,
}

/// Reads `body` to its end, up to `limit` bytes. A body that arrives in one frame is returned without a copy.
///
/// The rest of an oversized body is read and discarded for a short time, so that its sender gets to see the response;
/// not if `headers` contain `Expect`, because that client waits for permission to send.
///
/// # Errors
/// Returns [`BodyError`] if the body is oversized, too slow or incomplete.
pub async fn collect<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = pin!(body);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut first = Bytes::new();
    let mut whole: Option<BytesMut> = None;
    let mut fits = announced <= limit;
    while fits && let Some(frame) = body.as_mut().frame().await {
        let Ok(data) = frame.map_err(|error| reason(error.into().as_ref()))?.into_data() else { continue };
        match &mut whole {
            None if first.is_empty() => first = data,
            None => {
                let mut joined = BytesMut::with_capacity(announced.min(MAX_PREALLOCATED).max(first.len() + data.len()));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                whole = Some(joined);
            }
            Some(whole) => whole.extend_from_slice(&data),
        }
        fits = whole.as_ref().map_or(first.len(), BytesMut::len) <= limit;
    }
    if fits {
        return Ok(whole.map_or(first, BytesMut::freeze));
    }
    drop((first, whole));
    if !headers.contains_key(header::EXPECT) {
        let discard = async {
            let mut left = MAX_DISCARDED;
            while let Ok(Some(Ok(frame))) = timeout(DISCARD_IDLE_TIMEOUT, body.as_mut().frame()).await {
                let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
                left = rest;
            }
        };
        // The response is the same whether or not the whole body was discarded.
        let _ = timeout(DISCARD_TIMEOUT, discard).await;
    }
    Err(BodyError::TooLarge { limit })
}

/// Searches the chain of sources for a [`BodyError`] that frameworks have wrapped.
fn reason(error: &(dyn std::error::Error + 'static)) -> BodyError {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(ours) = error.downcast_ref::<BodyError>() {
            return *ours;
        }
        next = error.source();
    }
    BodyError::Broken
}

// === impl BodyError ===

impl BodyError {
    /// Returns the status of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::ArrivingLimit => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns OpenAI's error type.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::ArrivingLimit => "overloaded_error",
            Self::TooSlow | Self::TooLarge { .. } | Self::Broken => "invalid_request_error",
        }
    }

    /// Returns the stable error code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooSlow => "request_timeout",
            Self::ArrivingLimit => "overloaded",
            Self::TooLarge { .. } => "request_too_large",
            Self::Broken => "incomplete_body",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};
    use http::HeaderValue;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use tokio::time::Instant;

    use super::*;

    fn pieces(pieces: Vec<&'static [u8]>) -> impl Body<Data = Bytes, Error = Infallible> {
        StreamBody::new(stream::iter(pieces).map(|piece| Ok(Frame::data(Bytes::from_static(piece)))))
    }

    #[tokio::test]
    async fn chunk_boundaries_do_not_change_the_body() {
        let text: &'static [u8] = b"abcdefgh";
        for cut in 0..=text.len() {
            for second in cut..=text.len() {
                let body = pieces(vec![&text[..cut], &text[cut..second], &text[second..]]);
                assert_eq!(collect(&HeaderMap::new(), body, 8).await.unwrap(), text);
                let body = pieces(vec![&text[..cut], &text[cut..second], &text[second..]]);
                assert_eq!(collect(&HeaderMap::new(), body, 7).await, Err(BodyError::TooLarge { limit: 7 }));
            }
        }
        assert_eq!(collect(&HeaderMap::new(), pieces(Vec::new()), 0).await.unwrap(), "");
        let one = Bytes::from_static(text);
        let pointer = one.as_ptr();
        assert_eq!(
            collect(&HeaderMap::new(), Full::new(one), 8).await.unwrap().as_ptr(),
            pointer,
            "the body was copied"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_oversized_body_is_abandoned_soon() {
        let silent = |headers: HeaderMap| async move {
            let begun = Instant::now();
            let body = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"12345")))]);
            let body = StreamBody::new(body.chain(stream::pending()));
            assert_eq!(collect(&headers, body, 4).await, Err(BodyError::TooLarge { limit: 4 }));
            begun.elapsed()
        };
        assert_eq!(silent(HeaderMap::new()).await, DISCARD_IDLE_TIMEOUT);
        let expect = HeaderMap::from_iter([(header::EXPECT, HeaderValue::from_static("100-continue"))]);
        assert_eq!(silent(expect).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_oversized_body_is_abandoned_after_a_limit() {
        let begun = Instant::now();
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"12345"))), ()))
        });
        let outcome = collect(&HeaderMap::new(), StreamBody::new(drops), 4).await;
        assert_eq!(outcome, Err(BodyError::TooLarge { limit: 4 }));
        assert!(begun.elapsed() <= DISCARD_TIMEOUT + Duration::from_millis(100), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn own_errors_are_found_in_the_source_chain() {
        #[derive(Debug, thiserror::Error)]
        #[error("wrapped")]
        struct Wrapped(#[source] BodyError);
        for ours in [BodyError::TooSlow, BodyError::ArrivingLimit] {
            let body = StreamBody::new(stream::iter([Err::<Frame<Bytes>, _>(Wrapped(ours))]));
            assert_eq!(collect(&HeaderMap::new(), body, 1).await, Err(ours));
        }
        let body = StreamBody::new(stream::iter([Err::<Frame<Bytes>, _>(std::io::Error::other("gone"))]));
        assert_eq!(collect(&HeaderMap::new(), body, 1).await, Err(BodyError::Broken));
    }
}

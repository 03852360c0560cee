//! The body of a response, passed through or decoded.

mod coding;
mod decoding;
mod wire;

use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body::{Frame, SizeHint};

use self::coding::{Detection, Hint};
use self::decoding::Decoding;
use self::wire::Wire;
use crate::connection::ExchangeHead;
use crate::deadline::{Clock, Timer};
use crate::error::Error;
use crate::headers::strip_hop_by_hop;
use crate::pool::Pool;

/// The body of a response: the unchanged data, without trailers. A body that is compressed although the request asked
/// for none is decoded in a streaming way.
///
/// Polling the body drives the connection. When it has been read to its end, the connection is returned to the pool for
/// the next request; if it is dropped earlier, the connection is closed at once. The end is `None`, or
/// [`is_end_stream`](http_body::Body::is_end_stream) returning `true` after the last frame of a body with a declared
/// length. An error ends the body as well.
#[must_use = "a dropped body closes its connection"]
pub struct Body(Inner);

enum Inner {
    Plain(Wire),
    /// The head declares a coding, and the received bytes do not show yet whether that is true.
    Undecided(Box<Undecided>),
    Decoding(Box<Decoding>),
    /// An error occurred before the coding was decided.
    Failed,
}

struct Undecided {
    wire: Wire,
    hint: Hint,
    begun: BytesMut,
}

// === impl Body ===

impl Body {
    /// Attaches a body that owns the connection to the response. Removes headers about the connection or the coding
    /// from the head.
    pub(crate) fn attach(answered: ExchangeHead, pool: Weak<Pool>, clock: Clock, timer: Timer) -> Response<Self> {
        let (mut head, wire) = Wire::attach(answered, pool, clock, timer).into_parts();
        strip_hop_by_hop(&mut head.headers);
        let inner = match Hint::take(&mut head.headers) {
            Some(hint) if !wire.has_ended() => {
                Inner::Undecided(Box::new(Undecided { wire, hint, begun: BytesMut::new() }))
            }
            _ => Inner::Plain(wire),
        };
        Response::from_parts(head, Self(inner))
    }

    /// Reads until the first bytes show how the body is encoded. The bytes read of a plain body become its first chunk.
    fn poll_decide(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Inner::Undecided(undecided) = &mut self.0 else { return Poll::Ready(None) };
        let verdict = loop {
            let ended = match ready!(undecided.wire.poll_data(cx)) {
                Some(Ok(data)) => {
                    undecided.begun.extend_from_slice(&data);
                    undecided.wire.has_ended()
                }
                Some(Err(error)) => {
                    self.0 = Inner::Failed;
                    return Poll::Ready(Some(Err(error)));
                }
                None => true,
            };
            match undecided.hint.detect(&undecided.begun, ended) {
                Detection::Undecided if !ended => {}
                verdict => break verdict,
            }
        };
        let Inner::Undecided(undecided) = std::mem::replace(&mut self.0, Inner::Failed) else {
            return Poll::Ready(None);
        };
        let Undecided { wire, begun, .. } = *undecided;
        let begun = begun.freeze();
        match verdict {
            Detection::Encoded(coding) => {
                let mut decoding = Box::new(Decoding::new(coding, begun, wire));
                let piece = decoding.poll_chunk(cx);
                self.0 = Inner::Decoding(decoding);
                return piece;
            }
            Detection::Plain | Detection::Undecided => self.0 = Inner::Plain(wire),
        }
        if begun.is_empty() { self.poll_data(cx) } else { Poll::Ready(Some(Ok(begun))) }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        match &mut self.0 {
            Inner::Plain(wire) => wire.poll_data(cx),
            Inner::Undecided(_) => self.poll_decide(cx),
            Inner::Decoding(decoding) => decoding.poll_chunk(cx),
            Inner::Failed => Poll::Ready(None),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.get_mut().poll_data(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Plain(wire) => wire.has_ended(),
            Inner::Undecided(_) => false,
            Inner::Decoding(decoding) => decoding.has_ended(),
            Inner::Failed => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Plain(wire) => wire.size_hint(),
            Inner::Undecided(_) | Inner::Decoding(_) => SizeHint::default(),
            Inner::Failed => SizeHint::with_exact(0),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("ended", &http_body::Body::is_end_stream(self)).finish_non_exhaustive()
    }
}

//! The response body type of this service.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use signalbox_core::schema::RequestStatus;

use crate::{
    exchange::Exchange,
    relay::{BoxError, PIECE, Relay, WholeAnswer},
    streams::StreamReader,
};

/// A response body: complete bytes, a stream, or a body of axum's type.
#[derive(Debug)]
pub enum ResponseBody {
    /// Complete body; `None` once its only frame has been polled.
    Whole(Option<Bytes>),
    /// Complete answer that is given in pieces.
    Pieces(Box<WholeAnswer>),
    /// Stream relayed from a provider.
    Relay(Box<Relay>),
    /// Stream that can be resumed.
    Kept(Box<StreamReader>),
    /// Body of axum's type, from its router or a management route.
    Api(axum::body::Body),
}

impl ResponseBody {
    /// Creates a body of complete `bytes`.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// Creates the body of a complete answer, which `exchange` has recorded. Of a short answer, the end is written now;
    /// of a longer one, when the client has taken all but the last piece.
    pub async fn answer(mut exchange: Exchange, bytes: Bytes) -> Self {
        if bytes.len() > PIECE {
            return Self::Pieces(Box::new(WholeAnswer::new(exchange, bytes)));
        }
        exchange.finish(RequestStatus::Completed, None).await;
        Self::whole(bytes)
    }
}

impl Default for ResponseBody {
    fn default() -> Self {
        Self::Whole(None)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(answer) => answer.poll_frame(cx),
            Self::Relay(relay) => relay.poll_frame(cx),
            Self::Kept(reader) => reader.poll_frame(cx),
            Self::Api(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Pieces(answer) => answer.remaining() == 0,
            Self::Relay(_) | Self::Kept(_) => false,
            Self::Api(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pieces(answer) => SizeHint::with_exact(answer.remaining() as u64),
            Self::Relay(_) | Self::Kept(_) => SizeHint::default(),
            Self::Api(body) => body.size_hint(),
        }
    }
}

//! A whole answer that the client takes piece by piece.
//!
//! The request stays in flight, with its permit and its limits, until the client has taken all but the last piece. Then
//! its end is written to the journal, and the last piece is released. A client that leaves before is one that left in
//! the middle of the answer.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Frame;
use signalbox_core::schema::RequestStatus;

use super::{BoxError, Broken};
use crate::{exchange::Exchange, journal::Written};

/// Maximum bytes of a piece. The connection takes the next one when it has room for it.
pub const PIECE: usize = 64 << 10;

/// A complete answer, most of which the client has not taken yet.
#[derive(Debug)]
pub struct WholeAnswer {
    /// Dropped first: when a client disconnects, its permit is free before the answer.
    exchange: Exchange,
    rest: Bytes,
    /// The end is written, but perhaps not synced yet; the last piece is released once it is.
    written: Option<Written>,
}

// === impl WholeAnswer ===

impl WholeAnswer {
    /// Creates the body of the answer that `exchange` has recorded. The cache of the route gets it at once, so that no
    /// other request waits for this client.
    #[must_use]
    pub fn new(mut exchange: Exchange, body: Bytes) -> Self {
        exchange.store_answer();
        Self { exchange, rest: body, written: None }
    }

    /// Returns the number of bytes that the client has not taken yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Polls for the next piece; see [`http_body::Body::poll_frame`].
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.written.is_none() && self.exchange.is_cancelled() {
            self.rest = Bytes::new();
            // Nothing of the answer is held back for this write.
            drop(self.exchange.finish(RequestStatus::Cancelled, Some(Broken::Cancelled.to_string())));
            return Poll::Ready(Some(Err(Broken::Cancelled.into())));
        }
        if self.rest.len() > PIECE {
            return Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(PIECE)))));
        }
        let exchange = &mut self.exchange;
        let written = self.written.get_or_insert_with(|| exchange.finish(RequestStatus::Completed, None));
        ready!(Pin::new(written).poll(cx));
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))))
    }
}

//! A connection to a provider, and the first half of an exchange on it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::deadline::{Clock, Timer};
use crate::error::Error;
use crate::stream::{Received, Stream};
use crate::target::Origin;

/// Maximum bytes of a response head; a larger one is refused. hyper limits the number of headers to 100; setting that
/// limit explicitly would move its header table from the stack to the heap.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Maximum bytes received before the final response. More is a flood of informational responses (1xx), which hyper
/// otherwise reads and discards indefinitely. A regular provider sends one or two, each a tenth as long as the head of
/// its response.
const MAX_BYTES_BEFORE_RESPONSE: u64 = 2 * MAX_HEAD_BYTES as u64;

/// Maximum size of the read buffer. hyper starts at 8 KiB and enlarges the buffer only for a connection that keeps
/// filling it. When a client stops reading, a stream holds three buffers: one being written, one queued behind it, and
/// one being filled.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// A connection, which must be polled to make progress: by the exchange that uses it, and not at all while it is idle.
///
/// It is boxed for its whole lifetime, so that moving it between exchange, body and pool only moves a pointer.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    wire: http1::Connection<TokioIo<Stream>, Full<Bytes>>,
    received: Received,
    origin: Arc<Origin>,
    /// Declared last, so that the socket is already closed when the count of open connections decreases.
    _open: OpenGuard,
}

/// Counts a connection as open until it is dropped.
pub(crate) struct OpenGuard(Arc<AtomicUsize>);

/// The result of the first half of an exchange: the head has been received, the body has not been read yet.
pub(crate) struct ExchangeHead {
    pub(crate) response: Response<Incoming>,
    /// The connection that drives the rest of the body. `None` if it has ended; the data read before are in `response`.
    pub(crate) connection: Option<Box<Connection>>,
}

/// An exchange that failed before the head of the response.
pub(crate) enum ExchangeError {
    /// Nothing of the request was written; it is returned to the caller.
    Unsent { request: Box<Request<Full<Bytes>>>, source: hyper::Error },
    /// The connection ended after the request, or a part of it, was written, and before the first byte of a response.
    Lost(Error),
    /// Any other failure.
    Failed(Error),
}

// === impl Connection ===

impl Connection {
    pub(crate) async fn handshake(
        stream: Stream,
        origin: Arc<Origin>,
        open: OpenGuard,
    ) -> Result<Box<Self>, hyper::Error> {
        let received = stream.received();
        let (sender, wire) = http1::Builder::new()
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Box::new(Self { sender, wire, received, origin, _open: open }))
    }

    /// Sends the request and reads until the head of the response is complete.
    ///
    /// A connection checks for the end of its stream before it writes a queued request. A pooled connection that the
    /// provider has closed in the meantime therefore returns the request as [`ExchangeError::Unsent`], and no separate
    /// check is needed.
    pub(crate) async fn exchange(
        mut self: Box<Self>,
        request: Request<Full<Bytes>>,
        clock: &Clock,
        timer: &mut Timer,
    ) -> Result<ExchangeHead, ExchangeError> {
        let (due, late) = clock.head_due();
        let mut answer = pin!(self.sender.try_send_request(request));
        // The counter remains valid after the connection has been dropped.
        let received = self.received.clone();
        let before = received.bytes();
        let mut connection = Some(self);
        let response = poll_fn(|cx| {
            poll_driver(&mut connection, cx);
            // A connection that has ended was dropped by `poll_driver`, which has resolved `answer`.
            match answer.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(answer.map_err(|mut error| match error.take_message() {
                    Some(request) => ExchangeError::Unsent { request: Box::new(request), source: error.into_error() },
                    None => match Error::before_head(error.into_error()) {
                        lost @ Error::Reset { .. } if received.bytes() == before => ExchangeError::Lost(lost),
                        failed => ExchangeError::Failed(failed),
                    },
                })),
                Poll::Pending => {
                    if received.bytes() - before > MAX_BYTES_BEFORE_RESPONSE {
                        return Poll::Ready(Err(ExchangeError::Failed(Error::NoFinalResponse)));
                    }
                    ready!(timer.poll_until(due, cx));
                    Poll::Ready(Err(ExchangeError::Failed(late(clock))))
                }
            }
        })
        .await?;
        Ok(ExchangeHead { response, connection })
    }

    /// Returns whether the connection is between two exchanges: the last one is complete on both sides, and the
    /// provider keeps the connection open.
    pub(crate) fn is_reusable(&self) -> bool {
        self.sender.is_ready()
    }

    pub(crate) const fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }
}

/// Polls the connection, if any, and drops it when it has ended. The reason for the end is reported through the pending
/// response or body.
pub(crate) fn poll_driver(connection: &mut Option<Box<Connection>>, cx: &mut Context<'_>) {
    if let Some(open) = connection
        && Pin::new(&mut open.wire).poll(cx).is_ready()
    {
        *connection = None;
    }
}

// === impl OpenGuard ===

impl OpenGuard {
    pub(crate) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

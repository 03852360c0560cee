//! One connection to a provider, and the first half of an exchange on it.

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

/// A response with a head larger than this is refused. Their number is limited to 100 by hyper; naming that limit would
/// move its table of headers from the stack to the heap.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// More than this without an answer is a flood of provisional ones (1xx), which hyper reads and drops for as long as they
/// come. An honest provider sends one or two, each a tenth as long as its answer's head.
const MAX_BYTES_BEFORE_ANSWER: u64 = 2 * MAX_HEAD_BYTES as u64;

/// The largest read buffer. hyper starts at 8 KiB and grows it only for a connection that keeps filling it. When a client
/// stops reading, a stream holds three of them: what is being written, what waits behind it, and what is being filled.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// A connection. Somebody has to poll it for anything to happen: the exchange it is in, or nobody while it is idle.
///
/// It lives in one box for all its life, so that moving it between exchange, body and pool moves a pointer.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    wire: http1::Connection<TokioIo<Stream>, Full<Bytes>>,
    received: Received,
    origin: Arc<Origin>,
    /// Last, so that the socket is closed when the gauge says so.
    _open: OpenGuard,
}

/// Counts a connection for as long as it exists.
pub(crate) struct OpenGuard(Arc<AtomicUsize>);

/// The first half of an exchange: the head is there, the body is still to be read.
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    /// What drives the rest of the body. `None` when the connection has ended; what it had read is in `response`.
    pub(crate) connection: Option<Box<Connection>>,
}

/// An exchange without a head.
pub(crate) enum Unanswered {
    /// Nothing of the request was written, and here it is back.
    Unsent { request: Box<Request<Full<Bytes>>>, source: hyper::Error },
    /// The connection ended after the request, or a part of it, was written, without a single byte of a response.
    Lost(Error),
    /// Everything else.
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

    /// Sends the request and reads until the head of the response is there.
    ///
    /// A connection looks for the end of its stream before it writes a queued request, so a pooled connection that the
    /// provider has closed meanwhile gives the request back as [`Unanswered::Unsent`]: no check is needed before.
    pub(crate) async fn exchange(
        mut self: Box<Self>,
        request: Request<Full<Bytes>>,
        clock: &Clock,
        timer: &mut Timer,
    ) -> Result<Answered, Unanswered> {
        let (due, late) = clock.head_due();
        let mut answer = pin!(self.sender.try_send_request(request));
        // Counts on after the connection itself is gone.
        let received = self.received.clone();
        let before = received.bytes();
        let mut connection = Some(self);
        let response = poll_fn(|cx| {
            poll_driver(&mut connection, cx);
            // A connection that has ended, and was dropped just now, has resolved the answer by that.
            match answer.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(answer.map_err(|mut error| match error.take_message() {
                    Some(request) => Unanswered::Unsent { request: Box::new(request), source: error.into_error() },
                    None => match Error::before_head(error.into_error()) {
                        lost @ Error::Reset { .. } if received.bytes() == before => Unanswered::Lost(lost),
                        failed => Unanswered::Failed(failed),
                    },
                })),
                Poll::Pending => {
                    if received.bytes() - before > MAX_BYTES_BEFORE_ANSWER {
                        return Poll::Ready(Err(Unanswered::Failed(Error::NoAnswer)));
                    }
                    ready!(timer.poll_until(due, cx));
                    Poll::Ready(Err(Unanswered::Failed(late(clock))))
                }
            }
        })
        .await?;
        Ok(Answered { response, connection })
    }

    /// Whether it is between two exchanges: the last one is over on both sides and the provider keeps the connection.
    pub(crate) fn is_reusable(&self) -> bool {
        self.sender.is_ready()
    }

    pub(crate) const fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }
}

/// Lets the connection work, if there is one, and drops it when it has ended. Why it ended is told to those who wait for
/// something from it, the answer or the body, and to nobody else.
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

//! The body of a response, which carries its connection with it.

use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::connection::{Answered, Connection, poll_driver};
use crate::deadline::{Clock, Timer};
use crate::error::Error;
use crate::pool::Pool;

/// The body of a response: data as it comes, byte for byte, without trailers.
///
/// Polling it drives the connection. Read to its end, it gives the connection back for the next request; dropped before,
/// it closes the connection at once. The end is `None`, or [`is_end_stream`](http_body::Body::is_end_stream) being true
/// after the last frame of a body whose length was announced. An error ends it too; nothing comes after that.
#[must_use = "a body that is dropped closes its connection"]
pub struct Body {
    incoming: Incoming,
    /// `None` when it has ended, failed or gone back to the pool.
    connection: Option<Box<Connection>>,
    /// Weak, so that the client can close its idle connections while streams go on.
    pool: Weak<Pool>,
    clock: Clock,
    timer: Timer,
    /// Since when the reader is waiting for the provider; `None` when the provider is not what takes time.
    waiting_since: Option<Instant>,
    ended: bool,
}

// === impl Body ===

impl Body {
    pub(crate) fn attach(answered: Answered, pool: Weak<Pool>, clock: Clock, timer: Timer) -> Response<Self> {
        let Answered { response, connection } = answered;
        response.map(|incoming| {
            let mut body = Self { incoming, connection, pool, clock, timer, waiting_since: None, ended: false };
            body.release_at_end();
            body
        })
    }

    /// Gives the connection back as soon as nothing more belongs to this response.
    fn release_at_end(&mut self) {
        if http_body::Body::is_end_stream(&self.incoming) {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(connection) = self.connection.take()
            && connection.is_reusable()
            && let Some(pool) = self.pool.upgrade()
        {
            pool.put(connection);
        }
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.ended = true;
        self.connection = None;
        Poll::Ready(Some(Err(error)))
    }

    fn end(&mut self) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.ended = true;
        self.release();
        Poll::Ready(None)
    }

    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        // A stream without pauses uses up the task's budget, without which tokio's timers do not fire.
        if since >= self.clock.total_due() {
            return Poll::Ready(self.clock.total_timeout());
        }
        let (due, late) = self.clock.piece_due(since);
        ready!(self.timer.poll_until(due, cx));
        Poll::Ready(late(&self.clock))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        poll_driver(&mut this.connection, cx);
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                this.waiting_since = None;
                this.release_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            // Trailers are the last frame, and nobody here relays them.
            Poll::Ready(Some(Ok(_)) | None) => this.end(),
            Poll::Ready(Some(Err(error))) => this.fail(Error::within_body(error)),
            Poll::Pending => {
                let error = ready!(this.poll_deadlines(cx));
                this.fail(error)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("ended", &self.ended).finish_non_exhaustive()
    }
}

//! The undecoded body of a response, and its connection.

use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, SizeHint};
use hyper::body::Incoming;
use tokio::task::coop::poll_proceed;
use tokio::time::Instant;

use crate::connection::{Connection, ExchangeHead, poll_driver};
use crate::deadline::{Clock, Timer};
use crate::error::Error;
use crate::pool::Pool;

/// The unchanged data of a body, without trailers. Polling it drives the connection. When it has been read to its end,
/// the connection is returned to the pool for the next request; if it is dropped earlier, the connection is closed at
/// once.
pub(super) struct Wire {
    incoming: Incoming,
    /// `None` once the body has ended or failed, or the connection was returned to the pool.
    connection: Option<Box<Connection>>,
    /// Weak, so that dropping the client closes its idle connections while streams continue.
    pool: Weak<Pool>,
    clock: Clock,
    timer: Timer,
    /// The time since which the reader has been waiting for the provider; `None` while it is not waiting.
    waiting_since: Option<Instant>,
    ended: bool,
}

// === impl Wire ===

impl Wire {
    pub(super) fn attach(answered: ExchangeHead, pool: Weak<Pool>, clock: Clock, timer: Timer) -> Response<Self> {
        let ExchangeHead { response, connection } = answered;
        response.map(|incoming| {
            let mut body = Self { incoming, connection, pool, clock, timer, waiting_since: None, ended: false };
            body.release_at_end();
            body
        })
    }

    /// Returns the connection to the pool once the response is complete.
    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream() {
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

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Bytes, Error>>> {
        self.ended = true;
        self.connection = None;
        Poll::Ready(Some(Err(error)))
    }

    fn end(&mut self) -> Poll<Option<Result<Bytes, Error>>> {
        self.ended = true;
        self.release();
        Poll::Ready(None)
    }

    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let (due, late) = self.clock.chunk_due(since);
        ready!(self.timer.poll_until(due, cx));
        Poll::Ready(late(&self.clock))
    }

    /// Returns the next data; `None` at the end, and after an error.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Only the end of a body that has been received wholly is left to report.
        if self.clock.is_over() && !self.incoming.is_end_stream() {
            let error = self.clock.total_timeout();
            return self.fail(error);
        }
        // Many small frames may be ready, and other tasks of the thread have to run between them.
        let budget = ready!(poll_proceed(cx));
        poll_driver(&mut self.connection, cx);
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    budget.made_progress();
                    self.waiting_since = None;
                    self.release_at_end();
                    Poll::Ready(Some(Ok(data)))
                }
                // Trailers are the last frame, and are not relayed.
                Err(_) => self.end(),
            },
            Poll::Ready(None) => self.end(),
            Poll::Ready(Some(Err(error))) => self.fail(Error::within_body(error)),
            Poll::Pending => {
                let error = ready!(self.poll_deadlines(cx));
                self.fail(error)
            }
        }
    }

    /// Returns the deadlines of the exchange.
    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Returns whether all data have been returned.
    pub(super) fn has_ended(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

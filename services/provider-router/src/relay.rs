//! A streamed answer on its way to the client.
//!
//! Bytes pass as they come. Only the event `data: [DONE]` is held, for as long as it takes to write the end of the request
//! into the journal. A stream that breaks off ends in an error event and a broken connection, never as if it were complete.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use signalbox_core::{
    openai::{ErrorBody, fold_stream},
    schema::RequestStatus,
    sse::{DoneScanner, Scan},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{body::BoxError, exchange::Exchange, journal::Written, provider::EchoBody};

/// A line of an event stream longer than this is no event.
const MAX_LINE: usize = 1 << 20;

/// Where the bytes come from.
#[derive(Debug)]
pub enum Source {
    /// A provider.
    Upstream(signalbox_upstream::Body),
    /// The provider that is built in.
    Echo(EchoBody),
    /// What a test wants to be read.
    #[cfg(test)]
    #[expect(private_interfaces, reason = "only the tests of this room make one")]
    Scripted(tests::Script),
}

/// A stream that passes through.
pub struct Relay {
    source: Source,
    /// What was read of the stream before it was decided to relay it.
    prefix: std::vec::IntoIter<Bytes>,
    scanner: DoneScanner,
    /// Perhaps the beginning of the end event.
    held: Bytes,
    exchange: Exchange,
    phase: Phase,
    /// The end is written but perhaps not on the disk yet; these are the bytes that wait for it.
    last: Option<(Written, Bytes)>,
    /// The service is ending and waits no longer.
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Bytes pass.
    Passing,
    /// The end event has passed; what may follow it passes too.
    Done,
    /// The error event has been handed over and is to be flushed.
    Broken,
    /// It has been flushed: now break the connection.
    Breaking,
    /// Nothing follows.
    Over,
}

/// Why a stream broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the provider's answer broke off: {0}")]
    Upstream(#[from] signalbox_upstream::Error),
    #[error("the provider's answer ended without saying that it is complete")]
    Unfinished,
    #[error("the provider sent a line of more than {MAX_LINE} bytes")]
    EndlessLine,
    #[error("the router is shutting down")]
    ShuttingDown,
}

// === impl Source ===

impl Source {
    /// The next bytes; `None` at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, signalbox_upstream::Error>>> {
        match self {
            Self::Echo(echo) => echo.poll_event(cx).map(|event| event.map(Ok)),
            #[cfg(test)]
            Self::Scripted(script) => script.poll(),
            Self::Upstream(body) => loop {
                match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    None => return Poll::Ready(None),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    // Trailers say nothing that a client of this API could use.
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(Ok(data)));
                        }
                    }
                }
            },
        }
    }
}

// === impl Relay ===

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("exchange", &self.exchange.id())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// Relays `prefix` and what `source` has after it. `cut` ends it early.
    #[must_use]
    pub fn new(prefix: Vec<Bytes>, source: Source, exchange: Exchange, cut: CancellationToken) -> Self {
        Self {
            source,
            prefix: prefix.into_iter(),
            scanner: DoneScanner::default(),
            held: Bytes::new(),
            exchange,
            phase: Phase::Passing,
            last: None,
            cut: Box::pin(cut.cancelled_owned()),
        }
    }

    /// As [`Body::poll_frame`].
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some((written, _)) = &mut self.last {
                ready!(Pin::new(written).poll(cx));
                let (_, bytes) = self.last.take().unwrap_or_default();
                if !bytes.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
            }
            match self.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Broken => {
                    // Being pending once makes hyper write out the error event before the connection is broken.
                    self.phase = Phase::Breaking;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Phase::Breaking => {
                    self.phase = Phase::Over;
                    return Poll::Ready(Some(Err("the stream broke off".into())));
                }
                Phase::Passing | Phase::Done => {}
            }
            let next = match self.prefix.next() {
                Some(bytes) => Some(Ok(bytes)),
                None => match self.source.poll_data(cx) {
                    Poll::Ready(next) => next,
                    Poll::Pending if self.cut.as_mut().poll(cx).is_ready() => {
                        return Poll::Ready(self.broken(&Broken::ShuttingDown));
                    }
                    Poll::Pending => return Poll::Pending,
                },
            };
            let bytes = match next {
                Some(Ok(bytes)) if bytes.is_empty() => continue,
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => return Poll::Ready(self.broken(&error.into())),
                None => match self.ended() {
                    Some(frame) => return Poll::Ready(Some(frame)),
                    None => continue,
                },
            };
            if let Some(frame) = self.pass(bytes) {
                return Poll::Ready(Some(frame));
            }
        }
    }

    /// Bytes have come: what of them may go?
    fn pass(&mut self, bytes: Bytes) -> Option<Result<Frame<Bytes>, BoxError>> {
        if self.phase == Phase::Done {
            return Some(Ok(Frame::data(bytes)));
        }
        let mut bytes = if self.held.is_empty() { bytes } else { join(&std::mem::take(&mut self.held), &bytes) };
        match self.scanner.scan(&bytes) {
            Scan::Pass => {}
            Scan::Hold(at) => self.held = bytes.split_off(at),
            Scan::Done(_) => {
                self.exchange.answer(&bytes);
                self.last = Some((self.exchange.finish(RequestStatus::Completed, None), bytes));
                self.phase = Phase::Done;
                return None;
            }
        }
        if self.scanner.line_len() > MAX_LINE {
            return self.broken(&Broken::EndlessLine);
        }
        if bytes.is_empty() {
            return None;
        }
        self.exchange.answer(&bytes);
        Some(Ok(Frame::data(bytes)))
    }

    /// The provider has ended its stream. Some never send `[DONE]`: then the finish reason is what tells.
    /// `None` when there is nothing to say but what waits in `last`.
    fn ended(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        if self.phase == Phase::Done {
            self.phase = Phase::Over;
            return None;
        }
        let held = std::mem::take(&mut self.held);
        let newest = Bytes::from([self.exchange.newest(), &held].concat());
        if fold_stream(&newest).finish_reason.is_none() {
            return self.broken(&Broken::Unfinished);
        }
        self.exchange.answer(&held);
        self.last = Some((self.exchange.finish(RequestStatus::Completed, None), held));
        self.phase = Phase::Over;
        None
    }

    /// Ends the request as broken off; the answer is the error event for the client.
    fn broken(&mut self, why: &Broken) -> Option<Result<Frame<Bytes>, BoxError>> {
        if self.phase == Phase::Done {
            // The client has everything; that the provider hangs up badly is nobody's concern.
            self.phase = Phase::Over;
            return None;
        }
        // Nothing was complete: there is no last byte to hold back.
        drop(self.exchange.finish(RequestStatus::Truncated, Some(why.to_string())));
        self.phase = Phase::Broken;
        let body = ErrorBody::new("upstream_error", why.code(), why.to_string());
        // A blank line first: the break may have come in the middle of an event.
        Some(Ok(Frame::data(format!("\n\n{}", body.to_event()).into())))
    }
}

impl Broken {
    fn code(&self) -> &'static str {
        match self {
            Self::Upstream(error) => error.code(),
            Self::Unfinished => "upstream_truncated",
            Self::EndlessLine => "upstream_invalid_response",
            Self::ShuttingDown => "router_shutdown",
        }
    }
}

fn join(first: &[u8], second: &[u8]) -> Bytes {
    let mut joined = BytesMut::with_capacity(first.len() + second.len());
    joined.extend_from_slice(first);
    joined.extend_from_slice(second);
    joined.freeze()
}

#[cfg(test)]
mod tests;

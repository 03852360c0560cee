//! The body of a response that reads a stream.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Version;
use http_body::Frame;
use tokio::time::Sleep;

use super::{
    Stream,
    stream::{Found, StreamEnd},
};
use crate::relay::{BoxError, FLUSH_PAUSE};

/// Reader of a stream. Dropping it leaves the stream to the next one.
#[derive(Debug)]
pub struct StreamReader {
    stream: Arc<Stream>,
    /// Number of this reader.
    number: u64,
    phase: Phase,
    is_http2: bool,
    /// Time for the last frames of an HTTP/2 stream to be written before the stream is reset.
    flushed: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Events are passed on.
    Reading,
    /// The events before the break have been handed to hyper and have to be flushed.
    Broken,
    /// They have been flushed; the connection is aborted next.
    Breaking,
    /// The response has ended.
    Over,
}

// === impl StreamReader ===

impl StreamReader {
    /// Creates the first reader of a stream.
    pub(super) fn first(stream: &Arc<Stream>, version: Version) -> Self {
        Self::new(Arc::clone(stream), 1, version)
    }

    /// Creates the reader with this number, which reads over this version of HTTP.
    pub(super) fn new(stream: Arc<Stream>, number: u64, version: Version) -> Self {
        Self { stream, number, phase: Phase::Reading, is_http2: version == Version::HTTP_2, flushed: None }
    }

    /// Polls for the next frame; see [`http_body::Body::poll_frame`].
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match self.phase {
                Phase::Reading => match ready!(self.stream.poll(self.number, cx)) {
                    Found::Event(event) => return Poll::Ready(Some(Ok(Frame::data(event)))),
                    Found::End(StreamEnd::Whole) => self.phase = Phase::Over,
                    Found::End(StreamEnd::Broken) | Found::TakenOver => self.phase = Phase::Broken,
                },
                Phase::Broken => {
                    // A reset of an HTTP/2 stream drops the frames that have not been written yet.
                    if self.is_http2 {
                        let by = self.flushed.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSH_PAUSE)));
                        ready!(by.as_mut().poll(cx));
                    }
                    // Returning `Pending` once makes hyper flush the events before the connection is aborted.
                    self.phase = Phase::Breaking;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Phase::Breaking => {
                    self.phase = Phase::Over;
                    return Poll::Ready(Some(Err("stream was interrupted".into())));
                }
                Phase::Over => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.stream.detach(self.number);
    }
}

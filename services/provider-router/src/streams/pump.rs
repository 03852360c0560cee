//! The task that reads the relay of a stream.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use signalbox_core::sse::Splitter;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{DRAIN_TIME, Stream, Streams, stream::StreamEnd};
use crate::relay::{BoxError, Relay};

/// The answer that a stream keeps: a [`Relay`], or that of a test.
pub(super) trait Answer: Send + 'static {
    /// Polls for the next frame; see [`http_body::Body::poll_frame`].
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>;

    /// Returns the token that is cancelled when the answer has to end at once.
    fn stop(&self) -> &CancellationToken;

    /// Returns whether an operator has cancelled the request.
    fn is_cancelled(&self) -> bool;
}

impl Answer for Box<Relay> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        (**self).poll_frame(cx)
    }

    fn stop(&self) -> &CancellationToken {
        (**self).stop()
    }

    fn is_cancelled(&self) -> bool {
        (**self).is_cancelled()
    }
}

/// Reads a stream to its end, keeps it for clients that come back, and removes it.
pub(super) async fn pump(streams: Arc<Streams>, stream: Arc<Stream>, mut answer: impl Answer) {
    let _removed = Removal { streams: &streams, stream: &stream };
    let end = relayed(&streams, &stream, &mut answer).await;
    // Ends the exchange, as the end of a connection does.
    drop(answer);
    if let Some(end) = end {
        stream.end(end);
        streams.abandoned(&stream, Duration::ZERO).await;
    }
}

/// Removes a stream when its task ends, also by a panic: its reader must not wait for ever.
struct Removal<'a> {
    streams: &'a Streams,
    stream: &'a Stream,
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        self.stream.end(StreamEnd::Broken);
        self.streams.remove(self.stream);
    }
}

/// Passes the events of an answer to the stream. Returns how it ended; `None` if no client wants it any more.
async fn relayed(streams: &Streams, stream: &Stream, answer: &mut impl Answer) -> Option<StreamEnd> {
    // The relay bounds the length of events.
    let mut splitter = Splitter::new(usize::MAX);
    let mut abandoned = pin!(streams.abandoned(stream, DRAIN_TIME));
    loop {
        let frame = tokio::select! {
            biased;
            () = &mut abandoned => return None,
            frame = poll_fn(|cx| answer.poll_frame(cx)) => frame,
        };
        let (mut rest, end) = match frame {
            Some(Ok(frame)) => {
                splitter.push(frame.into_data().unwrap_or_default());
                (None, None)
            }
            Some(Err(_)) => (splitter.finish(), Some(StreamEnd::Broken)),
            None => (splitter.finish(), Some(StreamEnd::Whole)),
        };
        while let Some(event) = rest.take().or_else(|| splitter.next_frame().ok().flatten()) {
            while !stream.offer(&event, answer.is_cancelled()) {
                tokio::select! {
                    biased;
                    () = &mut abandoned => return None,
                    () = stream.has_changed() => {}
                    () = answer.stop().cancelled() => {
                        // At the cut of a shutdown, the pump does not wait for a reader that takes nothing.
                        if !answer.is_cancelled() {
                            return None;
                        }
                    }
                }
            }
        }
        if end.is_some() {
            return end;
        }
    }
}

// === impl Streams ===

impl Streams {
    /// Waits until the stream has had no reader for the configured time since this call, or for `drain_time` since the
    /// process began to drain; no reader is accepted after that.
    async fn abandoned(&self, stream: &Stream, drain_time: Duration) {
        let began = Instant::now();
        loop {
            stream.is_read(false).await;
            let unread_since = stream.unread_since();
            let drained = async {
                self.draining.cancelled().await;
                tokio::time::sleep(drain_time).await;
            };
            tokio::select! {
                () = stream.is_read(true) => continue,
                () = tokio::time::sleep_until(unread_since.max(began) + self.reconnect_timeout) => {}
                () = drained => {}
            }
            // A reader may have come at the same moment, or come and gone.
            if stream.close(unread_since) {
                return;
            }
        }
    }
}

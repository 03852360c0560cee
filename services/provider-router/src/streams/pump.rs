//! The task that reads the relay of a stream.

use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};

use signalbox_core::sse::Splitter;

use super::{DRAIN_TIME, Stream, Streams, stream::StreamEnd};
use crate::relay::Relay;

/// Reads a stream to its end, keeps it for clients that come back, and removes it.
pub(super) async fn pump(streams: Arc<Streams>, stream: Arc<Stream>, mut relay: Box<Relay>) {
    let _removed = Removal { streams: &streams, stream: &stream };
    let end = relayed(&streams, &stream, &mut relay).await;
    // Ends the exchange, as the end of a connection does.
    drop(relay);
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

/// Passes the events of a relay to the stream. Returns how it ended; `None` if no client wants it any more.
async fn relayed(streams: &Streams, stream: &Stream, relay: &mut Relay) -> Option<StreamEnd> {
    // The relay bounds events itself.
    let mut splitter = Splitter::new(usize::MAX);
    let mut abandoned = pin!(streams.abandoned(stream, DRAIN_TIME));
    loop {
        let frame = tokio::select! {
            biased;
            () = &mut abandoned => return None,
            frame = poll_fn(|cx| relay.poll_frame(cx)) => frame,
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
            while !stream.offer(&event, relay.is_cancelled()) {
                tokio::select! {
                    biased;
                    () = &mut abandoned => return None,
                    () = stream.has_changed() => {}
                    () = relay.stop().cancelled() => {
                        // At the cut of a shutdown nobody waits for a reader that takes nothing.
                        if !relay.is_cancelled() {
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
    /// Waits until the stream has had no reader for the configured time, or for `drain_time` since the process began to
    /// drain; no reader is accepted after that.
    async fn abandoned(&self, stream: &Stream, drain_time: Duration) {
        loop {
            stream.is_read(false).await;
            let drained = async {
                self.draining.cancelled().await;
                tokio::time::sleep(drain_time).await;
            };
            tokio::select! {
                () = stream.is_read(true) => continue,
                () = tokio::time::sleep(self.reconnect_timeout) => {}
                () = drained => {}
            }
            // A reader may have come at the same moment.
            if stream.close() {
                return;
            }
        }
    }
}

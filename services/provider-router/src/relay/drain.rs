//! Reads the stream after the end event: passes on the rest of its blank line, and drops everything else.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::{
    DRAIN_TIMEOUT, FLUSH_PAUSE, Phase, Relay, join,
    line_end::{go_on, is_blank_line, missing},
};

impl Relay {
    /// Polls for the rest of the end event's blank line, which is supplied if the provider does not send it.
    pub(super) fn poll_line_end(&mut self, begun: &'static str, cx: &mut Context<'_>) -> Poll<Bytes> {
        loop {
            let next = match self.prefix.next() {
                Some(bytes) => Some(bytes),
                None => match self.source.poll_data(cx) {
                    Poll::Ready(next) => next.and_then(Result::ok),
                    Poll::Pending => {
                        ready!(self.poll_drain_deadline(cx));
                        None
                    }
                },
            };
            if next.as_ref().is_some_and(Bytes::is_empty) {
                continue;
            }
            self.line_end = None;
            let Some(bytes) = next else { return Poll::Ready(Bytes::from_static(missing(begun).as_bytes())) };
            let (taken, now) = go_on(begun, &bytes);
            if is_blank_line(now) {
                return Poll::Ready(bytes.slice(..taken));
            }
            if taken < bytes.len() {
                return Poll::Ready(join(&bytes[..taken], missing(now).as_bytes()));
            }
            self.line_end = Some(now);
            return Poll::Ready(bytes);
        }
    }

    /// Ready once the request has to end, or the time for the provider to end its stream is over.
    fn poll_drain_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let by = self.drained_by.get_or_insert_with(|| Box::pin(tokio::time::sleep(DRAIN_TIMEOUT)));
        by.as_mut().poll(cx)
    }

    /// Ready once the frames that were handed over have had time to be written.
    pub(super) fn poll_flush_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let by = self.drained_by.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSH_PAUSE)));
        by.as_mut().poll(cx)
    }

    /// Reads until the provider ends its stream, so that its connection can be reused; bounded in bytes and time.
    pub(super) fn poll_drained(&mut self, mut left: usize, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let dropped = match self.prefix.next() {
                Some(bytes) => bytes.len(),
                None => match self.source.poll_data(cx) {
                    Poll::Ready(Some(Ok(bytes))) => bytes.len(),
                    // The client has everything, so an error of the provider's connection does not matter.
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                    Poll::Pending => break,
                },
            };
            let Some(rest) = left.checked_sub(dropped) else { return Poll::Ready(()) };
            left = rest;
            self.phase = Phase::Draining { left };
        }
        self.poll_drain_deadline(cx)
    }
}

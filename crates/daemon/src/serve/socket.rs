//! The byte stream of a connection, which reports its activity to the [`ConnectionActivity`].
//!
//! # Half-closed connections
//! A client may close its sending half after its request and still read the answer. The end of its bytes looks the same
//! if it is gone. hyper takes it for gone, so the end is withheld from hyper while a request is being answered: for
//! [`HALF_CLOSED`], or until the answer ends once bytes of it have been taken for [`PROOF`], because the system of a
//! client that is gone resets the connection on the first of them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::connection_slots::ConnectionSlot;
use super::connection_timeouts::ConnectionActivity;

/// Maximum time a client that has closed its sending half waits for the beginning of its answer.
const HALF_CLOSED: Duration = Duration::from_secs(3);

/// Time after the first write at which another successful write proves that the client still reads. Longer than a round
/// trip.
const PROOF: Duration = Duration::from_millis(500);

/// A stream together with the guards of an open connection: its slot and its entry in the tracker. Outlives the
/// connection's task when the service upgrades it.
#[derive(Debug)]
pub(super) struct Socket<T> {
    stream: T,
    activity: Arc<ConnectionActivity>,
    end: End,
    _place: ConnectionSlot,
    _open: TaskTrackerToken,
}

/// The end of the client's bytes.
#[derive(Debug)]
enum End {
    /// It has not been seen, or has been passed on.
    No,
    /// It is withheld until the timer fires; `wrote` is the time of the first write since.
    Withheld { timer: Pin<Box<Sleep>>, wrote: Option<Instant> },
    /// It is withheld until the answer ends.
    Reads,
}

// === impl Socket ===

impl<T> Socket<T> {
    pub(super) const fn new(
        stream: T,
        activity: Arc<ConnectionActivity>,
        slot: ConnectionSlot,
        open: TaskTrackerToken,
    ) -> Self {
        Self { stream, activity, end: End::No, _place: slot, _open: open }
    }

    pub(super) const fn get_ref(&self) -> &T {
        &self.stream
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !matches!(self.end, End::No) {
            return self.poll_end(cx).map(Ok);
        }
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.on_read();
        } else if matches!(poll, Poll::Ready(Ok(()))) && buf.remaining() > 0 && self.activity.is_answering() {
            self.end = End::Withheld { timer: Box::pin(sleep(HALF_CLOSED)), wrote: None };
            return self.poll_end(cx).map(Ok);
        }
        poll
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<T> Socket<T> {
    /// Ready when the end of the client's bytes may be passed on. While it is withheld without a timer, the write that
    /// ends the answer makes hyper read again.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = !self.activity.is_answering();
        match &mut self.end {
            End::Withheld { timer, .. } if !is_over => timer.as_mut().poll(cx),
            End::Reads if !is_over => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    fn written(&mut self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match poll {
            Poll::Ready(Ok(_)) => {
                self.activity.on_write();
                if let End::Withheld { wrote, .. } = &mut self.end {
                    let now = Instant::now();
                    if now.duration_since(*wrote.get_or_insert(now)) >= PROOF {
                        self.end = End::Reads;
                    }
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.activity.on_write_blocked(),
        }
        poll
    }
}

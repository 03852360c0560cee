//! The request body while it arrives, bounded in time and in the total memory of all bodies.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection_timeouts::ConnectionActivity;
use crate::body::BodyError;

/// Bytes of each body that are not counted, so that small bodies pass regardless of the number of large ones.
const UNCOUNTED_BYTES: u64 = 64 << 10;

/// Counter of the bytes of arriving bodies beyond the first [`UNCOUNTED_BYTES`] of each.
#[derive(Debug)]
pub(super) struct ArrivalBudget {
    limit: u64,
    held: AtomicU64,
}

/// A request body.
///
/// It fails with [`BodyError::TooSlow`] when the client takes too long, and with [`BodyError::ArrivingLimit`] when too
/// many large bodies arrive at the same time. The received bytes count as arriving until the body is dropped.
#[derive(Debug)]
pub struct RequestBody {
    body: Incoming,
    activity: Arc<ConnectionActivity>,
    arrivals: Arc<ArrivalBudget>,
    /// Bytes received so far.
    received: u64,
    /// Number of received bytes that are counted in `arrivals`.
    counted: u64,
}

// === impl ArrivalBudget ===

impl ArrivalBudget {
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, held: AtomicU64::new(0) }
    }

    /// Reserves `more` bytes for a body that has already reserved `own`. A single body is always admitted, because its
    /// size has a limit of its own.
    fn reserve(&self, own: u64, more: u64) -> bool {
        let before = self.held.fetch_add(more, Relaxed);
        // `before <= own` means that no other body has reserved any bytes.
        if before <= own || before.saturating_add(more) <= self.limit {
            return true;
        }
        self.release(more);
        false
    }

    fn release(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Relaxed);
    }
}

// === impl RequestBody ===

impl RequestBody {
    pub(super) const fn new(body: Incoming, activity: Arc<ConnectionActivity>, arrivals: Arc<ArrivalBudget>) -> Self {
        Self { body, activity, arrivals, received: 0, counted: 0 }
    }

    /// Counts received bytes, except for the first [`UNCOUNTED_BYTES`].
    fn count(&mut self, bytes: u64) -> Result<(), BodyError> {
        self.received = self.received.saturating_add(bytes);
        let more = self.received.saturating_sub(UNCOUNTED_BYTES).saturating_sub(self.counted);
        if more > 0 {
            if !self.arrivals.reserve(self.counted, more) {
                return Err(BodyError::ArrivingLimit);
            }
            self.counted += more;
        }
        Ok(())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.activity.is_late() {
            return Poll::Ready(Some(Err(BodyError::TooSlow)));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.activity.on_body_wait();
            return Poll::Pending;
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.activity.on_body_read(bytes);
                Some(self.count(bytes).map(|()| frame))
            }
            Some(Err(error)) => {
                self.activity.on_body_read(0);
                tracing::debug!(%error, "request body is incomplete or malformed");
                Some(Err(BodyError::Broken))
            }
            None => {
                self.activity.on_body_read(0);
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.activity.on_body_read(0);
        if self.counted > 0 {
            self.arrivals.release(self.counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_body_memory_is_bounded_except_for_a_single_body() {
        let arrivals = ArrivalBudget::new(100);
        assert!(arrivals.reserve(0, 80));
        assert!(arrivals.reserve(80, 80), "no other body is being received");
        assert!(!arrivals.reserve(0, 1), "the next one");
        arrivals.release(160);
        assert!(arrivals.reserve(0, 60) && arrivals.reserve(0, 40));
        assert!(!arrivals.reserve(60, 1) && !arrivals.reserve(40, 1));
        arrivals.release(40);
        assert!(arrivals.reserve(60, 1));
        arrivals.release(61);
        assert_eq!(arrivals.held.load(Relaxed), 0);
    }
}

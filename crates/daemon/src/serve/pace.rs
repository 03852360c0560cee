//! How long a client may keep us waiting.
//!
//! ```text
//! accept ──> Head ──request──> Busy <──> Stalled
//!             ^                 │
//!             │            answer ends
//!             │                 v
//!             └── first byte ── Idle
//! ```
//!
//! (A request that waits in hyper's buffer already goes from `Idle` to `Busy` at once.)
//!
//! `Head` lasts as long as the header timeout, `Idle` as long as the idle timeout, `Busy` as long as the service takes, unless the
//! client takes nothing of what is written for as long as the write timeout (`Stalled`). All changes happen while the connection's own
//! task is polled, so looking at the state after each poll misses nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

const HEAD: u8 = 0;
const BUSY: u8 = 1;
const STALLED: u8 = 2;
const IDLE: u8 = 3;

/// How long each kind of waiting may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) write: Duration,
}

/// The state of one connection. Atomics stand in for a `Cell`, which could not move between threads with its task.
#[derive(Debug)]
pub(super) struct Pace {
    accepted: Instant,
    timeouts: Timeouts,
    phase: AtomicU8,
    /// Milliseconds after `accepted`; meaningless while busy.
    deadline: AtomicU64,
}

/// A request that is being answered. Its drop is the end of the answer.
#[derive(Debug)]
pub(super) struct Busy(Arc<Pace>);

// === impl Pace ===

impl Pace {
    /// A connection that was just accepted: the first head is due.
    pub(super) fn new(timeouts: Timeouts) -> Self {
        let pace = Self { accepted: Instant::now(), timeouts, phase: AtomicU8::new(HEAD), deadline: AtomicU64::new(0) };
        pace.due_in(timeouts.header);
        pace
    }

    /// Bytes came: of a new head, unless a request is running.
    pub(super) fn heard(&self) {
        if self.phase.load(Relaxed) == IDLE {
            self.phase.store(HEAD, Relaxed);
            self.due_in(self.timeouts.header);
        }
    }

    /// Bytes went out. The service may have ended long before the last of them is taken by a slow reader.
    pub(super) fn wrote(&self) {
        match self.phase.load(Relaxed) {
            IDLE => self.due_in(self.timeouts.idle),
            STALLED => self.phase.store(BUSY, Relaxed),
            _ => {}
        }
    }

    /// There are bytes to write and the client takes none.
    pub(super) fn stalled(&self) {
        if self.phase.load(Relaxed) == BUSY {
            self.phase.store(STALLED, Relaxed);
            self.due_in(self.timeouts.write);
        }
    }

    /// A request is complete up to its body.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.phase.store(BUSY, Relaxed);
        Busy(Arc::clone(self))
    }

    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.phase.load(Relaxed), BUSY | STALLED)
    }

    /// A timer for [`poll_overdue`](Self::poll_overdue).
    pub(super) fn timer(&self) -> Sleep {
        sleep_until(self.accepted + self.timeouts.header)
    }

    /// Ready when the client has kept us waiting for too long. `Pending` while busy, without a wake-up: what ends a request polls the
    /// task anyway.
    pub(super) fn poll_overdue(&self, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        if self.phase.load(Relaxed) == BUSY {
            return Poll::Pending;
        }
        let deadline = self.accepted + Duration::from_millis(self.deadline.load(Relaxed));
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            // A deadline that moved into the future has not touched the timer: setting it anew per request would cost more.
            if deadline <= timer.deadline() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }

    fn due_in(&self, timeout: Duration) {
        let due = self.accepted.elapsed().saturating_add(timeout).as_millis();
        self.deadline.store(u64::try_from(due).unwrap_or(u64::MAX), Relaxed);
    }
}

// === impl Busy ===

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.phase.store(IDLE, Relaxed);
        self.0.due_in(self.0.timeouts.idle);
    }
}

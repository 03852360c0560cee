//! How long a client may keep us waiting.
//!
//! ```text
//! accept ──> Head ──request──> Busy <──> Stalled
//!             ^               │   ^
//!             │     bytes of  │   │ a byte, or
//!             │     the body  v   │ its end
//!             │    are missing Body ──overdue──> Late
//!             │                                    │
//!             │           answer ends <────────────┘
//!             │                 v
//!             └── first byte ── Idle ──room is needed──> Leaving
//! ```
//!
//! (A request that waits in hyper's buffer already goes from `Idle` to `Busy` at once.)
//!
//! `Head` lasts as long as the header timeout, `Idle` as long as the idle timeout, `Busy` as long as the service takes, unless the
//! client takes nothing of what is written for as long as the write timeout (`Stalled`).
//!
//! `Body` lasts while the service waits for bytes of the request's body: each time as long as the body timeout at most, and all
//! times together as long as the body timeout and a second per [`Timeouts::body_rate`] bytes that have arrived. Time in which nobody
//! reads the body is not the client's. When the time is over (`Late`), the body ends with an error for the service, which has
//! [`TO_ANSWER`] to say so to the client.
//!
//! All changes but two happen while the connection's own task is polled, so looking at the state after each poll misses nothing. The
//! others are those of [`Pace::make_room`], which wakes that task.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};

const HEAD: u8 = 0;
const BUSY: u8 = 1;
const STALLED: u8 = 2;
const IDLE: u8 = 3;
const BODY: u8 = 4;
const LATE: u8 = 5;
const LEAVING: u8 = 6;

/// Time a service has to answer a request whose body is late.
pub(super) const TO_ANSWER: Duration = Duration::from_secs(5);

/// Time a client may take with a head or a body before its connection is one of those that make room for others. A request that is
/// on its way is spared.
pub(super) const SPARED: Duration = Duration::from_millis(100);

/// Stands for a moment that has not been read off the clock yet.
const UNKNOWN: u64 = u64::MAX;

/// How long each kind of waiting may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) write: Duration,
    pub(super) body: Duration,
    /// Bytes per second a body has to bring, on average.
    pub(super) body_rate: u64,
}

/// What a connection waits for that can make room for another, the first to go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waiting {
    /// The next request.
    Request,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}

/// The state of one connection. Atomics stand in for a `Cell`, which could not move between threads with its task.
#[derive(Debug)]
pub(super) struct Pace {
    accepted: Instant,
    timeouts: Timeouts,
    phase: AtomicU8,
    /// Milliseconds after `accepted`; meaningless while busy.
    deadline: AtomicU64,
    /// The present wait for a body: its begin in milliseconds after `accepted`, or [`UNKNOWN`].
    body_since: AtomicU64,
    /// Milliseconds of all waits for the present body before.
    body_waited: AtomicU64,
    /// Bytes of the present body that have arrived.
    body_bytes: AtomicU64,
    /// Of the connection's task, while somebody else may end the waiting.
    waker: AtomicWaker,
}

/// A request that is being answered. Its drop is the end of the answer.
#[derive(Debug)]
pub(super) struct Busy {
    pace: Arc<Pace>,
    /// Room was needed when it came.
    last: bool,
}

// === impl Pace ===

impl Pace {
    /// A connection that was just accepted: the first head is due.
    pub(super) fn new(timeouts: Timeouts) -> Self {
        let pace = Self {
            accepted: Instant::now(),
            timeouts,
            phase: AtomicU8::new(HEAD),
            deadline: AtomicU64::new(0),
            body_since: AtomicU64::new(UNKNOWN),
            body_waited: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            waker: AtomicWaker::new(),
        };
        pace.due_in(timeouts.header);
        pace
    }

    /// Bytes came: of a new head, unless a request is running.
    pub(super) fn heard(&self) {
        if self.phase.load(Relaxed) == IDLE && self.change(IDLE, HEAD) {
            self.due_in(self.timeouts.header);
        }
    }

    /// Bytes went out. The service may have ended long before the last of them is taken by a slow reader.
    pub(super) fn wrote(&self) {
        match self.phase.load(Relaxed) {
            IDLE => self.due_in(self.timeouts.idle),
            STALLED => drop(self.change(STALLED, BUSY)),
            _ => {}
        }
    }

    /// There are bytes to write and the client takes none.
    pub(super) fn stalled(&self) {
        if self.phase.load(Relaxed) == BUSY {
            self.due_in(self.timeouts.write);
            self.change(BUSY, STALLED);
        }
    }

    /// A request is complete up to its body.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.body_since.store(UNKNOWN, Relaxed);
        self.body_waited.store(0, Relaxed);
        self.body_bytes.store(0, Relaxed);
        let last = self.phase.swap(BUSY, Relaxed) == LEAVING;
        Busy { pace: Arc::clone(self), last }
    }

    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.phase.load(Relaxed), BUSY | STALLED | BODY | LATE)
    }

    /// The service waits for bytes of the body. The clock is read only if it still does when the task's poll ends.
    pub(super) fn waits_for_body(&self) {
        if self.phase.load(Relaxed) == BUSY {
            self.body_since.store(UNKNOWN, Relaxed);
            self.change(BUSY, BODY);
        }
    }

    /// Bytes of the body have come, or none will be waited for any more.
    pub(super) fn body_arrived(&self, bytes: u64) {
        if bytes > 0 {
            self.body_bytes.fetch_add(bytes, Relaxed);
        }
        if self.phase.load(Relaxed) == BODY && self.change(BODY, BUSY) {
            let since = self.body_since.load(Relaxed);
            if since != UNKNOWN {
                self.body_waited.fetch_add(self.now().saturating_sub(since), Relaxed);
            }
        }
    }

    /// Whether the client has taken too long with the body of the present request.
    pub(super) fn is_late(&self) -> bool {
        self.phase.load(Relaxed) == LATE
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
        self.waker.register(cx.waker());
        match self.phase.load(Relaxed) {
            BUSY => return Poll::Pending,
            LEAVING => return Poll::Ready(()),
            BODY if self.body_since.load(Relaxed) == UNKNOWN => self.begin_wait(),
            _ => {}
        }
        loop {
            let deadline = self.accepted + Duration::from_millis(self.deadline.load(Relaxed));
            // A deadline that moved into the future has not touched the timer: setting it anew per request would cost more.
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(cx));
            if deadline > timer.deadline() {
                timer.as_mut().reset(deadline);
            } else if self.phase.load(Relaxed) != BODY {
                return Poll::Ready(());
            } else {
                self.give_up_body();
                cx.waker().wake_by_ref();
            }
        }
    }

    /// Since when the client has kept us waiting, if its connection may be closed to make room for another.
    pub(super) fn waiting(&self, now: Instant) -> Option<(Waiting, Instant)> {
        let deadline = Duration::from_millis(self.deadline.load(Relaxed));
        let (waiting, since) = match self.phase.load(Relaxed) {
            IDLE => return Some((Waiting::Request, self.accepted + deadline.saturating_sub(self.timeouts.idle))),
            HEAD => (Waiting::Head, deadline.saturating_sub(self.timeouts.header)),
            BODY => match self.body_since.load(Relaxed) {
                UNKNOWN => return None,
                since => (Waiting::Body, Duration::from_millis(since)),
            },
            _ => return None,
        };
        let since = self.accepted + since;
        (now >= since + SPARED).then_some((waiting, since))
    }

    /// Ends the connection to make room for another, unless it has stopped waiting meanwhile. One that waits for a body is answered
    /// before.
    pub(super) fn make_room(&self, waiting: Waiting) -> bool {
        let made = match waiting {
            Waiting::Request => self.change(IDLE, LEAVING),
            Waiting::Head => self.change(HEAD, LEAVING),
            Waiting::Body => self.give_up_body(),
        };
        if made {
            self.waker.wake();
        }
        made
    }

    /// A wait for a body begins.
    fn begin_wait(&self) {
        let now = self.now();
        self.body_since.store(now, Relaxed);
        let body = millis(self.timeouts.body);
        let earned = self.body_bytes.load(Relaxed).saturating_mul(1000) / self.timeouts.body_rate.max(1);
        let left = body.saturating_add(earned).saturating_sub(self.body_waited.load(Relaxed));
        self.deadline.store(now.saturating_add(left.min(body)), Relaxed);
    }

    fn give_up_body(&self) -> bool {
        let given_up = self.change(BODY, LATE);
        if given_up {
            self.due_in(TO_ANSWER);
        }
        given_up
    }

    /// Changes the phase, unless it is another one by now.
    fn change(&self, from: u8, to: u8) -> bool {
        self.phase.compare_exchange(from, to, Relaxed, Relaxed).is_ok()
    }

    /// Milliseconds after `accepted`.
    fn now(&self) -> u64 {
        millis(self.accepted.elapsed())
    }

    fn due_in(&self, timeout: Duration) {
        self.deadline.store(millis(self.accepted.elapsed().saturating_add(timeout)), Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

// === impl Busy ===

impl Busy {
    /// Whether the answer is the last one on its connection: the client is late, or others need the room.
    pub(super) fn is_last(&self) -> bool {
        self.last || self.pace.is_late()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.pace.due_in(self.pace.timeouts.idle);
        self.pace.phase.store(IDLE, Relaxed);
    }
}

#[cfg(test)]
mod tests;

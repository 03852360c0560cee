//! The timeouts of a connection, as a state machine.
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
//! (A request that is already in hyper's buffer changes from `Idle` to `Busy` directly.)
//!
//! `Head` lasts at most for the header timeout, and `Idle` for the idle timeout. `Busy` lasts as long as the service
//! takes, unless the client reads nothing of the pending response for the write timeout (`Stalled`).
//!
//! `Body` lasts while the service waits for bytes of the request body: each wait at most for the body timeout, and all
//! waits together for the body timeout plus one second per [`Timeouts::body_rate`] bytes received. Time in which the
//! service does not read the body is not counted. After that (`Late`), the body fails with an error, and the service
//! has [`LATE_BODY_RESPONSE_TIMEOUT`] to report it to the client. The body of a request that arrived on a connection in
//! `Leaving` has only
//! [`LAST_BODY`], because another client waits for the slot.
//!
//! A connection that carries several requests at the same time (HTTP/2) has the phases `Head`, `Busy`, `Stalled`,
//! `Idle` and `Leaving` only. Each request has a pace of its own, with the phases `Busy`, `Stalled`, `Body` and `Late`.
//!
//! All transitions except two happen while the connection's own task is polled, so checking the state after each poll
//! misses none. The exceptions are those of [`ConnectionActivity::try_evict`], which wakes that task.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
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
const CLOSING: u8 = 6;

/// Time a service has to answer a request whose body is late.
pub(super) const LATE_BODY_RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time a client may take for a head or a body before its connection may be evicted, so that requests in transit are
/// spared.
pub(super) const EVICTION_GRACE: Duration = Duration::from_millis(100);

/// Body timeout of a request that arrived on a connection chosen for eviction: enough for bytes that are there already,
/// which hyper reads in the task's next poll.
const LAST_BODY: Duration = Duration::from_millis(25);

/// Marker for an instant that has not been determined yet.
const UNSET: u64 = u64::MAX;

/// Maximum duration of each kind of wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) write: Duration,
    pub(super) body: Duration,
    /// Minimum average rate of a body in bytes per second.
    pub(super) body_rate: u64,
}

/// Wait during which a connection may be evicted, in the order of eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WaitKind {
    /// For the next request.
    Request,
    /// For the rest of a head.
    Head,
    /// For the rest of a body.
    Body,
}

/// State of one connection. The atomics are used like a `Cell`, but are `Sync`, so that the task can move between
/// threads.
#[derive(Debug)]
pub(super) struct ConnectionActivity {
    accepted: Instant,
    timeouts: Timeouts,
    phase: AtomicU8,
    /// Deadline in milliseconds after `accepted`; meaningless while busy.
    deadline: AtomicU64,
    /// Start of the present wait for a body in milliseconds after `accepted`, or [`UNSET`].
    body_since: AtomicU64,
    /// Total duration of the earlier waits for the present body, in milliseconds.
    body_waited: AtomicU64,
    /// Bytes of the present body received so far.
    body_bytes: AtomicU64,
    /// Whether the connection was chosen for eviction just before the present request arrived.
    last: AtomicBool,
    /// Whether the connection carries several requests at the same time, each of which has a pace of its own.
    is_multiplexed: AtomicBool,
    /// Waker of the connection's task, for an eviction by another task.
    waker: AtomicWaker,
}

/// A request in progress. Its drop marks the end of the response.
#[derive(Debug)]
pub(super) struct InFlightGuard {
    activity: Arc<ConnectionActivity>,
}

// === impl ConnectionActivity ===

impl ConnectionActivity {
    /// Creates the state of a connection that was just accepted and has to send its first head.
    pub(super) fn new(timeouts: Timeouts) -> Self {
        let activity = Self {
            accepted: Instant::now(),
            timeouts,
            phase: AtomicU8::new(HEAD),
            deadline: AtomicU64::new(0),
            body_since: AtomicU64::new(UNSET),
            body_waited: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            last: AtomicBool::new(false),
            is_multiplexed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        };
        activity.due_in(timeouts.header);
        activity
    }

    /// Records that the connection carries several requests at the same time (HTTP/2). It is busy while there is any of
    /// them. Received bytes are often no part of a request, so they do not end the idle phase.
    pub(super) fn multiplex(&self) {
        self.is_multiplexed.store(true, Relaxed);
    }

    /// Records received bytes, which start a new head unless a request is in progress.
    pub(super) fn on_read(&self) {
        if !self.is_multiplexed.load(Relaxed) && self.phase.load(Relaxed) == IDLE && self.change(IDLE, HEAD) {
            self.due_in(self.timeouts.header);
        }
    }

    /// Records sent bytes. A slow reader may still be receiving the response long after the service has finished it.
    pub(super) fn on_write(&self) {
        match self.phase.load(Relaxed) {
            IDLE => self.due_in(self.timeouts.idle),
            STALLED => drop(self.change(STALLED, BUSY)),
            _ => {}
        }
    }

    /// Records that the client does not accept pending bytes.
    pub(super) fn on_write_blocked(&self) {
        if self.phase.load(Relaxed) == BUSY {
            self.due_in(self.timeouts.write);
            self.change(BUSY, STALLED);
        }
    }

    /// Records that a request head is complete. The response ends when the returned guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> InFlightGuard {
        self.body_since.store(UNSET, Relaxed);
        self.body_waited.store(0, Relaxed);
        self.body_bytes.store(0, Relaxed);
        self.last.store(self.phase.swap(BUSY, Relaxed) == CLOSING, Relaxed);
        InFlightGuard { activity: Arc::clone(self) }
    }

    /// Returns `true` if a request is in progress.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.phase.load(Relaxed), BUSY | STALLED | BODY | LATE)
    }

    /// Returns `true` while a request is being answered and nothing more is expected from the client.
    pub(super) fn is_answering(&self) -> bool {
        matches!(self.phase.load(Relaxed), BUSY | STALLED)
    }

    /// Records that the service waits for bytes of the body. The clock is read only if it still waits when the task's
    /// poll ends.
    pub(super) fn on_body_wait(&self) {
        if self.phase.load(Relaxed) == BUSY {
            self.body_since.store(UNSET, Relaxed);
            self.change(BUSY, BODY);
        }
    }

    /// Records received bytes of the body, or, with 0, that no more bytes are awaited.
    pub(super) fn on_body_read(&self, bytes: u64) {
        if bytes > 0 {
            self.body_bytes.fetch_add(bytes, Relaxed);
        }
        if self.phase.load(Relaxed) == BODY && self.change(BODY, BUSY) {
            let since = self.body_since.load(Relaxed);
            if since != UNSET {
                self.body_waited.fetch_add(self.now().saturating_sub(since), Relaxed);
            }
        }
    }

    /// Returns `true` if the client has taken too long for the body of the present request.
    pub(super) fn is_late(&self) -> bool {
        self.phase.load(Relaxed) == LATE
    }

    /// Returns `true` if the connection is closing for its eviction: it has no request that still has to be answered in
    /// full.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.phase.load(Relaxed), CLOSING | LATE)
    }

    /// Returns `true` if a multiplexed connection has to take no further requests, because it was chosen for eviction
    /// just before the present ones arrived.
    pub(super) fn must_close(&self) -> bool {
        self.is_multiplexed.load(Relaxed) && self.last.load(Relaxed)
    }

    /// Returns a timer for [`poll_overdue`](Self::poll_overdue).
    pub(super) fn timer(&self) -> Sleep {
        sleep_until(self.accepted + self.timeouts.header)
    }

    /// Becomes ready when the client has exceeded a timeout. Returns `Pending` without registering a waker while busy,
    /// because the end of a request polls the task anyway.
    pub(super) fn poll_overdue(&self, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        // The last request of a multiplexed connection ends in another task.
        if self.phase.load(Relaxed) == BUSY && !self.is_multiplexed.load(Relaxed) {
            return Poll::Pending;
        }
        // Registered before the phase is loaded again, so that an eviction in between is not missed.
        self.waker.register(cx.waker());
        match self.phase.load(Relaxed) {
            BUSY => return Poll::Pending,
            CLOSING => return Poll::Ready(()),
            BODY if self.body_since.load(Relaxed) == UNSET => self.begin_wait(),
            _ => {}
        }
        loop {
            let deadline = self.accepted + Duration::from_millis(self.deadline.load(Relaxed));
            // When the deadline moves later, the timer is left to fire early and is then reset: resetting it per
            // request would cost more.
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

    /// Returns the kind of wait and its start, if the connection may be evicted now.
    pub(super) fn waiting(&self, now: Instant) -> Option<(WaitKind, Instant)> {
        let deadline = Duration::from_millis(self.deadline.load(Relaxed));
        let (waiting, since) = match self.phase.load(Relaxed) {
            IDLE => return Some((WaitKind::Request, self.accepted + deadline.saturating_sub(self.timeouts.idle))),
            HEAD => (WaitKind::Head, deadline.saturating_sub(self.timeouts.header)),
            BODY => match self.body_since.load(Relaxed) {
                UNSET => return None,
                since => (WaitKind::Body, Duration::from_millis(since)),
            },
            _ => return None,
        };
        let since = self.accepted + since;
        (now >= since + EVICTION_GRACE).then_some((waiting, since))
    }

    /// Evicts the connection and returns `true`, unless its state has changed meanwhile. A connection that waits for a
    /// body gets a response first.
    pub(super) fn try_evict(&self, waiting: WaitKind) -> bool {
        let made = match waiting {
            WaitKind::Request => self.change(IDLE, CLOSING),
            WaitKind::Head => self.change(HEAD, CLOSING),
            WaitKind::Body => self.give_up_body(),
        };
        if made {
            self.waker.wake();
        }
        made
    }

    /// Starts a wait for a body and sets its deadline.
    fn begin_wait(&self) {
        let now = self.now();
        self.body_since.store(now, Relaxed);
        let body = if self.last.load(Relaxed) { LAST_BODY } else { self.timeouts.body };
        let body = millis(body);
        let earned = self.body_bytes.load(Relaxed).saturating_mul(1000) / self.timeouts.body_rate.max(1);
        let left = body.saturating_add(earned).saturating_sub(self.body_waited.load(Relaxed));
        self.deadline.store(now.saturating_add(left.min(body)), Relaxed);
    }

    fn give_up_body(&self) -> bool {
        let given_up = self.change(BODY, LATE);
        if given_up {
            self.due_in(LATE_BODY_RESPONSE_TIMEOUT);
        }
        given_up
    }

    /// Changes the phase and returns `true`, unless it is no longer `from`.
    fn change(&self, from: u8, to: u8) -> bool {
        self.phase.compare_exchange(from, to, Relaxed, Relaxed).is_ok()
    }

    /// Returns the milliseconds since `accepted`.
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

// === impl InFlightGuard ===

impl InFlightGuard {
    /// Returns `true` if the connection has to close after this response: the body is late, or the slot is needed.
    pub(super) fn is_last(&self) -> bool {
        self.activity.last.load(Relaxed) || self.activity.is_late()
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.activity.due_in(self.activity.timeouts.idle);
        self.activity.phase.store(IDLE, Relaxed);
        if self.activity.is_multiplexed.load(Relaxed) {
            self.activity.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;

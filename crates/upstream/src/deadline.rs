//! The deadlines of an exchange, and the timer that they share.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::error::{Error, ProxyError};
use crate::proxy::Proxy;

/// Maximum durations of the parts of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Resolving the name, connecting and the TLS handshake together; 5 s by default.
    pub connect: Duration,
    /// From the call of `send` until the head of the response is complete; 60 s by default. Includes connecting and
    /// sending the body of the request.
    pub headers: Duration,
    /// Waiting for the next chunk of the body; 120 s by default. The time that the reader takes does not count.
    pub idle: Duration,
    /// The whole exchange, until the last byte of the body; 30 min by default.
    pub total: Duration,
}

/// The deadlines of one exchange, which began at `started`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    deadlines: Deadlines,
}

/// One timer for all deadlines of an exchange in sequence.
///
/// A stream renews its idle deadline with every chunk. A deadline that moves *later* therefore does not reset the
/// timer: the timer fires at the old time and is only then reset, once per idle period instead of once per chunk.
#[derive(Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

// === impl Deadlines ===

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            headers: Duration::from_secs(60),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(30 * 60),
        }
    }
}

// === impl Clock ===

impl Clock {
    pub(crate) fn start(deadlines: &Deadlines) -> Self {
        Self { started: Instant::now(), deadlines: *deadlines }
    }

    /// Returns the deadline for connecting, if it begins now.
    pub(crate) fn connect_due(&self) -> Instant {
        after(Instant::now(), self.deadlines.connect).min(self.head_due().0)
    }

    /// Returns the deadline for the head of the response, and the error to report if it passes.
    pub(crate) fn head_due(&self) -> (Instant, fn(&Self) -> Error) {
        if self.deadlines.total < self.deadlines.headers {
            (self.total_due(), Self::total_timeout)
        } else {
            (after(self.started, self.deadlines.headers), |clock| Error::HeadersTimeout {
                after: clock.deadlines.headers,
            })
        }
    }

    /// Returns the deadline for a chunk that has been awaited since `since`, and the error to report if it passes.
    pub(crate) fn chunk_due(&self, since: Instant) -> (Instant, fn(&Self) -> Error) {
        let idle_due = after(since, self.deadlines.idle);
        let total_due = self.total_due();
        if total_due <= idle_due {
            (total_due, Self::total_timeout)
        } else {
            (idle_due, |clock| Error::IdleTimeout { after: clock.deadlines.idle })
        }
    }

    /// Returns the error for a connection, through `proxy` if there is one, that took too long.
    pub(crate) fn connect_timeout(&self, proxy: Option<&Proxy>) -> Error {
        let after = self.deadlines.connect.min(self.deadlines.headers);
        match proxy {
            Some(proxy) => Error::Proxy { proxy: proxy.to_string(), source: ProxyError::Timeout(after) },
            None => Error::ConnectTimeout { after },
        }
    }

    /// Returns whether the time for the whole exchange is over. Unlike a timer, this is also known while bytes are
    /// always ready, and in a task without budget.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.total_due()
    }

    pub(crate) fn total_due(&self) -> Instant {
        after(self.started, self.deadlines.total)
    }

    pub(crate) fn total_timeout(&self) -> Error {
        Error::TotalTimeout { after: self.deadlines.total }
    }
}

/// Returns `start + duration`, with `duration` limited to one year, so that the sum cannot overflow.
fn after(start: Instant, duration: Duration) -> Instant {
    const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    start + duration.min(MAX_DURATION)
}

// === impl Timer ===

impl Timer {
    /// Completes when `due` has passed.
    pub(crate) fn poll_until(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_timer_follows_earlier_and_later_deadlines() {
        let start = Instant::now();
        let mut timer = Timer::default();
        let mut at = async |seconds| {
            poll_fn(|cx| timer.poll_until(start + Duration::from_secs(seconds), cx)).await;
            start.elapsed().as_secs()
        };
        assert_eq!(at(10).await, 10);
        assert_eq!(at(30).await, 30);
        assert_eq!(at(20).await, 30, "a past deadline expires at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_moved_before_it_fires_is_honoured() {
        for (first, second) in [(60, 5), (5, 60)] {
            let start = Instant::now();
            let mut timer = Timer::default();
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                let seconds = if polls == 1 { first } else { second };
                let poll = timer.poll_until(start + Duration::from_secs(seconds), cx);
                if polls == 1 {
                    assert!(poll.is_pending());
                    cx.waker().wake_by_ref();
                }
                poll
            })
            .await;
            assert_eq!(start.elapsed().as_secs(), second);
        }
    }

    #[test]
    fn endless_deadlines_do_not_overflow() {
        let endless =
            Deadlines { connect: Duration::MAX, headers: Duration::MAX, idle: Duration::MAX, total: Duration::MAX };
        let clock = Clock::start(&endless);
        assert!(clock.head_due().0 > Instant::now());
        assert!(clock.chunk_due(Instant::now()).0 > Instant::now());
    }
}

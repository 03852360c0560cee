//! Queues of requests that wait for a limit of the rate.

use std::sync::Arc;

use signalbox_core::schema::Priority;
use tokio::time::Instant;

use super::account::Account;

/// Place of a request in every queue in which it waits; the smallest comes first. All queues have the same order, so
/// requests that wait in several of them never wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) priority: Priority,
    /// Number of its arrival.
    pub(super) number: u64,
}

/// A request in the queue of an account. Dropping it leaves the queue.
#[derive(Debug)]
pub(super) struct Queued {
    account: Arc<Account>,
    place: Place,
    until: Instant,
}

// === impl Queued ===

impl Queued {
    pub(super) const fn new(account: Arc<Account>, place: Place, until: Instant) -> Self {
        Self { account, place, until }
    }

    pub(super) fn is_of(&self, account: &Arc<Account>) -> bool {
        Arc::ptr_eq(&self.account, account)
    }

    /// Returns the time at which the request has waited long enough.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.account.leave(self.place);
    }
}

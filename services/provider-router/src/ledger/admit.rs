//! Admission of a request to all of its accounts, and the waits before it.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
};

use signalbox_core::schema::Priority;
use tokio::time::{Instant, timeout_at};

use super::{
    Denial, Estimate, Ledger, Reservation, Selected,
    account::{Account, Place, Queued},
};

// === impl Ledger ===

impl Ledger {
    /// Reserves what a request may use. Waits while requests in flight may use the rest of a budget, and in the queues of
    /// the limits, if they have any, but not beyond `latest`.
    ///
    /// # Errors
    /// Returns the limit that is reached: at once if it has no queue, if its queue is full, or if as many requests wait
    /// in all queues as [may](Ledger::new).
    pub async fn admit(
        self: &Arc<Self>,
        selected: &Selected,
        estimate: &Estimate,
        (priority, latest): (Priority, Instant),
    ) -> Result<Reservation, Denial> {
        let place = Place { priority, number: self.arrivals.fetch_add(1, Ordering::Relaxed) };
        let (mut queued, mut queued_until): (Option<Queued>, _) = (None, None);
        let mut permit = None;
        loop {
            let (denial, account) = match self.reserve(selected, estimate, self.now(), place) {
                Ok(reservation) => return Ok(reservation),
                Err(denied) => denied,
            };
            if permit.is_none() && may_wait(&denial) {
                permit = self.waiting.try_acquire().ok();
                if permit.is_none() {
                    return Err(denial);
                }
            }
            // A request waits in one queue only, because it would block the requests behind it in any other one. Its
            // arrival number keeps its place.
            if queued.as_ref().is_some_and(|queued| !queued.is_of(&account)) {
                queued = None;
            }
            let (until, _waiting) = match &denial {
                Denial::Reserved { .. } => match account.wait() {
                    Some(waiting) => (latest, Some(waiting)),
                    None => return Err(denial),
                },
                _ => match until((&mut queued, &mut queued_until), &denial, &account, place) {
                    Some(until) => (until, None),
                    None => return Err(denial),
                },
            };
            let mut released = pin!(account.released.notified());
            // Registered before the next attempt, so that no release in between is missed.
            released.as_mut().enable();
            let (denial, blocking) = match self.reserve(selected, estimate, self.now(), place) {
                Ok(reservation) => return Ok(reservation),
                Err(denied) => denied,
            };
            if !Arc::ptr_eq(&blocking, &account) {
                continue;
            }
            if !may_wait(&denial) {
                return Err(denial);
            }
            let again = denial.retry_after().filter(|_| denial.is_of_rate()).map(|wait| Instant::now() + wait);
            let until = until.min(latest);
            let wake = again.map_or(until, |again| again.min(until));
            if timeout_at(wake, released).await.is_err() && Instant::now() >= until {
                return Err(denial);
            }
        }
    }
}

/// Returns whether time may bring the admission, other than the end of the period of a budget.
const fn may_wait(denial: &Denial) -> bool {
    denial.is_of_rate() || matches!(denial, Denial::Reserved { .. })
}

/// Returns the time until which a request waits for an account, after it has joined its queue; `None` if it must not
/// wait. The shortest time of all queues that it has joined counts.
fn until(
    (queued, queued_until): (&mut Option<Queued>, &mut Option<Instant>),
    denial: &Denial,
    account: &Arc<Account>,
    place: Place,
) -> Option<Instant> {
    if !denial.is_of_rate() {
        return None;
    }
    if queued.is_none() {
        let joined = account.enqueue(place)?;
        *queued_until = Some(queued_until.map_or(joined.until(), |until| until.min(joined.until())));
        *queued = Some(joined);
    }
    *queued_until
}

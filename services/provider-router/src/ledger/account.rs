//! Account of one key, one owner, one route, one provider or the whole gateway.

use std::collections::BTreeSet;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use signalbox_core::schema::{KeyBudget, KeyLimits, Priority};
use tokio::{
    sync::Notify,
    time::{Duration, Instant},
};

use super::{
    Denial, Estimate, Now, Quota, Quotas, Scope,
    spend::{Budget, Room, Spend},
    window::Window,
};

/// Maximum number of requests that wait for the budget of one account: an eighth of the default
/// `limits.max_in_flight`, because each holds one of those permits.
pub(super) const MAX_WAITING: u32 = 512;

/// Limits, and what was used of them. Requests that share it lock it for some hundred nanoseconds.
#[derive(Debug)]
pub(super) struct Account {
    scope: Scope,
    state: Mutex<State>,
    /// Woken when a reservation ends.
    pub(super) released: Notify,
    /// Number of requests that wait for that.
    waiting: AtomicU32,
}

/// A request that waits for a reservation to end.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a Account);

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

#[derive(Debug, Default)]
struct State {
    limits: KeyLimits,
    budget: Option<Budget>,
    requests: Window,
    tokens: Window,
    in_flight: u32,
    spend: Spend,
    /// Requests that wait for the limits of the rate, the next one first.
    line: BTreeSet<Place>,
}

/// A reservation in one account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    /// Second of the windows in which the request was admitted.
    second: u64,
    tokens: u64,
    estimate: i64,
    /// Beginning of the period of the budget; `None` without a budget.
    period: Option<i64>,
}

// === impl Account ===

impl Account {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, state: Mutex::default(), released: Notify::new(), waiting: AtomicU32::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the sums inconsistent, because no step of a change can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the limits; what was used stays. Returns whether the sums in the database are needed now.
    pub(super) fn set(&self, limits: KeyLimits, budget: Option<&KeyBudget>, now_ms: i64) -> bool {
        let mut state = self.state();
        let budget = budget.map(Budget::new);
        let is_new = budget.map(|budget| budget.period) != state.budget.map(|budget| budget.period);
        if is_new {
            // The amounts of another period cannot be used. Requests in flight stay reserved.
            state.spend.restart(now_ms);
        }
        state.limits = limits;
        state.budget = budget;
        // Requests that wait for the budget may be admitted, or refused, now.
        drop(state);
        self.released.notify_waiters();
        is_new && budget.is_some()
    }

    pub(super) fn has_budget(&self) -> bool {
        self.state().budget.is_some()
    }

    /// Returns whether an estimate of tokens is needed.
    pub(super) fn needs_estimate(&self) -> bool {
        let state = self.state();
        state.budget.is_some() || state.limits.tpm.is_some()
    }

    /// Reserves all that a request may use, or nothing.
    pub(super) fn reserve(&self, now: Now, estimate: &Estimate, place: Place) -> Result<Ticket, Denial> {
        let mut state = self.state();
        let KeyLimits { rpm, tpm, .. } = state.limits;
        if let Some(denial) = state.denial(&self.scope, now, estimate.tokens) {
            return Err(denial);
        }
        if state.line.first().is_some_and(|first| *first < place) {
            return Err(Denial::Queued { scope: self.scope.clone() });
        }
        let mut period = None;
        if let Some(budget) = state.budget {
            state.spend.advance(budget.period, now.unix_ms);
            match state.spend.room(budget.nanos, estimate.nanos) {
                Room::Yes => period = Some(state.spend.start()),
                Room::Later => return Err(Denial::Reserved { scope: self.scope.clone() }),
                Room::No => {
                    let resets_at = super::period::end(budget.period, now.unix_ms);
                    return Err(Denial::Spent { scope: self.scope.clone(), nanos: budget.nanos, resets_at });
                }
            }
        }
        state.in_flight += 1;
        // An amount beyond the limit counts as the limit, so that it can be admitted at all.
        let tokens = tpm.map_or(0, |limit| estimate.tokens.min(limit));
        let second = state.requests.add(now.monotonic_ms, u64::from(rpm.is_some()));
        state.tokens.add(now.monotonic_ms, tokens);
        if period.is_some() {
            state.spend.reserve(estimate.nanos);
        }
        Ok(Ticket { second, tokens, estimate: estimate.nanos, period })
    }

    /// Returns the limit of the rate because of which [`Account::reserve`] would fail now.
    pub(super) fn denial(&self, now: Now, tokens: u64) -> Option<Denial> {
        self.state().denial(&self.scope, now, tokens)
    }

    /// Lets a request wait for the limits of the rate; `None` if they have no queue, or if it is full.
    pub(super) fn enqueue(self: &Arc<Self>, place: Place) -> Option<Queued> {
        let mut state = self.state();
        let queue = state.limits.queue?;
        if state.line.len() >= usize::try_from(queue.max_waiting).unwrap_or(usize::MAX) {
            return None;
        }
        state.line.insert(place);
        drop(state);
        let until = Instant::now() + Duration::from_millis(queue.timeout_ms);
        Some(Queued::new(Arc::clone(self), place, until))
    }

    /// Removes a request from the queue.
    pub(super) fn leave(&self, place: Place) {
        self.state().line.remove(&place);
        // The next one may be admitted.
        self.released.notify_waiters();
    }

    /// Counts a request that waits for the budget; `None` if too many wait already. They hold permits of the whole
    /// gateway, and each end of a reservation wakes all of them.
    pub(super) fn wait(&self) -> Option<Waiting<'_>> {
        let waiting = Waiting(self);
        (self.waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING).then_some(waiting)
    }

    /// Replaces a reservation by what was used.
    pub(super) fn settle(&self, now: Now, ticket: Ticket, tokens: u64, nanos: i64) {
        self.end(now, ticket, (tokens, nanos), true);
    }

    /// Takes back a reservation as if the request had never come.
    pub(super) fn cancel(&self, now: Now, ticket: Ticket) {
        self.end(now, ticket, (0, 0), false);
    }

    fn end(&self, now: Now, ticket: Ticket, (tokens, nanos): (u64, i64), has_come: bool) {
        let mut state = self.state();
        if !has_come && state.limits.rpm.is_some() {
            state.requests.correct(now.monotonic_ms, ticket.second, 1, 0);
        }
        state.in_flight = state.in_flight.saturating_sub(1);
        if state.limits.tpm.is_some() {
            state.tokens.correct(now.monotonic_ms, ticket.second, ticket.tokens, tokens);
        }
        if let (Some(start), budget) = (ticket.period, state.budget) {
            if let Some(budget) = budget {
                state.spend.advance(budget.period, now.unix_ms);
            }
            state.spend.settle(start, ticket.estimate, nanos);
        }
        drop(state);
        self.released.notify_waiters();
    }

    pub(super) fn note_loaded(&self, at: i64, nanos: i64) {
        self.state().spend.note_loaded(at, nanos);
    }

    /// Takes over the sums in the database as of `now_ms`: `stored` returns the one since the beginning of a period.
    pub(super) fn reconcile(&self, now_ms: i64, stored: impl FnOnce(signalbox_core::schema::BudgetPeriod) -> i64) {
        let mut state = self.state();
        if let Some(budget) = state.budget {
            state.spend.advance(budget.period, now_ms);
            state.spend.reconcile(super::period::start(budget.period, now_ms), stored(budget.period));
        }
    }

    /// Returns what is left of the limits of the rate.
    pub(super) fn quotas(&self, now: Now) -> Quotas {
        self.state().quotas(now)
    }

    /// Returns what was spent in the present period, in nano-dollars.
    #[cfg(test)]
    pub(super) fn spent(&self) -> i64 {
        self.state().spend.spent()
    }
}

// === impl Waiting ===

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
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

// === impl State ===

impl State {
    /// Returns the limit of the rate that is reached.
    fn denial(&mut self, scope: &Scope, now: Now, tokens: u64) -> Option<Denial> {
        let KeyLimits { rpm, tpm, concurrency, .. } = self.limits;
        let scope = || scope.clone();
        if let Some(limit) = concurrency.filter(|limit| self.in_flight >= *limit) {
            return Some(Denial::Concurrency { scope: scope(), limit });
        }
        if let Some(limit) = rpm {
            let wait = self.requests.wait(now.monotonic_ms, 1, limit.into());
            if wait > 0 {
                let (retry_after, quotas) = (Duration::from_millis(wait), Box::new(self.quotas(now)));
                return Some(Denial::Requests { scope: scope(), limit, retry_after, quotas });
            }
        }
        if let Some(limit) = tpm {
            let wait = self.tokens.wait(now.monotonic_ms, tokens, limit);
            if wait > 0 {
                let (retry_after, quotas) = (Duration::from_millis(wait), Box::new(self.quotas(now)));
                return Some(Denial::Tokens { scope: scope(), limit, retry_after, quotas });
            }
        }
        None
    }

    fn quotas(&mut self, now: Now) -> Quotas {
        let quota = |window: &mut Window, limit: u64| Quota {
            limit,
            remaining: limit.saturating_sub(window.used(now.monotonic_ms)),
            reset: Duration::from_millis(window.until_empty(now.monotonic_ms)),
        };
        Quotas {
            requests: self.limits.rpm.map(|limit| quota(&mut self.requests, limit.into())),
            tokens: self.limits.tpm.map(|limit| quota(&mut self.tokens, limit)),
        }
    }
}

//! Account of one key, one owner or the whole gateway.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use signalbox_core::schema::{KeyBudget, KeyLimits};
use tokio::{sync::Notify, time::Duration};

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

#[derive(Debug, Default)]
struct State {
    limits: KeyLimits,
    budget: Option<Budget>,
    requests: Window,
    tokens: Window,
    in_flight: u32,
    spend: Spend,
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

    /// Reserves what a request may use: nothing or all of it.
    pub(super) fn reserve(&self, now: Now, estimate: &Estimate) -> Result<Ticket, Denial> {
        let mut state = self.state();
        let KeyLimits { rpm, tpm, concurrency } = state.limits;
        if let Some(limit) = concurrency.filter(|limit| state.in_flight >= *limit) {
            return Err(Denial::Concurrency { limit });
        }
        if let Some(limit) = rpm {
            let wait = state.requests.wait(now.monotonic_ms, 1, limit.into());
            if wait > 0 {
                let quotas = Box::new(state.quotas(now));
                return Err(Denial::Requests { limit, retry_after: Duration::from_millis(wait), quotas });
            }
        }
        if let Some(limit) = tpm {
            let wait = state.tokens.wait(now.monotonic_ms, estimate.tokens, limit);
            if wait > 0 {
                let quotas = Box::new(state.quotas(now));
                return Err(Denial::Tokens { limit, retry_after: Duration::from_millis(wait), quotas });
            }
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

    /// Counts a request that waits; `None` if too many wait already. They take permits of the whole gateway, and each end
    /// of a reservation wakes all of them.
    pub(super) fn wait(&self) -> Option<Waiting<'_>> {
        let waiting = Waiting(self);
        (self.waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING).then_some(waiting)
    }

    /// Replaces a reservation by what was used.
    pub(super) fn settle(&self, now: Now, ticket: Ticket, tokens: u64, nanos: i64) {
        let mut state = self.state();
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

    /// Takes back a reservation as if the request had never come.
    pub(super) fn cancel(&self, now: Now, ticket: Ticket) {
        self.settle(now, ticket, 0, 0);
        let mut state = self.state();
        if state.limits.rpm.is_some() {
            state.requests.correct(now.monotonic_ms, ticket.second, 1, 0);
        }
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

// === impl State ===

impl State {
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

//! Limits and budgets of client keys, and limits of routes: what was used of them, and whether a request may use more.
//!
//! # Theory
//! Everything is in memory, in one account per key, per owner, per route and for the whole gateway. A request reserves
//! what it may use before it is logged ([`Ledger::admit`]), and replaces the reservation by what it has used when it
//! ends ([`Reservation::settle`]). So no limit is exceeded by requests that run at the same time. Accounts are found
//! without a lock, and each has a lock of its own.
//!
//! The limits of the rate count in windows of a minute. They begin empty when the process starts. Budgets begin with the
//! sums in the database, and the loader of the journal brings both together ([`Ledger::note_loaded`],
//! [`Ledger::reconcile`]): it loads what an earlier process left in its journal, so a crash loses nothing that is there.
//!
//! # Several processes
//! Each process has a ledger of its own. It sees what the others have spent when it reconciles, and nothing of their
//! rates. Accounts that several processes share exactly, such as leases in a shared store, would replace [`Accounts`].
//!
//! Time is given by the caller, so that all of it can be tested.

mod account;
mod admit;
mod budgets;
mod denial;
mod period;
mod provider_quota;
mod spend;
mod window;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use account::{Account, Place, Ticket};
use arc_swap::ArcSwap;
pub use budgets::Budgets;
pub use denial::Denial;
pub(crate) use denial::seconds;
pub use provider_quota::{ProviderQuota, Taken};
use signalbox_core::schema::{ApiKey, BudgetPeriod, KeyLimits, Route};
use signalbox_daemon::Caller;
use signalbox_store::catalog::KeyChanges;
use tokio::{
    sync::{Semaphore, watch},
    time::{Duration, Instant},
};

/// Limits and budgets of all keys.
#[derive(Debug)]
pub struct Ledger {
    accounts: ArcSwap<Accounts>,
    /// Whether sums of the database are needed that have not been read yet.
    is_stale: AtomicBool,
    /// Whether the sums of the database have been read once.
    is_seeded: watch::Sender<bool>,
    started: Instant,
    /// Number of requests to which a limit or budget applied. It orders them in queues.
    arrivals: AtomicU64,
    /// One permit per request that may wait, in all queues together.
    waiting: Semaphore,
}

/// The accounts that exist, by key, owner and route. Only the amounts in them change.
#[derive(Debug, Default)]
struct Accounts {
    keys: Arc<KnownKeys>,
    owners: HashMap<Box<str>, Arc<Account>>,
    global: Option<Arc<Account>>,
    /// By the id of the route.
    routes: HashMap<Box<str>, Arc<Account>>,
    refuses_unpriced: bool,
}

/// The keys with limits or budgets, by their ids.
type KnownKeys = HashMap<Arc<str>, Arc<Known>>;

/// A key of the table `api_keys`.
#[derive(Debug)]
struct Known {
    name: Box<str>,
    owner: Option<Box<str>>,
    /// `None` without limits.
    account: Option<Arc<Account>>,
}

/// The accounts of one request: of the key, of its owner, of the gateway, and of the route.
#[derive(Clone, Debug)]
pub struct Selected {
    accounts: [Option<Arc<Account>>; 4],
    refuses_unpriced: bool,
}

/// Subject of a budget or a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A key.
    Key,
    /// An owner of keys.
    Owner(Box<str>),
    /// The whole gateway.
    Global,
    /// A route, by its model name.
    Route(Box<str>),
    /// A provider, by its id.
    Provider(Box<str>),
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that never jumps.
    pub monotonic_ms: u64,
    /// Unix milliseconds.
    pub unix_ms: i64,
}

/// Upper bound of what a request is expected to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Tokens of prompt and answer.
    pub tokens: u64,
    /// Cost in nano-dollars; 0 if it is unknown.
    pub nanos: i64,
    /// Whether the cost is unknown.
    pub is_unpriced: bool,
}

/// Rest of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The limit.
    pub limit: u64,
    /// Rest of it.
    pub remaining: u64,
    /// Time until all of it is left again.
    pub reset: Duration,
}

/// Rest of the limits of the rate; `None` without such a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Requests per minute.
    pub requests: Option<Quota>,
    /// Tokens per minute.
    pub tokens: Option<Quota>,
}

/// Reservation of an admitted request. Dropping it releases the reservation as if nothing had been used.
#[derive(Debug)]
pub struct Reservation {
    ledger: Arc<Ledger>,
    held: [Option<(Arc<Account>, Ticket)>; 4],
}

/// Sums of the database since the beginning of each period, by key; the empty id has the requests without a key.
pub type Sums = HashMap<String, [i64; 4]>;

// === impl Ledger ===

impl Ledger {
    /// Creates a ledger without limits. At most `max_waiting` requests wait in all queues together, and for budgets: each
    /// of them holds a permit of the requests in flight, of which some must be left to the requests that need not wait.
    #[must_use]
    pub fn new(max_waiting: usize) -> Self {
        Self {
            accounts: ArcSwap::default(),
            is_stale: AtomicBool::new(false),
            is_seeded: watch::Sender::new(false),
            started: Instant::now(),
            arrivals: AtomicU64::new(0),
            waiting: Semaphore::new(max_waiting.min(Semaphore::MAX_PERMITS)),
        }
    }

    /// Replaces keys, budgets and routes. What was used stays with its key, owner or route.
    pub fn update(&self, keys: &[ApiKey], budgets: &Budgets, routes: &[Route]) {
        let changes = KeyChanges { is_complete: true, rows: keys.to_vec(), gone: Vec::new() };
        self.change(&changes, budgets, routes);
    }

    /// Takes over changes of keys, and replaces budgets and routes, as [`Ledger::update`] does.
    pub fn change(&self, changes: &KeyChanges, budgets: &Budgets, routes: &[Route]) {
        // Held to the end, so that what is replaced is freed here and not by a request.
        let (old, now_ms) = (self.accounts.load_full(), self.now().unix_ms);
        let (keys, mut is_stale) = changed_keys(&old.keys, changes, now_ms);
        let mut new = Accounts { keys, refuses_unpriced: budgets.refuses_unpriced, ..Accounts::default() };
        for (owner, budget) in &budgets.owners {
            let owner: Box<str> = (&**owner).into();
            let known = old.owners.get(&owner).cloned();
            let account = known.unwrap_or_else(|| Arc::new(Account::new(Scope::Owner(owner.clone()))));
            is_stale |= account.set(KeyLimits::default(), Some(budget), now_ms);
            new.owners.insert(owner, account);
        }
        new.global = budgets.global.as_ref().map(|budget| {
            let account = old.global.clone().unwrap_or_else(|| Arc::new(Account::new(Scope::Global)));
            is_stale |= account.set(KeyLimits::default(), Some(budget), now_ms);
            account
        });
        for route in routes.iter().filter(|route| !route.plan.limits.is_empty()) {
            let id: Box<str> = (&*route.id).into();
            let known = old.routes.get(&id).cloned();
            let account = known.unwrap_or_else(|| Arc::new(Account::new(Scope::Route((&*route.model).into()))));
            account.set(route.plan.limits, None, now_ms);
            new.routes.insert(id, account);
        }
        self.accounts.store(Arc::new(new));
        if is_stale {
            self.is_stale.store(true, Ordering::Release);
        }
    }

    /// Returns the accounts of a request of `caller` for the route with this id; `None` if nothing limits it.
    #[must_use]
    pub fn select(&self, caller: Option<&Caller>, route: Option<&str>) -> Option<Selected> {
        let accounts = self.accounts.load();
        let known = caller.and_then(|caller| accounts.keys.get(caller.id()));
        let key = known.and_then(|known| known.account.clone());
        let owner = known.and_then(|known| accounts.owners.get(known.owner.as_ref()?)).cloned();
        let route = route.and_then(|route| accounts.routes.get(route)).cloned();
        let selected = [key, owner, accounts.global.clone(), route];
        selected
            .iter()
            .any(Option::is_some)
            .then_some(Selected { accounts: selected, refuses_unpriced: accounts.refuses_unpriced })
    }

    /// Returns the name of a key of the table `api_keys`.
    #[must_use]
    pub fn name_of(&self, key: &str) -> Option<String> {
        self.accounts.load().keys.get(key).map(|known| known.name.clone().into())
    }

    /// Returns the present time.
    #[must_use]
    pub fn now(&self) -> Now {
        let monotonic_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { monotonic_ms, unix_ms: crate::clock::unix_ms() }
    }

    /// Reserves what a request may use, in all of its accounts or in none. Returns the account that has no room.
    fn reserve(
        self: &Arc<Self>,
        selected: &Selected,
        estimate: &Estimate,
        now: Now,
        place: Place,
    ) -> Result<Reservation, (Denial, Arc<Account>)> {
        let mut reservation = Reservation { ledger: Arc::clone(self), held: [None, None, None, None] };
        for (held, account) in reservation.held.iter_mut().zip(&selected.accounts) {
            let Some(account) = account else { continue };
            if estimate.is_unpriced && selected.refuses_unpriced && account.has_budget() {
                return Err((Denial::Unpriced, Arc::clone(account)));
            }
            // On failure, the reservations made so far are dropped.
            let ticket = account.reserve(now, estimate, place).map_err(|denial| (denial, Arc::clone(account)))?;
            *held = Some((Arc::clone(account), ticket));
        }
        Ok(reservation)
    }

    /// Returns whether there is any budget.
    #[must_use]
    pub fn has_budgets(&self) -> bool {
        let accounts = self.accounts.load();
        accounts.global.is_some()
            || !accounts.owners.is_empty()
            || accounts.keys.values().any(|known| known.account.as_ref().is_some_and(|account| account.has_budget()))
    }

    /// Returns whether sums of the database are needed at once, and resets the flag.
    #[must_use]
    pub fn take_stale(&self) -> bool {
        self.is_stale.swap(false, Ordering::AcqRel)
    }

    /// Returns the beginnings of the periods that contain a time, in Unix milliseconds, in the order of [`Sums`].
    #[must_use]
    pub fn period_starts(now_ms: i64) -> [i64; 4] {
        PERIODS.map(|period| period::start(period, now_ms))
    }

    /// Notes that a request of this process is in the database, which arrived at `at`.
    pub fn note_loaded(&self, key: Option<&str>, at: i64, nanos: i64) {
        let accounts = self.accounts.load();
        let known = key.and_then(|key| accounts.keys.get(key));
        let owner = known.and_then(|known| accounts.owners.get(known.owner.as_ref()?));
        let account = known.and_then(|known| known.account.as_ref());
        for account in [account, owner, accounts.global.as_ref()].into_iter().flatten() {
            account.note_loaded(at, nanos);
        }
    }

    /// Takes over the sums of the database since [`Ledger::period_starts`] of `now_ms`. They must contain all requests
    /// that were [noted as loaded](Ledger::note_loaded), so only the loader may call this.
    pub fn reconcile(&self, now_ms: i64, sums: &Sums) {
        let accounts = self.accounts.load();
        let place = |period: BudgetPeriod| PERIODS.iter().position(|known| *known == period).unwrap_or_default();
        let of_key = |key: &str, period| sums.get(key).map_or(0, |sums| sums[place(period)]);
        let mut of_owners: HashMap<&str, [i64; 4]> = HashMap::new();
        for (key, known) in &*accounts.keys {
            if let Some(account) = &known.account {
                account.reconcile(now_ms, |period| of_key(key, period));
            }
            if let (Some(owner), Some(sums)) = (&known.owner, sums.get(&**key)) {
                add(of_owners.entry(owner).or_default(), sums);
            }
        }
        for (owner, account) in &accounts.owners {
            account.reconcile(now_ms, |period| of_owners.get(&**owner).map_or(0, |sums| sums[place(period)]));
        }
        if let Some(account) = &accounts.global {
            let mut all = [0; 4];
            sums.values().for_each(|sums| add(&mut all, sums));
            account.reconcile(now_ms, |period| all[place(period)]);
        }
        self.is_seeded.send_replace(true);
    }

    /// Waits until the sums of the database have been read once. Returns `false` after `timeout`.
    pub async fn seeded(&self, timeout: Duration) -> bool {
        let mut is_seeded = self.is_seeded.subscribe();
        let seeded = is_seeded.wait_for(|is_seeded| *is_seeded);
        matches!(tokio::time::timeout(timeout, seeded).await, Ok(Ok(_)))
    }
}

/// Returns the keys after a change, and whether sums of the database are needed. All but the changed ones are shared.
fn changed_keys(old: &Arc<KnownKeys>, changes: &KeyChanges, now_ms: i64) -> (Arc<KnownKeys>, bool) {
    if !changes.is_complete && changes.rows.is_empty() && changes.gone.is_empty() {
        return (Arc::clone(old), false);
    }
    let mut keys = if changes.is_complete { HashMap::with_capacity(changes.rows.len()) } else { HashMap::clone(old) };
    for id in &changes.gone {
        keys.remove(&**id);
    }
    let mut is_stale = false;
    for key in &changes.rows {
        let grant = &key.grant;
        let account = (!grant.limits.is_empty() || grant.budget.is_some()).then(|| {
            let known = old.get(&*key.id).and_then(|known| known.account.clone());
            let account = known.unwrap_or_else(|| Arc::new(Account::new(Scope::Key)));
            is_stale |= account.set(grant.limits, grant.budget.as_ref(), now_ms);
            account
        });
        let known = Known { name: (&*key.name).into(), owner: grant.owner.as_deref().map(Into::into), account };
        keys.insert((&*key.id).into(), Arc::new(known));
    }
    (Arc::new(keys), is_stale)
}

/// The periods in the order of [`Sums`].
const PERIODS: [BudgetPeriod; 4] = [BudgetPeriod::Day, BudgetPeriod::Week, BudgetPeriod::Month, BudgetPeriod::Total];

fn add(sum: &mut [i64; 4], other: &[i64; 4]) {
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum = sum.saturating_add(*other);
    }
}

// === impl Selected ===

impl Selected {
    /// Returns whether an estimate of tokens and cost is needed.
    #[must_use]
    pub fn needs_estimate(&self) -> bool {
        self.accounts.iter().flatten().any(|account| account.needs_estimate())
    }

    /// Returns what is left of the limits of the rate of the key, or else of the route.
    #[must_use]
    pub fn quotas(&self, now: Now) -> Quotas {
        let quotas = self.accounts.iter().flatten().map(|account| account.quotas(now));
        quotas.into_iter().find(|quotas| *quotas != Quotas::default()).unwrap_or_default()
    }
}

// === impl Reservation ===

impl Reservation {
    /// Replaces the reservation by what was used.
    pub fn settle(self, tokens: u64, nanos: i64) {
        let now = self.ledger.now();
        self.settle_at(now, tokens, nanos);
    }

    fn settle_at(mut self, now: Now, tokens: u64, nanos: i64) {
        for (account, ticket) in self.held.iter_mut().filter_map(Option::take) {
            account.settle(now, ticket, tokens, nanos);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        for (account, ticket) in self.held.iter_mut().filter_map(Option::take) {
            account.cancel(self.ledger.now(), ticket);
        }
    }
}

#[cfg(test)]
mod tests;

//! Health of targets, learnt from the requests that pass: their breakers, the limits they announce, their requests in
//! flight and their time to the first token.
//!
//! A target is a model at a provider. Its state consists of atomics behind an [`Arc`], which the snapshot of the
//! catalogue holds, so that a request finds it without a lock. It survives changes of the catalogue. Models that the
//! catalogue does not know share one state per provider, because clients choose their names.
//!
//! Times are milliseconds since the start of the process ([`now`]); 0 means none.

mod breaker;
mod first_tokens;
mod latency;
mod rate_limits;
mod table;

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use breaker::Breaker;
pub use breaker::{Change, State};
use first_tokens::FirstTokens;
use http::{HeaderMap, HeaderValue};
use latency::Latency;
pub use rate_limits::Exhausted;
use rate_limits::RateLimits;
use signalbox_management::live::{Alert, BreakerChange, BreakerState};
pub use table::{HealthTable, ProviderHealth};
use tokio::time::{Duration, Instant};

use crate::{
    alerts::Alerts,
    clock::unix_ms,
    ledger::Taken,
    random::{mixed, unit_of},
};

/// Maximum time for which a provider that asks to wait is left alone.
const MAX_ASIDE: Duration = Duration::from_secs(300);
/// Time to the first token that a failure counts as, at least: fast failures must not attract requests.
const FAILURE_LATENCY: Duration = Duration::from_secs(10);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Returns the milliseconds since the start of the process; never 0.
#[must_use]
pub fn now() -> u64 {
    millis(START.elapsed()).saturating_add(1)
}

/// Converts a duration to whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns a number without its fraction; 0 for a negative one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
const fn floor(number: f64) -> u64 {
    number as u64
}

/// State of one target.
#[derive(Debug, Default)]
pub struct TargetHealth {
    provider: String,
    /// Name of the model at the provider; empty for all that the catalogue does not know.
    model: String,
    /// Name of the provider's key, if it has several.
    key: Option<Box<str>>,
    header: Option<HeaderValue>,
    breaker: Breaker,
    aside_until: AtomicU64,
    in_flight: AtomicU32,
    /// Time to the first token of streams.
    latency: Latency,
    /// Time to the end of whole answers.
    whole_latency: Latency,
    limits: RateLimits,
    first_tokens: FirstTokens,
    alerts: Alerts,
}

/// Event at which an answer counts as begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// The first token of a stream has come.
    Token,
    /// The whole answer has come.
    Whole,
    /// A stream is passed on whose first token was not awaited: its time is not measured.
    Unknown,
}

/// Reason why a target is not tried now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The breaker is open until this time.
    Open(u64),
    /// The breaker is half-open, and another request tries the target.
    Probed,
    /// The provider asked to wait until this time.
    Aside(u64),
}

/// An attempt with a target. Dropping it ends the attempt.
#[derive(Debug)]
pub struct Trial {
    target: Arc<TargetHealth>,
    began: u64,
    is_probe: AtomicBool,
    /// Use of the limits of the provider by the attempt.
    quota: Option<Taken>,
}

// === impl TargetHealth ===

impl TargetHealth {
    /// Creates the state of a target without requests so far. An empty `model` means all others of the provider.
    #[must_use]
    pub fn new(provider: &str, model: &str) -> Self {
        let header = Some(model).filter(|model| !model.is_empty()).and_then(|model| model.parse().ok());
        Self { provider: provider.to_owned(), model: model.to_owned(), header, ..Self::default() }
    }

    /// Creates the state of a target whose changes are told to `alerts`. `key` is the name of the provider's key, if it
    /// has several.
    #[must_use]
    pub fn told(provider: &str, key: Option<&str>, model: &str, alerts: Alerts) -> Self {
        Self { alerts, key: key.map(Into::into), ..Self::new(provider, model) }
    }

    /// Returns the id of the provider.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns the name of the model at the provider; empty for all that the catalogue does not know.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Returns the name of the provider's key, if it has several.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the name of the model as the value of a header.
    #[must_use]
    pub const fn header(&self) -> Option<&HeaderValue> {
        self.header.as_ref()
    }

    /// Returns the state of the breaker.
    #[must_use]
    pub fn state(&self, now: u64) -> State {
        self.breaker.state(now)
    }

    /// Returns the reason why the target should not be tried now.
    #[must_use]
    pub fn blocked(&self, now: u64) -> Option<Blocked> {
        let aside = self.aside_until.load(Ordering::Relaxed);
        match self.breaker.state(now) {
            State::Open { until } => Some(Blocked::Open(until.max(aside))),
            _ if aside > now => Some(Blocked::Aside(aside)),
            State::HalfOpen if self.breaker.is_probed() => Some(Blocked::Probed),
            State::HalfOpen | State::Closed => None,
        }
    }

    /// Returns the share of its weight that the target has now: less than 1 for a while after its recovery.
    #[must_use]
    pub fn share(&self, now: u64) -> f64 {
        self.breaker.share(now)
    }

    /// Returns the number of attempts that have not ended.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the expected milliseconds to the first token of a stream, or to the end of a whole answer, if any have
    /// been measured.
    #[must_use]
    pub fn latency(&self, now: u64, stream: bool) -> Option<f64> {
        if stream { self.latency.read(now) } else { self.whole_latency.read(now) }
    }

    /// Takes over what the headers of an answer say about the limits of the provider.
    pub fn note_limits(&self, headers: &HeaderMap, now: u64, unix_ms: i64) {
        self.limits.note(headers, now, unix_ms);
    }

    /// Returns the limit of the provider that is used up now, for a prompt of so many tokens.
    #[must_use]
    pub fn exhausted(&self, now: u64, tokens: u64) -> Option<Exhausted> {
        self.limits.exhausted(now, tokens)
    }

    /// Records the milliseconds to the first token of a stream, for quantiles.
    pub fn note_first_token(&self, millis: u64) {
        self.first_tokens.observe(millis);
    }

    /// Returns the milliseconds within which this share of the streams began; `None` if too few are known.
    #[must_use]
    pub fn first_token(&self, share: f64) -> Option<u64> {
        self.first_tokens.quantile(share)
    }

    /// Begins an attempt. If the breaker is not closed, the first attempt is the probe that decides about it.
    #[must_use]
    pub fn begin(self: &Arc<Self>, now: u64) -> Trial {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let is_probe = self.breaker.takes_probe();
        if is_probe {
            self.tell(BreakerState::HalfOpen, None);
        }
        Trial { target: Arc::clone(self), began: now, is_probe: AtomicBool::new(is_probe), quota: None }
    }

    /// Closes the breaker and forgets the time for which the provider asked to wait.
    pub fn reset(&self) {
        let was_closed = self.breaker.state(now()) == State::Closed;
        self.breaker.reset();
        let was_aside = self.aside_until.swap(0, Ordering::Relaxed) > now();
        self.limits.reset();
        if was_aside || !was_closed {
            self.tell(BreakerState::Closed, None);
        }
    }

    fn note(&self, change: Option<Change>) {
        let Self { provider, model, key, .. } = self;
        let model = if model.is_empty() { "(others)" } else { model };
        match change {
            Some(Change::Opened { millis }) => {
                tracing::warn!(%provider, %model, key, seconds = millis / 1000, "breaker opened, the target is left out");
                self.tell(BreakerState::Open, Some(millis));
            }
            Some(Change::Closed) => {
                tracing::info!(%provider, %model, key, "breaker closed, the target is used again");
                self.tell(BreakerState::Closed, None);
            }
            None => {}
        }
    }

    fn tell(&self, state: BreakerState, cooldown_ms: Option<u64>) {
        self.alerts.tell(|| {
            Alert::Breaker(BreakerChange {
                provider_id: self.provider.clone(),
                model: Some(self.model.clone()).filter(|model| !model.is_empty()),
                key: self.key.as_deref().map(str::to_owned),
                state,
                cooldown_ms,
                timestamp: unix_ms(),
            })
        });
    }
}

// === impl Blocked ===

impl Blocked {
    /// Returns the time at which the target may be tried again.
    #[must_use]
    pub const fn until(self) -> u64 {
        match self {
            Self::Open(until) | Self::Aside(until) => until,
            Self::Probed => 0,
        }
    }
}

// === impl Trial ===

impl Trial {
    /// Returns whether the attempt decides about a breaker that is not closed.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.is_probe.load(Ordering::Relaxed)
    }

    /// Keeps what the attempt uses of the limits of its provider, until it ends.
    pub fn hold(&mut self, taken: Option<Taken>) {
        self.quota = taken;
    }

    /// Returns whether the provider has limits.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.quota.is_some()
    }

    /// Settles the limits of the provider after an answer, with the tokens that it reported.
    pub fn settle(&mut self, tokens: Option<u64>) {
        if let Some(taken) = self.quota.take() {
            taken.settle(tokens);
        }
    }

    /// Records that the answer has begun, and how long it took as far as `began` tells. This is what a probe waits for.
    pub fn answered(&self, now: u64, began: Began) {
        let latency = match began {
            Began::Token => Some(&self.target.latency),
            Began::Whole => Some(&self.target.whole_latency),
            Began::Unknown => None,
        };
        if let Some(latency) = latency {
            latency.observe(now, Duration::from_millis(now.saturating_sub(self.began)));
        }
        self.target.note(self.target.breaker.answered(now, self.began));
        if self.is_probe.swap(false, Ordering::Relaxed) {
            self.target.breaker.release_probe();
        }
    }

    /// Records that the answer is complete.
    pub fn completed(&self, now: u64) {
        self.target.breaker.completed(now);
    }

    /// Records a failure that is the provider's.
    pub fn failed(&self, now: u64) {
        let latency = Duration::from_millis(now.saturating_sub(self.began)).max(FAILURE_LATENCY);
        self.target.latency.observe(now, latency);
        self.target.whole_latency.observe(now, latency);
        let is_probe = self.is_probe.swap(false, Ordering::Relaxed);
        // Targets that failed together must not be tried again together.
        let jitter = unit_of(mixed(now ^ (Arc::as_ptr(&self.target) as u64)));
        self.target.note(self.target.breaker.failed(now, self.began, is_probe, jitter));
    }

    /// Records a failure that is the provider's, which may have asked to wait.
    pub fn failed_for(&self, now: u64, wait: Option<Duration>) {
        match wait.filter(|wait| !wait.is_zero()) {
            Some(wait) => self.put_aside(now, wait),
            None => self.failed(now),
        }
    }

    /// Records that the provider asked to wait.
    pub fn put_aside(&self, now: u64, wait: Duration) {
        let wait = millis(wait.min(MAX_ASIDE));
        let before = self.target.aside_until.fetch_max(now.saturating_add(wait), Ordering::Relaxed);
        // Told once, although every request that was under way may be asked to wait.
        if before <= now {
            self.target.tell(BreakerState::Ejected, Some(wait));
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.target.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.is_probe() {
            self.target.breaker.release_probe();
        }
    }
}

#[cfg(test)]
mod tests;
